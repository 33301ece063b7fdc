package virtual

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

const smallParts = wire.MinPart + model.Leaf

// played is an update in parts of a member that the test plays.
type played struct {
	c      *client
	member string
	h      wire.Header
	delta  *model.Model
	blob   wire.Blob
	offer  wire.Offer
}

// play makes an update of the large task's model, each value x.
func (c *client) play(member string, h wire.Header, x float32) *played {
	c.w.t.Helper()
	delta := model.New(c.w.large().Init.Schema.Shared())
	p, err := delta.Float32s("w")
	check(c.w.t, err)
	for i := range p {
		p[i] = x
	}
	check(c.w.t, delta.SetFloat32s("w", p))
	return c.playDelta(member, h, delta)
}

func (c *client) playDelta(member string, h wire.Header, delta *model.Model) *played {
	c.w.t.Helper()
	blob, err := wire.NewBlob(delta.Blob, smallParts)
	check(c.w.t, err)
	return &played{c, member, h, delta, blob, wire.Offer{
		Samples: 10, Metrics: map[string]float64{"n": 10, "loss": 5}, Schema: delta.Schema, Content: delta.ContentID(), Blob: blob,
	}}
}

// say offers the update.
func (p *played) say() {
	p.c.w.t.Helper()
	p.c.say(memberTopic(p.member, "update"), p.c.w.seal(p.member, wire.KindUpdate, p.h, p.offer, nil), false)
	synctest.Wait()
}

// part sends one part, of other data if there is some.
func (p *played) part(i int, other []byte) {
	p.c.w.t.Helper()
	off, n := p.blob.Span(i)
	data := p.delta.Blob[off : off+n]
	if other != nil {
		data = other
	}
	p.c.say(memberTopic(p.member, "part"), wire.AppendPart(nil, wire.Part{
		Blob: p.blob.Key(), Index: uint32(i), Count: uint32(p.blob.Count()), Data: data,
	}), false)
}

// granted returns the parts that were granted so far, oldest first.
func (p *played) granted() (list []int) {
	for _, r := range p.c.replies(p.member) {
		g, ok := r.(wire.Grant)
		if !ok || g.Blob != p.blob.Key() {
			continue
		}
		if g.Round != p.h.Round || g.Attempt != p.h.Attempt {
			p.c.w.t.Errorf("a grant of %d.%d for an offer of %d.%d", g.Round, g.Attempt, p.h.Round, p.h.Attempt)
		}
		for _, r := range g.Ranges {
			for i := r.First; i < r.End(); i++ {
				list = append(list, int(i))
			}
		}
	}
	return list
}

// send answers grants until n parts are sent, and returns them.
func (p *played) send(n int) []int {
	p.c.w.t.Helper()
	sent := 0
	for {
		list := p.granted()
		if sent == len(list) || sent == n {
			return list[:sent]
		}
		p.part(list[sent], nil)
		sent++
		synctest.Wait()
	}
}

// receipts counts the receipts of an update.
func (p *played) receipts() (n int) {
	for _, r := range p.c.replies(p.member) {
		if r, ok := r.(wire.Receipt); ok && r.Content == p.offer.Content {
			n++
		}
	}
	return n
}

// staged returns how many files lie in the aggregator's staging directory:
// none, as they have no names.
func (w *world) staged() int {
	w.t.Helper()
	left, err := os.ReadDir(filepath.Join(w.dir, aggregatorName, "tmp"))
	check(w.t, err)
	return len(left)
}

// attackLarge opens a round of the large task with two honest sites, b slow,
// and the member that the test plays.
func attackLarge(w *world, task aggregator.Task) (*client, wire.Header) {
	w.t.Helper()
	if w.set == nil {
		w.parts(smallParts)
	}
	task.Rounds = 1
	w.aggregate(task)
	w.join(three[0], walker{})
	w.join(three[1], walker{takes: 30 * time.Second})
	c := w.client("evil", own("order"), own("round"), own("event"), own("reply/"+evil), own("reply/"+three[1]))
	c.awaitView("the start", time.Minute, func(view) bool { return true })
	c.signUp(evil, 10, nil)
	c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" && v.Accepted == 1 })
	h, _ := c.order()
	return c, header(h)
}

// An update in parts is counted with its metrics and all its bytes; the same
// offer again gets the same receipt.
func TestUpload(t *testing.T) {
	for name, memory := range map[string]int{"memory": 0, "file": 1} {
		t.Run(name, func(t *testing.T) {
			if name == "memory" {
				racing.Skip(t, "a file has the goroutines, and more")
			}
			inBubble(t, func(w *world) {
				w.set = func(cfg *aggregator.Config) { cfg.PartSize, cfg.StageMemory = smallParts, memory }
				c, h := attackLarge(w, w.large())
				p := c.play(evil, h, 0.25)
				p.say()
				if e := c.events("offered"); len(e) != 2 || e[1].Member != evil {
					t.Errorf("events of offers: %v", e)
				}
				if got := p.send(math.MaxInt); len(got) != p.blob.Count() {
					t.Errorf("%d parts granted and sent, want %d", len(got), p.blob.Count())
				}
				p.say()
				if n := p.receipts(); n != 2 {
					t.Errorf("%d receipts", n)
				}
				if n := w.staged(); n != 0 {
					t.Errorf("%d names in tmp", n)
				}
				unharmed(w, verdict.Counted)
				e := w.recorded(1, record.Committed, time.Minute).Entries[2]
				if e.Samples != 10 || len(e.Metrics) == 0 || e.Bytes < 400_000 || e.Bytes > 420_000 || e.Norm == 0 {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// What a member sends that is not the part it offered is not taken, and what
// it offered still is.
func TestHostileParts(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attackLarge(w, w.large())
		p := c.play(evil, h, 0.25)
		p.say()
		first := p.granted()[0]
		off, n := p.blob.Span(first)
		other := append([]byte{}, p.delta.Blob[off:off+n]...)
		other[5]++
		p.part(first, other)
		p.part(first, other[:n-1])
		stranger := *p
		stranger.member = "x/line-1"
		stranger.part(first, nil) // of another's upload
		p.c.say(memberTopic(evil, "part"), []byte("junk"), false)
		c.awaitView("bad parts are counted", time.Minute, func(v view) bool { return v.Refusals["malformed"] == 3 })
		strange := 3000
		if racing.On {
			strange = 300
		}
		for range strange { // of nothing that was offered; who is behind drops some
			p.c.say(memberTopic(evil, "part"), wire.AppendPart(nil, wire.Part{Blob: wire.BlobKey{1}, Count: 4000, Data: other}), false)
		}
		synctest.Wait()
		got := p.send(math.MaxInt)
		time.Sleep(time.Second) // a receipt waits for others
		if len(got) != p.blob.Count() || p.receipts() != 1 {
			t.Errorf("%d parts sent, want %d; %d receipts", len(got), p.blob.Count(), p.receipts())
		}
		for range 100 { // of an upload that is over
			p.part(0, nil)
		}
		unharmed(w, verdict.Counted)
	})
}

// A value that the grid does not hold refuses the update with the part it is
// in; parts whose content is another one refuse it at the end; neither is asked
// for a second time.
func TestHostileUploads(t *testing.T) {
	bad := func(x float32) func(*played) {
		return func(p *played) {
			v, err := p.delta.Float32s("w")
			check(p.c.w.t, err)
			v[3] = x
			check(p.c.w.t, p.delta.SetFloat32s("w", v))
			*p = *p.c.playDelta(p.member, p.h, p.delta)
		}
	}
	for name, x := range map[string]struct {
		change func(*played)
		want   verdict.Reason
		parts  bool // all of them are sent
	}{
		"NaN":           {bad(float32(math.NaN())), verdict.NotFinite, false},
		"out of range":  {bad(64.5), verdict.OutOfRange, false},
		"other content": {func(p *played) { p.offer.Content[0]++ }, verdict.Malformed, true},
		"no samples":    {func(p *played) { p.offer.Samples = 0 }, verdict.OutOfRange, false},
		"other tensors": {func(p *played) {
			s, err := model.NewSchema(model.Spec{Name: "v", DType: model.F32, Shape: []int{100_000}})
			check(p.c.w.t, err)
			p.offer.Schema = s
		}, verdict.SchemaMismatch, false},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "NaN" && name != "other content" {
				racing.Skip(t, "refused at its offer it has no goroutines")
			}
			inBubble(t, func(w *world) {
				c, h := attackLarge(w, w.large())
				p := c.play(evil, h, 0.25)
				x.change(p)
				p.say()
				sent := len(p.send(math.MaxInt))
				r, ok := c.refusal(evil)
				if !ok || r.Reason != x.want.String() || r.Content != p.offer.Content {
					t.Fatalf("refusal %+v, want %s", r, x.want)
				}
				if x.parts != (sent == p.blob.Count()) || !x.parts && sent > 1 {
					t.Errorf("%d of %d parts were taken", sent, p.blob.Count())
				}
				p.say()
				if again := len(p.granted()); again != sent {
					t.Errorf("%d parts granted for what was refused for good, %d before", again, sent)
				}
				unharmed(w, x.want)
			})
		})
	}
}

// A member that offers something else again and again has one upload at a
// time, and its last one counts.
func TestOffersReplaced(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attackLarge(w, w.large())
		var p *played
		offers := 100
		if racing.On {
			offers = 10
		}
		for i := range offers {
			p = c.play(evil, h, float32(i+1)/128) // zeros would not travel
			p.say()
			p.send(2)
		}
		v := c.awaitView("the last offer", time.Minute, func(v view) bool { return v.Uploads.Running > 0 })
		if v.Uploads.Running != 1 || v.Uploads.Waiting != 0 || v.Uploads.Total != 400_000 {
			t.Errorf("%+v", v.Uploads)
		}
		sent := map[int]bool{}
		for len(sent) < p.blob.Count() {
			for _, i := range p.granted() {
				if !sent[i] {
					sent[i] = true
					p.part(i, nil)
				}
			}
			synctest.Wait()
		}
		unharmed(w, verdict.Counted)
		if e := w.recorded(1, record.Committed, time.Minute).Entries[2]; e.Content != p.offer.Content {
			t.Errorf("counted %s, want the last, %s", e.Content, p.offer.Content)
		}
	})
}

// An attempt that is abandoned does not end an upload: the next one goes on
// with what is missing.
func TestUploadOutlivesItsAttempt(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.large()
		task.Quorum = 3
		c, h := attackLarge(w, task)
		p := c.play(evil, h, 0.25)
		p.say()
		before := p.send(20)
		w.recorded(1, record.Abandoned, 3*time.Minute)
		c.awaitView("the next attempt", time.Minute, func(v view) bool { return v.Attempt == 2 && v.Phase == "open" })
		p.say() // as a site does that hears of another attempt
		time.Sleep(10 * time.Second)
		sent := map[int]bool{}
		for _, i := range before {
			sent[i] = true
		}
		again := 0
		for _, i := range p.granted()[20:] {
			if sent[i] {
				again++
			}
		}
		if again > 0 {
			t.Errorf("%d parts granted again that were there", again)
		}
		for len(sent) < p.blob.Count() {
			n := len(sent)
			for _, i := range p.granted() {
				if !sent[i] {
					sent[i] = true
					p.part(i, nil)
				}
			}
			synctest.Wait()
			if n == len(sent) {
				t.Fatalf("no grants after %d parts", n)
			}
		}
		r := w.recorded(1, record.Committed, time.Minute)
		if r.Attempt != 2 || counted(r) != 3 {
			t.Error(w.story())
		}
	})
}

// At the deadline an upload that runs gets a tenth of it more, and no longer.
func TestGrace(t *testing.T) {
	for name, inTime := range map[string]bool{"in time": true, "too late": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				c, h := attackLarge(w, w.large())
				p := c.play(evil, h, 0.25)
				p.say()
				list := p.send(p.blob.Count() - 1)
				time.Sleep(time.Duration(p.deadline()-time.Now().UnixMilli())*time.Millisecond + 3*time.Second)
				if n := len(w.all()); n != 1 {
					t.Fatalf("closed at the deadline, with an upload running: %s", w.story())
				}
				if !inTime {
					time.Sleep(4 * time.Second)
				}
				if len(list) != p.blob.Count()-1 {
					t.Fatalf("%d parts", len(list))
				}
				p.part(p.granted()[len(list)], nil)
				r := w.recorded(1, record.Committed, time.Minute)
				if want := map[bool]int{true: 3, false: 2}[inTime]; counted(r) != want {
					t.Error(w.story())
				}
			})
		})
	}
}

// deadline is when the open attempt's is over, in milliseconds.
func (p *played) deadline() int64 {
	return p.c.awaitView("an open attempt", time.Minute, func(v view) bool { return v.Phase == "open" }).OpenedMS + 60_000
}

// An upload ends with its round: what still comes of it is not taken, its offer
// is answered with what became of it, and the next one begins anew.
func TestUploadEndsWithItsRound(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		w.aggregate(w.large())
		w.join(three[0], walker{takes: 30 * time.Second})
		w.join(three[1], walker{takes: 30 * time.Second})
		c := w.client("evil", own("order"), own("round"), own("event"), own("reply/"+evil))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		c.signUp(evil, 10, nil)
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		h, _ := c.order()
		p := c.play(evil, header(h), 0.25)
		p.say()
		p.send(10)
		w.recorded(1, record.Committed, 3*time.Minute)
		v := c.awaitView("round 2", time.Minute, func(v view) bool { return v.Round == 2 && v.Phase == "open" })
		if v.Uploads.Running+v.Uploads.Waiting != 0 {
			t.Errorf("round 2 begins with %+v", v.Uploads)
		}
		granted := len(p.granted())
		for i := range p.blob.Count() {
			p.part(i, nil)
		}
		time.Sleep(5 * time.Second)
		p.say()
		settled := false
		for _, r := range c.replies(evil) {
			s, ok := r.(wire.Settled)
			settled = settled || ok && s.Round == 1 && s.Content == p.offer.Content
		}
		if n := len(p.granted()); n != granted || !settled {
			t.Errorf("%d parts granted, %d when the round ended; settled: %v", n, granted, settled)
		}
		h, _ = c.order()
		p = c.play(evil, header(h), 0.5)
		p.say()
		p.send(math.MaxInt)
		if r := w.recorded(2, record.Committed, 3*time.Minute); r.Entries[2].Content != p.offer.Content || counted(r) != 3 {
			t.Error(w.story())
		}
	})
}

// With more uploads than places the others wait, are told so, and come next.
func TestUploadsWait(t *testing.T) {
	inBubble(t, func(w *world) {
		w.set = func(cfg *aggregator.Config) { cfg.PartSize, cfg.Uploads = smallParts, 1 }
		task := w.large()
		task.Rounds, task.StartWhen, task.Quorum = 1, 2, 2
		w.aggregate(task)
		members := []string{evil, "x/line-1"}
		c := w.client("evil", own("order"), own("round"), own("reply/"+members[0]), own("reply/"+members[1]))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		for _, m := range members {
			c.signUp(m, 10, nil)
		}
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		h, _ := c.order()
		first, second := c.play(members[0], header(h), 0.25), c.play(members[1], header(h), 0.5)
		first.say()
		second.say()
		wait, ok := wire.Wait{}, false
		for _, r := range c.replies(members[1]) {
			if x, is := r.(wire.Wait); is {
				wait, ok = x, true
			}
		}
		if !ok || wait.Ahead != 1 || wait.Content != second.offer.Content || len(second.granted()) > 0 {
			t.Errorf("the second: told to wait: %v, %+v; granted %v", ok, wait, second.granted())
		}
		c.awaitView("one of them", 10*time.Second, func(v view) bool { return v.Uploads.Running == 1 && v.Uploads.Waiting == 1 })
		first.send(math.MaxInt)
		second.send(math.MaxInt)
		if r := w.recorded(1, record.Committed, time.Minute); counted(r) != 2 {
			t.Error(w.story())
		}
	})
}

// The same update inline ends its upload, and counts once.
func TestInlineEndsAnUpload(t *testing.T) {
	inBubble(t, func(w *world) {
		w.set = func(cfg *aggregator.Config) { cfg.PartSize = 1 << 20 }
		task := w.large()
		task.Rounds, task.StartWhen, task.Quorum, task.Goal = 1, 2, 2, 2
		w.aggregate(task)
		c := w.client("evil", own("order"), own("round"), own("reply/"+evil))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		c.signUp(evil, 10, nil)
		c.signUp(three[0], 10, nil)
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		h, _ := c.order()
		p := c.play(evil, header(h), 0.25)
		p.say()
		p.send(10)
		c.update(header(h), wire.Update{Samples: 10, Tensors: p.delta})
		c.awaitView("no upload", 10*time.Second, func(v view) bool { return v.Accepted == 1 && v.Uploads.Running == 0 })
		granted := len(p.granted())
		for i := range p.blob.Count() {
			p.part(i, nil)
		}
		p.say()
		if n := len(p.granted()); n != granted || p.receipts() != 2 {
			t.Errorf("%d parts granted, %d before; %d receipts", n, granted, p.receipts())
		}
	})
}

// Parts larger than part_size are not asked for; the same update cut smaller is.
func TestOfferOfLargerParts(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attackLarge(w, w.large())
		p := c.play(evil, h, 0.25)
		larger := *p
		var err error
		larger.blob, err = wire.NewBlob(p.delta.Blob, 2*smallParts)
		check(t, err)
		larger.offer.Blob = larger.blob
		time.Sleep(2 * time.Second)
		larger.say()
		if r, ok := c.refusal(evil); !ok || r.Reason != "too_large" || len(larger.granted()) > 0 {
			t.Errorf("parts of 16 KiB: %+v, granted %v", r, larger.granted())
		}
		p.say()
		p.send(math.MaxInt)
		unharmed(w, verdict.Counted)
	})
}

// What was granted before the aggregator's link was lost is granted again at
// the connect, without waiting for it to expire.
func TestReconnectGrantsAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attackLarge(w, w.large())
		p := c.play(evil, h, 0.25)
		p.say()
		sent := len(p.send(10))
		before := len(p.granted())
		w.cut(aggregatorName)
		time.Sleep(10 * time.Second)
		again := p.granted()[before:]
		if len(again) != 1 || again[0] != p.granted()[sent] {
			t.Errorf("granted again %v, want the first of %v", again, p.granted()[sent:before])
		}
	})
}

// An offer whose attempt lapses in the same breath is not asked for.
func TestOfferOfALapsedAttempt(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		task := w.large()
		task.StartWhen, task.Quorum = 2, 2
		w.aggregate(task)
		const other = "x/line-1"
		c := w.client("evil", own("order"), own("round"), own("reply/"+evil), own("reply/"+other))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		c.signUp(evil, 10, nil)
		c.signUp(other, 10, nil)
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		h, _ := c.order()
		p := c.play(other, header(h), 0.25)
		bad := c.play(evil, header(h), 0.5)
		bad.offer.Samples = 0 // refused for good
		c.say(memberTopic(other, "update"), w.seal(other, wire.KindUpdate, header(h), wire.Decline{Reason: "no_data"}, nil), false)
		synctest.Wait()
		open := w.shut()
		p.say() // after all
		bad.say()
		open()
		v := c.awaitView("the next attempt", time.Minute, func(v view) bool { return v.Attempt == 2 && v.Phase == "open" })
		if r := w.recorded(1, record.Abandoned, time.Second); r.Counts()["declined"] != 1 || r.Counts()["out_of_range"] != 1 {
			t.Error(w.story())
		}
		if v.Uploads.Running != 0 || len(p.granted()) > 0 {
			t.Errorf("%+v, granted %v", v.Uploads, p.granted())
		}
	})
}
