package virtual

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// large is a task whose model of 0.4 MB is a hundred parts of the smallest size.
func (w *world) large() aggregator.Task {
	task := w.task()
	x := make([]float32, 100_000)
	for i := range x {
		x[i] = float32(i%1000) / 1000
	}
	task.Init = weights(w.t, x...)
	return task
}

// parts makes the aggregator cut what is larger into parts of so many bytes.
func (w *world) parts(size int) {
	w.set = func(cfg *aggregator.Config) { cfg.PartSize = size }
}

// whole is the history of the large task in one message each.
func whole(w *world) []record.Record {
	w.t.Helper()
	return wholeModels.history(w, func(calm *world) aggregator.Task {
		calm.parts(4 << 20)
		return calm.large()
	})
}

var wholeModels reference

// A model in parts, and updates in parts, give the bits that they give inline.
func TestLarge(t *testing.T) {
	for name, size := range map[string]int{"a leaf": wire.MinPart, "two leaves": smallParts, "odd": 5001} {
		t.Run(name, func(t *testing.T) {
			if name != "odd" {
				racing.Skip(t, "other sizes on the goroutines of the odd one")
			}
			inBubble(t, func(w *world) {
				w.parts(size)
				w.aggregate(w.large())
				for i, m := range three {
					w.join(m, walker{rows: 10 * (i + 1)})
				}
				w.finished(5 * time.Minute)
				w.endAll()
				w.settled(three...)
				sameModels(w, w.history(), whole(w))
			})
		})
	}
}

// disturbLarge runs the large task with a slow link of the last site, lets
// breakIt do its work when two updates of round 2 are in and a third of the
// last one's is there, and compares.
func disturbLarge(t *testing.T, breakIt func(w *world, runs []*atomic.Int32)) {
	t.Helper()
	inBubble(t, func(w *world) {
		w.parts(8 << 10)
		w.network(three[2], &line{rate: 40_000})
		w.aggregate(w.large())
		runs := make([]*atomic.Int32, 3)
		for i, m := range three {
			runs[i] = new(atomic.Int32)
			w.join(m, walker{rows: 10 * (i + 1), runs: runs[i]})
		}
		c := w.client("watch", own("round"))
		v := c.awaitView("a third of the last update of round 2", 2*time.Minute, func(v view) bool {
			return v.Round == 2 && v.Accepted == 2 && v.Uploads.Received > 130_000
		})
		if u := v.Uploads; u.Running != 1 || u.Total != 400_000 || len(u.Members) != 1 || u.Members[0].Member != three[2] || u.Members[0].Received != u.Received {
			t.Errorf("the view says %+v", u)
		}
		breakIt(w, runs)
		w.finished(20 * time.Minute)
		w.endAll()
		w.settled(three...)
		sameModels(w, w.history(), whole(w))
		for i, n := range runs {
			if n.Load() != 3 {
				t.Errorf("%s trained %d times in 3 rounds", three[i], n.Load())
			}
		}
	})
}

// The aggregator is stopped with an upload half way. The next process asks
// everybody again.
func TestLargeAggregatorRestarts(t *testing.T) {
	disturbLarge(t, func(w *world, _ []*atomic.Int32) {
		w.end(aggregatorName)
		w.aggregate(w.large())
		r := w.recorded(2, record.Committed, 5*time.Minute)
		if r.Attempt != 2 || counted(r) != 3 {
			w.t.Errorf("round 2: attempt %d with %d counted, want 2 and 3", r.Attempt, counted(r))
		}
	})
}

// The site is stopped half way through its upload. It goes on with what is
// missing, in the same attempt.
func TestLargeSiteRestarts(t *testing.T) {
	disturbLarge(t, func(w *world, runs []*atomic.Int32) {
		w.end(three[2])
		w.join(three[2], walker{rows: 30, runs: runs[2]})
		r := w.recorded(2, record.Committed, 5*time.Minute)
		if r.Attempt != 1 || counted(r) != 3 {
			w.t.Errorf("round 2: attempt %d with %d counted, want 1 and 3", r.Attempt, counted(r))
		}
		if up := r.Entries[2].Bytes; up < 400_000 || up > 450_000 {
			w.t.Errorf("%d bytes of an update of 400,000 and its offer", up)
		}
	})
}

// The broker is replaced by one that has forgotten everything, with an upload
// half way: it goes on, and all that the owner retains is back, parts and all.
func TestLargeBrokerForgets(t *testing.T) {
	disturbLarge(t, func(w *world, _ []*atomic.Int32) {
		w.stopBroker()
		time.Sleep(5 * time.Second)
		w.startBroker()
		r := w.recorded(2, record.Committed, 5*time.Minute)
		if r.Attempt != 1 || counted(r) != 3 {
			w.t.Errorf("round 2: attempt %d with %d counted, want 1 and 3", r.Attempt, counted(r))
		}
	})
}

// Each party in turn loses its connection.
func TestLargeLinksAreCut(t *testing.T) {
	disturbLarge(t, func(w *world, _ []*atomic.Int32) {
		for _, name := range append([]string{aggregatorName}, three...) {
			w.cut(name)
			time.Sleep(2 * time.Second)
		}
	})
}
