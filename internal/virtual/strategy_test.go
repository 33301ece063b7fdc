package virtual

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/strategytest"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// tightening is FedAvg that counts its rounds.
type tightening struct{ strategy.Linear }

type tighteningFold struct {
	strategy.Fold
	rounds int
}

func (s tightening) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	f, err := s.Linear.Begin(r, nil)
	return tighteningFold{f, len(r.Carried) + 1}, err
}

func (f tighteningFold) Finish(all *strategy.Updates, out *strategy.Output) error {
	out.Carry(make([]byte, f.rounds))
	return f.Fold.Finish(all, out)
}

// What strategy and server optimiser keep is as durable as the model: with and without
// a restart in the middle the same bits, which a replay makes again; it goes
// with its version of the model. The thresholds that follow from it are fixed when
// a round is opened, and stand in its record.
func TestKeptState(t *testing.T) {
	inBubble(t, func(w *world) {
		plain, restarted := w.trainedWith("halfkept", false), w.trainedWith("halfkept", true)
		if !slices.Equal(plain, restarted) {
			t.Errorf("with a restart %v, without %v", restarted, plain)
		}
		if sgd := w.trainedWith("", false); sgd[len(sgd)-1] == plain[len(plain)-1] {
			t.Error("the state changes nothing")
		}
	})
}

// Another strategy or guard in the configuration is that of the rounds that open from then
// on: an open round ends as it has begun.
func TestOtherStrategy(t *testing.T) {
	inBubble(t, func(w *world) {
		w.strategies = ownStrategies
		task := w.task()
		task.Strategy, task.Server, task.KeepUpdates = "tightening", "halfkept", aggregator.KeepAll
		w.aggregate(task)
		for _, m := range three[:2] {
			w.join(m, walker{takes: 20 * time.Second})
		}
		w.join(three[2], walker{takes: 30 * time.Second})
		w.recorded(1, record.Committed, time.Minute)
		time.Sleep(10 * time.Second) // round 2 is open
		w.end(aggregatorName)
		task.Strategy, task.Server, task.Guard = "", "", &strategy.Guard{}
		w.aggregate(task)
		w.finished(5 * time.Minute)
		w.endAll()
		for _, r := range w.history() {
			want := map[uint64]string{1: "tightening halfkept", 2: "tightening halfkept", 3: "fedavg "}[r.Round]
			if got := r.Strategy.Name + " " + r.Strategy.Server; r.Work == strategy.Train && got != want || (r.Strategy.Thresholds != nil) != (r.Strategy.Name == "tightening") {
				t.Errorf("round %d, attempt %d: %s, thresholds %v, want %s", r.Round, r.Attempt, got, r.Strategy.Thresholds, want)
			}
		}
	})
}

// ownStrategies are those of the two dummies.
var ownStrategies = strategy.Registry{
	Strategies: []strategy.Strategy{tightening{strategy.Linear{ID: "tightening"}}}, Optimisers: []strategy.Optimiser{strategytest.Half{}},
}

// trainedWith runs a federation under an optimiser, with or without a restart of
// the aggregator, and returns models and states by round.
func (w *world) trainedWith(server string, restart bool) (ids []model.Hash) {
	n := newWorld(w.t)
	n.strategies = ownStrategies
	task := n.task()
	task.Rounds, task.Server, task.Weights, task.KeepUpdates, task.KeepModels = 4, server, "sqrt", aggregator.KeepAll, 1
	if server != "" {
		task.Strategy = "tightening"
	}
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
	var last model.Hash
	for _, r := range n.history() {
		// All are within: z gets smaller, by the same share each round.
		if want := 10 * math.Pow(10, -0.02*float64(r.Round-1)); r.Work == strategy.Train && math.Abs(r.Strategy.Thresholds["z"]-want) > 1e-9 {
			n.t.Errorf("round %d, attempt %d: thresholds %v, want z %v", r.Round, r.Attempt, r.Strategy.Thresholds, want)
		}
		if r.Verdict != record.Committed {
			continue
		}
		if r.Round == 5 && r.State != last { // the evaluation
			n.t.Error("a round without training has changed the state")
		}
		ids, last = append(ids, r.Model, r.State), r.State
	}
	best := n.best()
	st, err := store.Open(filepath.Join(n.dir, aggregatorName), store.Options{})
	check(n.t, err)
	for _, r := range n.all() {
		if has := !r.State.IsZero() && st.FindBlob(r.State); has != (r.Work == strategy.Train && r.Round >= 4 || r.Round == 5 || r.Round == best) {
			n.t.Errorf("%q, round %d: state on disk: %v", server, r.Round, has)
		}
	}
	check(n.t, st.Close())
	return ids
}
