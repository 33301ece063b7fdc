package virtual

import (
	"maps"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// Every server optimiser gives the same models and states with and without a restart of
// the aggregator, its parameters stand in the records, and a replay makes all again.
func TestServerOptimisers(t *testing.T) {
	racing.Skip(t, "TestKeptState has the goroutines of one of them")
	inBubble(t, func(w *world) {
		seen := map[model.Hash]string{}
		for _, about := range (strategy.Registry{}).AboutServers() {
			whole, again := w.optimised(about.Name, false), w.optimised(about.Name, true)
			if whole.Model != again.Model || whole.State != again.State || whole.State.IsZero() {
				t.Errorf("%s: %s and %s, with a restart %s and %s", about.Name, whole.Model, whole.State, again.Model, again.State)
			}
			if other, ok := seen[whole.Model]; ok {
				t.Errorf("%s gives what %s does", about.Name, other)
			}
			seen[whole.Model] = about.Name
			all, err := strategy.Registry{}.ServerSettings(about.Name, nil)
			check(t, err)
			if s := whole.Strategy; about.Name != strategy.SGD && (s.Server != about.Name || !maps.Equal(s.ServerParams, record.Settings(all))) {
				t.Errorf("%s: the record says %s %v, want %v", about.Name, s.Server, s.ServerParams, all)
			}
		}
	})
}

// optimised returns the record of the last round of training.
func (w *world) optimised(server string, restart bool) (last record.Record) {
	n := newWorld(w.t)
	task := n.task()
	task.Rounds, task.Server, task.KeepUpdates = 4, server, aggregator.KeepAll
	n.aggregate(task)
	for i, m := range three {
		n.join(m, walker{rows: 10 * (i + 1)})
	}
	if restart {
		n.recorded(2, record.Committed, time.Minute)
		n.end(aggregatorName)
		n.aggregate(task)
	}
	n.finished(5 * time.Minute)
	n.endAll()
	for _, r := range n.history() {
		if r.Trained() {
			last = r
		}
	}
	return last
}

// Other parameters of the optimiser in the configuration count from the next round on: it
// begins anew there, and the record says so. The strategy of the open round stays.
func TestOtherServerParams(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Server, task.KeepUpdates = 4, "momentum", aggregator.KeepAll
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: 20 * time.Second})
		}
		w.recorded(1, record.Committed, time.Minute)
		time.Sleep(10 * time.Second) // round 2 is open
		w.end(aggregatorName)
		task.ServerParams = strategy.Settings{"beta": .5}
		w.aggregate(task)
		w.finished(5 * time.Minute)
		w.endAll()
		for _, r := range w.history() {
			if !r.Trained() {
				continue
			}
			want := map[bool]float64{true: .9, false: .5}[r.Round <= 2]
			if got := r.Strategy.ServerParams["beta"]; got != want {
				t.Errorf("round %d: beta %v, want %v", r.Round, got, want)
			}
			if (len(r.Notes) == 1) != (r.Round == 3) {
				t.Errorf("round %d: notes %q", r.Round, r.Notes)
			}
		}
	})
}
