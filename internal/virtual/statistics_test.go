package virtual

import (
	"context"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// counter is a walker with data: two features, the second of them constant.
type counter struct {
	walker
	data []float64
}

func (c counter) Samples() int { return len(c.data) }

func (c counter) Statistics(context.Context, trainer.Job) (*model.Model, error) {
	time.Sleep(c.takes)
	n := float64(len(c.data))
	mean, m2 := 0.0, 0.0
	for _, x := range c.data {
		mean += x / n
	}
	for _, x := range c.data {
		m2 += (x - mean) * (x - mean)
	}
	return moments([]float64{n, n}, []float64{mean, 3}, []float64{m2, 0})
}

func moments(n, mean, m2 []float64) (*model.Model, error) {
	spec := func(name string) model.Spec { return model.Spec{Name: name, DType: model.F64, Shape: []int{len(n)}} }
	s, err := model.NewSchema(spec("n"), spec("mean"), spec("m2"))
	if err != nil {
		return nil, err
	}
	m := model.New(s)
	for name, v := range map[string][]float64{"n": n, "mean": mean, "m2": m2} {
		if err := m.SetFloat64s(name, v); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// scaled is a model with a place for the z-score of two features.
func scaled(t *testing.T) *model.Model {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "w", DType: model.F32, Shape: []int{2}},
		model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{2}, Rule: model.Keep},
		model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{2}, Rule: model.Keep})
	check(t, err)
	m := model.New(s)
	check(t, m.SetFloat64s(model.ZSDName, []float64{1, 1}))
	return m
}

// The first round finds mean and deviation over the rows of all sites, with a
// restart in the middle and a member that wants the sum to overflow; training
// leaves them alone.
func TestStatistics(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Statistics, task.Init, task.Rounds = true, scaled(t), 1
		w.aggregate(task)
		w.join(three[0], counter{data: []float64{1e7, 1e7 + 1}})
		w.join(three[1], counter{data: []float64{1e7 + 2, 1e7 + 3, 1e7 + 4}, walker: walker{takes: 20 * time.Second}})
		c := w.client("evil", own("order"), own("round"), own("reply/"+evil), own("event"))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		c.signUp(evil, 10, nil)
		c.awaitView("one is in", time.Minute, func(v view) bool { return v.Work == "statistics" && v.Accepted == 1 })
		h, _ := c.order()
		for _, bad := range [][3]float64{{1, math.MaxFloat64, 0}, {1, 0, math.MaxFloat64}, {-1, 0, 0}, {0.5, 0, 0}, {1, math.NaN(), 0}} {
			m, err := moments([]float64{bad[0], 1}, []float64{bad[1], 1}, []float64{bad[2], 1})
			check(t, err)
			c.update(header(h), wire.Update{Samples: 10, Tensors: m})
			if r, ok := c.refusal(evil); !ok || r.Reason != "out_of_range" && r.Reason != "not_finite" {
				t.Errorf("%v: %+v", bad, r)
			}
		}
		w.end(aggregatorName)
		w.aggregate(task)
		r := w.recorded(1, record.Committed, 2*time.Minute)
		if v := r.Entries[2].Verdict; v == verdict.Counted || r.Work != "statistics" {
			t.Error(w.story())
		}
		w.recorded(2, record.Committed, 5*time.Minute)
		w.endAll()
		mean, sd := zScore(w, task.Init.Schema, w.history()[2].Model)
		if mean[0] != 1e7+2 || mean[1] != 3 || sd[0] != math.Sqrt(2) || sd[1] != 1 {
			t.Errorf("mean %v, sd %v; want 10000002 and 3, the root of 2 and 1", mean, sd)
		}
	})
}

// zScore reads a model that is on the aggregator's disk.
func zScore(w *world, s model.Schema, id model.Hash) (mean, sd []float64) {
	w.t.Helper()
	st, err := store.Open(filepath.Join(w.dir, aggregatorName), store.Options{})
	check(w.t, err)
	blob, err := st.Blob(id)
	check(w.t, err)
	check(w.t, st.Close())
	m := &model.Model{Schema: s, Blob: blob}
	mean, err = m.Float64s(model.ZMeanName)
	check(w.t, err)
	sd, err = m.Float64s(model.ZSDName)
	check(w.t, err)
	return mean, sd
}

// wide is a walker with statistics of many features.
type wide struct {
	walker
	features int
}

func (x wide) Statistics(ctx context.Context, job trainer.Job) (*model.Model, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(x.takes):
	}
	n, mean, m2 := make([]float64, x.features), make([]float64, x.features), make([]float64, x.features)
	rnd := job.Rand()
	for i := range n {
		n[i], mean[i], m2[i] = float64(x.rows), rnd.Float64(), rnd.Float64()
	}
	return moments(n, mean, m2)
}

// Statistics of thousands of features travel in parts, lie in memory, in files
// or among the kept updates until the round's end, and give the bits that they
// give inline.
func TestLargeStatistics(t *testing.T) {
	const features = 2000
	wideTask := func(w *world) aggregator.Task {
		s, err := model.NewSchema(
			model.Spec{Name: "w", DType: model.F32, Shape: []int{features}},
			model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{features}, Rule: model.Keep},
			model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{features}, Rule: model.Keep})
		check(w.t, err)
		task := w.task()
		task.Statistics, task.Init, task.Rounds = true, model.New(s), 1
		return task
	}
	run := func(w *world, task aggregator.Task, restart bool) []record.Record {
		w.aggregate(task)
		for i, m := range three {
			w.join(m, wide{walker{rows: 10 * (i + 1), takes: time.Duration(1+9*(i/2)) * time.Second}, features})
		}
		if restart {
			c := w.client("watch", own("round"))
			c.awaitView("two are in", time.Minute, func(v view) bool { return v.Work == "statistics" && v.Accepted == 2 })
			w.end(three[0]) // it does not offer again
			w.end(aggregatorName)
			w.aggregate(task)
			c.awaitView("they are there again", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Accepted == 2 })
			w.join(three[0], wide{walker{rows: 10, takes: time.Second}, features})
		}
		w.finished(10 * time.Minute)
		w.endAll()
		return w.history()
	}
	for name, x := range map[string]struct {
		memory  int
		keep    aggregator.Keep
		restart bool
	}{
		"in memory":            {0, aggregator.KeepNone, false},
		"in files":             {1, aggregator.KeepNone, false},
		"kept, with a restart": {1, aggregator.KeepRound, true},
	} {
		t.Run(name, func(t *testing.T) {
			if !x.restart {
				racing.Skip(t, "a restart has the goroutines, and more")
			}
			inBubble(t, func(w *world) {
				w.set = func(cfg *aggregator.Config) { cfg.PartSize, cfg.StageMemory = wire.MinPart, x.memory }
				task := wideTask(w)
				task.KeepUpdates = x.keep
				got := run(w, task, x.restart)
				calm := newWorld(t)
				calm.parts(4 << 20)
				want := run(calm, wideTask(calm), false)
				sameModels(w, got, want)
			})
		})
	}
}
