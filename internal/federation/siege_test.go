package federation

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/proc"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// siege is a federation of two honest sites, signed, whose aggregator is a process
// of its own, so that its memory and its time can be read. The broker lets everybody
// do everything: the aggregator alone has to hold.
type siege struct {
	t    *testing.T
	addr string
	pid  int
	keys *keyring

	mu      sync.Mutex
	view    view
	order   wire.Header
	origin  wire.Nonce
	sealed  []byte               // that order
	reasons map[string]int       // of refusals, as events and answers say
	heard   map[string][][]byte  // the last few messages of a leaf
	rounds  map[uint64]time.Time // when each was first seen
	moment  map[string]usage     // by step of the attack
}

// usage is what a process has taken of the machine.
type usage struct {
	rssKB int64
	cpu   time.Duration
}

// siegeTask is small enough for many rounds and large enough to go in parts.
const (
	siegePart    = 8 << 10
	siegeWeights = 50_000
	envBroker    = "FEDMQ_TEST_SIEGE_BROKER"
	envDir       = "FEDMQ_TEST_SIEGE_DIR"
	envOpen      = "FEDMQ_TEST_SIEGE_OPEN" // without keys
)

// hostile skips what takes a minute and measures a process, which the race detector
// makes many times larger.
func hostile(t *testing.T) {
	t.Helper()
	if os.Getenv("FEDMQ_TEST_HOSTILE") == "" {
		t.Skip("make hostile runs this")
	}
}

func siegeSchema(t *testing.T) model.Schema {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{siegeWeights}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSiegeAggregator is the aggregator's process; it ends with its input.
func TestSiegeAggregator(t *testing.T) {
	if os.Getenv(envBroker) == "" {
		t.Skip("a part of TestHostile, which starts it")
	}
	keys := &keyring{members: []string{"a", "b", "evil"}}
	cfg := aggregator.Config{
		Broker: "tcp://" + os.Getenv(envBroker), Namespace: "acme", DataDir: os.Getenv(envDir), PartSize: siegePart,
		Log: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel),
		Tasks: []aggregator.Task{{
			Name: task, Members: []string{"+"}, Rounds: 1 << 40, StartWhen: 2, Quorum: 2, Goal: 2, Deadline: time.Minute, Init: model.New(siegeSchema(t)),
		}},
	}
	if os.Getenv(envOpen) == "" {
		cfg.Signer, cfg.Keys = keys.aggregator(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := aggregator.Run(ctx, cfg); err != nil {
		t.Fatal(err)
	}
}

// paced is a trainer that takes a quarter of a second.
type paced struct{}

func (paced) Samples() int { return 10 }

func (paced) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	select {
	case <-time.After(250 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out := global.Clone()
	v, err := out.Float32s("w")
	if err != nil {
		return nil, err
	}
	rnd := job.Rand()
	for i := range v {
		v[i] = rnd.Float32()
	}
	return out, out.SetFloat32s("w", v)
}

// besiege starts the federation, signed or not, and waits for its third round.
func besiege(t *testing.T, signed bool) *siege {
	t.Helper()
	b, err := broker.New(broker.Config{Open: true, TCP: "127.0.0.1:0", MaxPacket: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	run := func(what string, run func(context.Context) error) {
		p := start(run)
		t.Cleanup(func() {
			if err := p.stop(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	run("broker", b.Run)
	<-b.Ready()
	s := &siege{
		t: t, addr: b.Addrs().TCP, keys: &keyring{members: []string{"a", "b", "evil"}},
		reasons: map[string]int{}, heard: map[string][][]byte{}, rounds: map[uint64]time.Time{}, moment: map[string]usage{},
	}
	dir := t.TempDir()
	if !signed {
		s.keys = nil
	}
	s.aggregate(filepath.Join(dir, "aggregator"))
	s.watch(run)
	for _, m := range []string{"a", "b"} {
		cfg := site.Config{
			Broker: "tcp://" + s.addr, Namespace: "acme", Member: m, DataDir: filepath.Join(dir, m), Tasks: []site.Task{{Name: task, Trainer: paced{}}},
		}
		if signed {
			cfg.Signer, cfg.Keys = s.keys.site(t, m)
		}
		run(m, func(ctx context.Context) error { return site.Run(ctx, cfg) })
	}
	s.goesOn("the beginning", 3)
	return s
}

// aggregate starts the aggregator's process.
func (s *siege) aggregate(dir string) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSiegeAggregator$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), envBroker+"="+s.addr, envDir+"="+dir)
	if s.keys == nil {
		cmd.Env = append(cmd.Env, envOpen+"=1")
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := proc.Start(cmd, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.pid = cmd.Process.Pid
	s.t.Cleanup(func() {
		_ = in.Close()
		if err := p.Err(); err != nil {
			s.t.Errorf("the aggregator's process: %v", err)
		}
	})
}

// watch keeps what the aggregator says to everybody and to the attacker.
func (s *siege) watch(run func(string, func(context.Context) error)) {
	base := "acme/_fl_v1/" + task + "/"
	conn, err := link.New(link.Config{Broker: "tcp://" + s.addr, ClientID: "watch"})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range []string{base + "round", base + "event", base + "order", base + "reply/+", "acme/a/_fl_v1/" + task + "/update"} {
		conn.Subscribe(link.Filter{Topic: f, QoS: 1})
	}
	run("watch", func(ctx context.Context) error {
		var goes sync.WaitGroup
		defer goes.Wait()
		goes.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-conn.States():
				case m := <-conn.Messages():
					s.hear(strings.TrimPrefix(m.Topic, base), m)
				}
			}
		})
		return conn.Run(ctx)
	})
}

func (s *siege) hear(leaf string, m link.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := newNamespace(s.t)
	switch leaf {
	case "round":
		var v view
		if json.Unmarshal(m.Payload, &v) == nil {
			s.view = v
			if _, ok := s.rounds[v.Round]; !ok {
				s.rounds[v.Round] = time.Now()
			}
		}
	case "event":
		var e struct{ Event, Reason string }
		if json.Unmarshal(m.Payload, &e) == nil && e.Event == "refused" {
			s.reasons[e.Reason]++
		}
	case "order":
		o := wire.Opener{NS: ns}
		h, _, err := o.Open(m.Topic, m.Payload, wire.Bound{})
		if err == nil {
			s.origin = h.Origin
		}
		if err == nil && h.Attempt > 0 {
			s.order, s.sealed = h, m.Payload
		}
	default:
		kept := slices.Concat(s.heard[leaf], [][]byte{m.Payload})
		s.heard[leaf] = kept[max(0, len(kept)-50):]
	}
}

// now is the open round's order, as the header of an update that answers it.
func (s *siege) now() wire.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.order
	return wire.Header{Epoch: o.Epoch, Round: o.Round, Attempt: o.Attempt, Base: o.Base, Schema: o.Schema}
}

// lifeOf is the origin of the task, which its first order says.
func (s *siege) lifeOf() wire.Nonce {
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		s.mu.Lock()
		id := s.origin
		s.mu.Unlock()
		if !id.IsZero() {
			return id
		}
	}
	s.t.Fatal("no order")
	return wire.Nonce{}
}

// said is what was heard last on leaves that begin so.
func (s *siege) said(prefix string) (list [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for leaf, kept := range s.heard {
		if strings.HasPrefix(leaf, prefix) {
			list = append(list, kept...)
		}
	}
	return list
}

// refusals is how often each reason was shown, on events or counted on the view.
func (s *siege) refusals() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.reasons)
	for reason, n := range s.view.Refusals {
		all[reason] += n
	}
	return all
}

// siegePatience is long: parts of a model that were overwritten are asked for again
// after 40 s (TR-16), and grants that were crowded out after 20 s (TR-26).
const siegePatience = 3 * time.Minute

func (s *siege) wait(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(siegePatience); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("did not happen: %s", what)
		}
	}
}

// goesOn waits for so many more rounds, and notes what the aggregator has taken.
func (s *siege) goesOn(what string, n uint64) {
	s.t.Helper()
	round := func() uint64 { s.mu.Lock(); defer s.mu.Unlock(); return s.view.Round }
	from, began := round(), time.Now()
	s.wait("rounds go on after "+what, func() bool { return round() >= from+n })
	u := s.usage()
	s.moment[what] = u
	s.t.Logf("%-32s %3d rounds in %5.2f s, %4d MB, %6.2f s of processor", what, round()-from, time.Since(began).Seconds(), u.rssKB>>10, u.cpu.Seconds())
}

func (s *siege) members() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view.Members
}

// usage reads the highest resident memory and the processor time of the
// aggregator; zero where there is no /proc.
func (s *siege) usage() (u usage) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			u.rssKB, _ = strconv.ParseInt(strings.Fields(v)[0], 10, 64)
		}
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if _, rest, ok := strings.Cut(string(stat), ") "); ok {
		f := strings.Fields(rest)
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		u.cpu = time.Duration(user+system) * 10 * time.Millisecond
	}
	return u
}

// raw is a client that speaks the bytes of MQTT 3.1.1, whatever they say.
type raw struct {
	s    *siege
	conn net.Conn
	w    *bufio.Writer
	read chan error // ended with
}

// raw connects; a Will, if there is a topic for one, is retained.
func (s *siege) raw(id, willTopic, will string) *raw {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &raw{s: s, conn: conn, w: bufio.NewWriterSize(conn, 64<<10), read: make(chan error, 1)}
	flags := byte(2)
	body := append(text("MQTT"), 4, flags, 0, 0)
	if willTopic != "" {
		body[7] |= 4 | 8 | 32
	}
	body = append(body, text(id)...)
	if willTopic != "" {
		body = append(append(body, text(willTopic)...), text(will)...)
	}
	r.packet(0x10, body)
	r.flush()
	go func() {
		_, err := io.Copy(io.Discard, conn)
		r.read <- err
	}()
	return r
}

func text(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

// packet writes one packet; errors show as a connection that is gone.
func (r *raw) packet(kind byte, body ...[]byte) {
	n := 0
	for _, b := range body {
		n += len(b)
	}
	head := []byte{kind}
	for ; n >= 0x80; n >>= 7 {
		head = append(head, byte(n)|0x80)
	}
	_, _ = r.w.Write(append(head, byte(n)))
	for _, b := range body {
		_, _ = r.w.Write(b)
	}
}

func (r *raw) publish(topic string, payload []byte, retained bool) {
	kind := byte(0x30)
	if retained {
		kind |= 1
	}
	r.packet(kind, text(topic), payload)
}

func (r *raw) flush() { _ = r.w.Flush() }

func (r *raw) close() {
	r.flush()
	_ = r.conn.Close()
	<-r.read
}
