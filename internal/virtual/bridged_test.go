package virtual

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
)

// bridged is a federation whose sites are at a plant with a broker of its own.
type bridged struct {
	*world
	plant *world
	b     *bridge
	runs  []*atomic.Int32
	view  *client // at the enterprise
	local *client // at the plant, and hears every part that comes across
}

// bridgeRate is slow enough to cut the line while a model crosses it: 10 s.
const bridgeRate = 40_000

// acrossBridge runs three sites behind a bridge for three rounds and an
// evaluation, has cut do its work, and compares with one broker and no fault.
func acrossBridge(t *testing.T, cut func(f *bridged)) {
	t.Helper()
	inBubble(t, func(w *world) {
		f := &bridged{world: w, plant: newWorld(w.t)}
		w.parts(8 << 10)
		w.network("bridge", &line{rate: bridgeRate})
		f.b = w.bridge(f.plant, w.task().Members...)
		f.view = w.client("watch", own("round"), memberTopic(three[2], "join"))
		f.local = f.plant.client("watch", own("model/+/+"))
		task := w.large()
		task.Quorum, task.StartWhen, task.Deadline = 3, 3, time.Hour
		w.aggregate(task)
		for range three {
			f.runs = append(f.runs, new(atomic.Int32))
		}
		cut(f)
		w.finished(30 * time.Minute)
		f.plant.endAll()
		w.endAll()
		f.plant.settled(three...)
		recs := w.history()
		for _, r := range recs[1:] {
			if r.Verdict != record.Committed || r.Attempt != 1 || counted(r) != 3 {
				t.Errorf("round %d: %s in attempt %d with %d counted, want committed, 1 and 3", r.Round, r.Verdict, r.Attempt, counted(r))
			}
		}
		sameModels(w, recs, whole(w))
		for i, n := range f.runs {
			if n.Load() != 3 {
				t.Errorf("%s trained %d times in 3 rounds", three[i], n.Load())
			}
		}
		if n := f.b.near.dropped.Load() + f.b.far.dropped.Load(); n > 0 {
			t.Errorf("%d messages found a queue of the bridge full", n)
		}
	})
}

// sites starts the plant's sites; the last one trains for half a minute.
func (f *bridged) sites() {
	for i, m := range three {
		f.plant.join(m, walker{rows: 10 * (i + 1), takes: time.Duration(1+29*(i/2)) * time.Second, runs: f.runs[i]})
	}
}

// away cuts the line for a while.
func (f *bridged) away(d time.Duration) {
	f.b.set(f.world, true)
	time.Sleep(d)
	f.b.set(f.world, false)
}

// The moments at which the line is cut.

// joining: the last join has arrived, its welcome is on its way.
func (f *bridged) joining() {
	f.until("the last join", 2*time.Minute, func() bool { return len(f.view.all(memberTopic(three[2], "join"))) > 0 })
}

// pulling: a third of the parts of a round's model are at the plant.
func (f *bridged) pulling(round uint64) {
	slot := own("model/" + string(rune('0'+(round-1)%2)) + "/")
	f.local.forget()
	f.until("parts of the model", 5*time.Minute, func() bool { return f.local.under(slot) >= 17 })
	if n := f.local.under(slot); n > 40 {
		f.t.Fatalf("%d parts have crossed: too late for a cut", n)
	}
}

// uploading: a third of the first update of a round is at the enterprise.
func (f *bridged) uploading(round uint64) {
	f.view.awaitView("parts of updates", 5*time.Minute, func(v view) bool {
		return v.Round == round && v.Uploads.Received > 130_000 && v.Accepted == 0
	})
}

// waiting: two updates of a round are accepted, the third is in training or on
// its way.
func (f *bridged) waiting(round uint64) {
	f.view.awaitView("two updates", 5*time.Minute, func(v view) bool { return v.Round == round && v.Accepted == 2 })
}

// under is how many messages were heard below a topic.
func (c *client) under(topic string) (n int) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.heard {
		if strings.HasPrefix(m.Topic, topic) {
			n++
		}
	}
	return n
}

// Without a fault the bridge changes no bit.
func TestBridge(t *testing.T) {
	racing.Skip(t, "TestBridgeCut has its goroutines, and more")
	acrossBridge(t, (*bridged).sites)
}

// The line is cut for 10 minutes: no round is lost or tried again, nobody
// trains twice, nothing is counted twice.
func TestBridgeCut(t *testing.T) {
	for name, at := range map[string]func(*bridged){
		"before anybody joins": func(f *bridged) {
			f.b.set(f.world, true)
			f.sites()
			time.Sleep(10 * time.Minute)
			f.b.set(f.world, false)
		},
		"joining":   func(f *bridged) { f.sites(); f.joining(); f.away(10 * time.Minute) },
		"pulling":   func(f *bridged) { f.sites(); f.pulling(2); f.away(10 * time.Minute) },
		"uploading": func(f *bridged) { f.sites(); f.uploading(2); f.away(10 * time.Minute) },
		"waiting":   func(f *bridged) { f.sites(); f.waiting(2); f.away(10 * time.Minute) },
		"in every phase": func(f *bridged) {
			f.sites()
			f.joining()
			f.away(4 * time.Minute)
			f.pulling(2)
			f.away(4 * time.Minute)
			f.uploading(2)
			f.away(4 * time.Minute)
			f.pulling(3)
			f.away(4 * time.Minute)
			f.waiting(3)
			f.away(4 * time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "in every phase" {
				racing.Skip(t, "in every phase has all of it")
			}
			acrossBridge(t, at)
		})
	}
}

// Nobody is told that the line is dead: its ends find out by their keep-alives.
func TestBridgeSilent(t *testing.T) {
	racing.Skip(t, "TestBridgeCut has the goroutines of a bridge, TestPartition those of a silent line")
	for name, at := range map[string]func(*bridged){
		"pulling":   func(f *bridged) { f.pulling(2) },
		"uploading": func(f *bridged) { f.uploading(2) },
	} {
		t.Run(name, func(t *testing.T) {
			acrossBridge(t, func(f *bridged) {
				f.sites()
				at(f)
				f.lines["bridge"].hold(true, true)
				time.Sleep(10 * time.Minute)
				f.lines["bridge"].hold(false, false)
			})
		})
	}
}
