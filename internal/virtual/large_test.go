package virtual

import (
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/record"
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

// whole is a federation of the large task in one message each.
func whole(w *world) []record.Record {
	w.t.Helper()
	calm := newWorld(w.t)
	calm.parts(4 << 20)
	calm.aggregate(calm.large())
	for i, m := range three {
		calm.join(m, walker{rows: 10 * (i + 1)})
	}
	calm.finished(5 * time.Minute)
	calm.endAll()
	return calm.history()
}

// A model in parts, and updates in parts, give the bits that they give inline.
func TestLarge(t *testing.T) {
	for name, size := range map[string]int{"4 KiB": 4 << 10, "8 KiB": 8 << 10, "odd": 5001} {
		t.Run(name, func(t *testing.T) {
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
