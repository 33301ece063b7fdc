package virtual

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// steady is a trainer for CSV rows that takes its time.
type steady struct{ *tabular.Trainer }

func (p steady) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	time.Sleep(10 * time.Second)
	return p.Trainer.Train(ctx, job, global)
}

// what happens to the parties of a federation in round 2.
type fate int

const (
	nothing fate = iota
	restarts
	kills // as kill -9: the disks are as they were in the middle of the round
)

// Strategies that need something of local training, from end to end: another model than
// FedAvg's, the same with restarts and kills of aggregator and site, replayed from the records.
func TestSteeredStrategies(t *testing.T) {
	inBubble(t, func(w *world) {
		seen := map[model.Hash]string{}
		for _, c := range []struct {
			name   string
			params strategy.Settings
		}{
			{strategy.FedAvg, nil},
			{"fedprox", strategy.Settings{"mu": .5}},
			{"fednova", nil},
			{"fednova", strategy.Settings{"mu": .1}},
			{"qfedavg", strategy.Settings{"q": 1., "L": 2.}},
			{"scaffold", strategy.Settings{"eta_g": .9}},
		} {
			if racing.On && c.name != "scaffold" { // the others have the goroutines of FedAvg alone
				continue
			}
			whole := w.steered(c.name, c.params, nothing)
			for _, f := range []fate{restarts, kills} {
				if again := w.steered(c.name, c.params, f); again.Model != whole.Model || again.State != whole.State {
					t.Errorf("%s: %s and %s, after %v %s and %s", c.name, whole.Model, whole.State, f, again.Model, again.State)
				}
			}
			if other, ok := seen[whole.Model]; ok {
				t.Errorf("%s %v gives what %s does", c.name, c.params, other)
			}
			seen[whole.Model] = c.name
		}
	})
}

// steered runs a federation and returns the record of its last round of training.
func (w *world) steered(name string, params strategy.Settings, f fate) (last record.Record) {
	n := newWorld(w.t)
	task := presses(w.t, n)
	task.Rounds, task.Strategy, task.StrategyParams, task.KeepUpdates = 4, name, params, aggregator.KeepAll
	task.Quorum, task.StartWhen = 3, 3
	task.Train = []byte(`{"epochs": 3, "lr": 0.2, "batch": 16}`)
	start := func(m string, i int) { n.join(m, steady{press(w.t, uint64(i+1), unlike(i))}) }
	n.aggregate(task)
	for i, m := range three {
		start(m, i)
	}
	if f != nothing {
		n.recorded(2, record.Committed, 5*time.Minute)
		time.Sleep(3 * time.Second) // all train in round 3
		for _, party := range []string{aggregatorName, three[1]} {
			dir := filepath.Join(n.dir, aggregatorName)
			if party != aggregatorName {
				dir = n.siteDir(party)
			}
			before := filepath.Join(w.t.TempDir(), "before")
			check(w.t, os.CopyFS(before, os.DirFS(dir)))
			n.end(party)
			if f == kills {
				check(w.t, os.RemoveAll(dir))
				check(w.t, os.Rename(before, dir))
			}
		}
		n.aggregate(task)
		start(three[1], 1)
	}
	n.finished(20 * time.Minute)
	n.endAll()
	for _, r := range n.history() {
		if r.Trained() {
			last = r
		}
	}
	if name == "scaffold" {
		n.meanOfControls(task, last)
	}
	return last
}

// unlike gives each site a class less.
func unlike(i int) func(*tabular.Config) {
	return func(c *tabular.Config) {
		kinds := []any{"ok", "worn", "dry"}
		c.Where = map[string]any{"result": []any{kinds[i%3], kinds[(i+1)%3]}}
	}
}

// meanOfControls holds the control variates of the model against those of the sites: where
// every update has counted they are their mean.
func (w *world) meanOfControls(task aggregator.Task, last record.Record) {
	init, err := task.Init.WithControls()
	check(w.t, err)
	size := task.Init.Schema.Elements()
	mean := make([]float64, size)
	for _, m := range three {
		st, err := store.Open(w.siteDir(m), store.Options{})
		check(w.t, err)
		var id model.Hash
		check(w.t, st.View(func(tx *store.Tx) error {
			b, err := tx.Get(store.Task, store.Key(taskName, "control"))
			copy(id[:], b)
			return err
		}))
		own, err := st.Blob(id)
		check(w.t, err)
		one := &model.Model{Schema: task.Init.Schema, Blob: own} // the same tensors in the same order
		for i, x := range flat(w.t, one, model.BiasName(0), model.WeightName(0)) {
			mean[i] += float64(x) / float64(len(three))
		}
		check(w.t, st.Close())
	}
	st, err := store.Open(filepath.Join(w.dir, aggregatorName), store.Options{})
	check(w.t, err)
	blob, err := st.Blob(last.Model)
	check(w.t, err)
	check(w.t, st.Close())
	c := flat(w.t, &model.Model{Schema: init.Schema, Blob: blob}, model.ControlName(model.BiasName(0)), model.ControlName(model.WeightName(0)))
	moved := false
	for i, x := range c {
		moved = moved || math.Abs(float64(x)) > .01
		if math.Abs(float64(x)-mean[i]) > 1e-5 {
			w.t.Errorf("control variate %d is %v, the mean of the sites %v", i, x, mean[i])
		}
	}
	if !moved {
		w.t.Error("the control variates are 0")
	}
}

func flat(t *testing.T, m *model.Model, names ...string) (all []float32) {
	t.Helper()
	for _, name := range names {
		x, err := m.Float32s(name)
		check(t, err)
		all = append(all, x...)
	}
	return all
}
