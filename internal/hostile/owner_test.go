package hostile

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/wire"
)

// memberRows attack an owner, as members that it takes in: an open broker, a model
// in eight parts.
var memberRows = []row{
	{"b04", "a member claims 2^62 samples, and sends names of HTML", .5, claims},
	{"b07", "64 members offer updates and send a part every ten seconds", .8, dribble},
	{"b08", "a member needs the whole model, twenty times a second", .5, needs},
	{"b10", "a second process of a member's path, from a copied configuration", .5, secondProcess},
}

func claims(s *stage, stop <-chan struct{}) (string, bool) {
	m, err := s.member("claims/line-1")
	if err != nil {
		return failed(err)
	}
	if err := m.join(1 << 62); err != nil {
		return failed(err)
	}
	join := m.heard(5*time.Second, refused("out_of_range"))
	m.mu.Lock()
	m.replies = nil
	m.mu.Unlock()
	if err := m.join(1); err != nil {
		return failed(err)
	}
	in := m.heard(5*time.Second, welcomed)
	offers := 0
	for m.follow(stop) {
		if _, _, err := m.offer(1<<62, nil, nil); err == nil {
			offers++
		}
		html := func(b []byte) []byte { return bytes.Replace(b, []byte("bxb"), []byte("<b>"), 1) }
		_, _, _ = m.offer(1, map[string]float64{"bxb": 1}, html)
	}
	samples, names := m.heard(time.Second, refused("out_of_range")), m.heard(time.Second, refused("malformed"))
	return fmt.Sprintf("join refused: %v, %d offers refused: %v, names refused: %v", join, offers, samples, names), join && in && samples && names
}

// dribble holds as many places of uploads as it can.
func dribble(s *stage, stop <-chan struct{}) (string, bool) {
	var goes sync.WaitGroup
	var offers, parts atomic.Int64
	for i := range 64 {
		m, err := s.member(fmt.Sprintf("dribble-%d/line-1", i))
		if err != nil {
			return failed(err)
		}
		if err := m.join(1); err != nil {
			return failed(err)
		}
		goes.Go(func() { m.dribble(stop, &offers, &parts) })
	}
	goes.Wait()
	return fmt.Sprintf("%d offers, %d parts", offers.Load(), parts.Load()), offers.Load() > 0
}

// dribble offers an update for each order, and sends a part of it every ten
// seconds.
func (m *member) dribble(stop <-chan struct{}, offers, parts *atomic.Int64) {
	var blob []byte
	var cut wire.Blob
	next := time.NewTicker(10 * time.Second)
	defer next.Stop()
	for {
		select {
		case <-stop:
			return
		case <-m.orders:
			b, c, err := m.offer(1, nil, nil)
			if err != nil {
				continue
			}
			blob, cut = b, c
			offers.Add(1)
		case <-next.C:
			select {
			case g := <-m.granted:
				i := g.Ranges[0].First
				if g.Blob != cut.Key() {
					continue
				}
				off, n := cut.Span(int(i))
				p := wire.AppendPart(nil, wire.Part{Blob: g.Blob, Index: i, Count: uint32(cut.Count()), Data: blob[off : off+n]}) // eight
				_ = m.k.say(publish("acme/"+m.path+"/_fl_v1/q/part", p, 0, false))
				parts.Add(1)
			default:
			}
		}
	}
}

// needs asks for all parts of the model, and counts what is published of them
// beyond one model a round.
func needs(s *stage, stop <-chan struct{}) (string, bool) {
	m, err := s.member("needs/line-1")
	if err != nil {
		return failed(err)
	}
	var came atomic.Int64
	if _, err := s.listen(s.account("scada", "parts"), func(string, []byte) { came.Add(1) }, "acme/_fl_v1/q/model/+/+"); err != nil {
		return failed(err)
	}
	if err := m.join(1); err != nil {
		return failed(err)
	}
	if !m.heard(5*time.Second, welcomed) {
		return "not welcomed", false
	}
	<-time.After(300 * time.Millisecond) // what is retained has come
	from, rounds, start, asked := came.Load(), s.commits.Load(), time.Now(), 0
	for ; !ended(stop); <-time.After(50 * time.Millisecond) {
		m.mu.Lock()
		h, blob := m.at, m.blob
		m.mu.Unlock()
		if blob.Count() == 0 {
			continue
		}
		_ = m.say(wire.KindNeed, wire.Header{Epoch: h.Epoch, Round: h.Round, Attempt: h.Attempt, Base: h.Base},
			wire.Need{Blob: blob.Key(), Ranges: []wire.Range{{First: 0, N: uint32(blob.Count())}}}, nil) // eight
		asked++
	}
	each := float64(m.blob.Count())
	models := float64(came.Load()-from)/each - float64(s.commits.Load()-rounds)
	most := 3 + time.Since(start).Seconds()/16
	return fmt.Sprintf("%d needs, %.1f models more than rounds, in %.0f s", asked, models, time.Since(start).Seconds()), asked > 0 && models <= most
}

// secondProcess starts the site of a member once more, on a directory of its own,
// and again whenever it ends.
func secondProcess(s *stage, stop <-chan struct{}) (string, bool) {
	file, err := s.write(honest[0], s.tasks, "copy")
	if err != nil {
		return failed(err)
	}
	starts, log := 0, &safeBuffer{}
	for !ended(stop) {
		starts++
		c := exec.Command(s.program, "site", "-c", file, "--log-json")
		c.Dir, c.Env, c.Stdout, c.Stderr = s.dir, s.environment(), log, log
		if err := c.Start(); err != nil {
			return failed(err)
		}
		gone := make(chan struct{})
		go func() { _ = c.Wait(); close(gone) }()
		select {
		case <-gone:
		case <-stop:
			_ = c.Process.Kill()
			<-gone
		}
	}
	said, told := strings.Contains(log.String(), "another process speaks for this member path"), s.contested(honest[0])
	for end := time.Now().Add(8 * time.Second); !told && time.Now().Before(end); told = s.contested(honest[0]) {
		<-time.After(100 * time.Millisecond) // the first, which was cut off, is back within 5 s
	}
	return fmt.Sprintf("%d starts; it says that it waits: %v, the owner names both: %v", starts, said, told), starts == 1 && said && told
}

// safeBuffer is written by a process and read here.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
