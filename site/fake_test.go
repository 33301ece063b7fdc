package site

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// fake is a trainer that adds lr to every weight.
type fake struct {
	rows    int // default 10
	trained atomic.Int32
	active  atomic.Int32
	most    *atomic.Int32 // the most trainers active at once, over all tasks
	block   chan struct{} // training waits for it, or for its context
	deaf    bool          // the context is ignored
	err     error
	panics  bool
	nan     bool
	steps   int  // of 10 ms, each reported
	spoil   bool // changes the model it was given
	jobs    chan trainer.Job
	known   []string // settings
}

func (f *fake) Settings() []string { return f.known }

func (f *fake) Samples() int {
	if f.rows == 0 {
		return 10
	}
	return max(f.rows, 0)
}

func (f *fake) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	f.trained.Add(1)
	now := f.active.Add(1)
	defer f.active.Add(-1)
	if f.most != nil {
		f.most.Store(max(f.most.Load(), now))
	}
	set := struct {
		LR     float32 `json:"lr"`
		Epochs int     `json:"epochs"` // it is all the same to it
	}{}
	if err := job.Decode(&set); err != nil {
		return nil, err
	}
	if f.jobs != nil {
		f.jobs <- job
	}
	job.Report(1, 4)
	for i := range f.steps { // 10 ms each
		time.Sleep(10 * time.Millisecond)
		job.Report(i, f.steps)
	}
	if f.block != nil {
		if f.deaf {
			<-f.block
		} else {
			select {
			case <-f.block:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	if f.panics {
		panic("no such column")
	}
	local := global.Clone()
	if f.spoil {
		local = global
	}
	w, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range w {
		w[i] += set.LR
		if f.nan {
			w[i] = float32(math.NaN())
		}
	}
	if err := local.SetFloat32s("w", w); err != nil {
		return nil, err
	}
	return local, f.err
}

func (f *fake) Evaluate(_ context.Context, _ trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	w, err := global.Float32s("w")
	if err != nil {
		return trainer.Evaluation{}, err
	}
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 4, trainer.SumLoss: 4 * float64(w[0]), "bad": math.Inf(1)}}, nil
}

func (f *fake) Statistics(context.Context, trainer.Job) (*model.Model, error) {
	s, err := model.NewSchema(
		model.Spec{Name: "n", DType: model.F64, Shape: []int{2}},
		model.Spec{Name: "mean", DType: model.F64, Shape: []int{2}},
		model.Spec{Name: "m2", DType: model.F64, Shape: []int{2}})
	if err != nil {
		return nil, err
	}
	m := model.New(s)
	return m, m.SetFloat64s("n", []float64{10, 9})
}

// weights is a model of two weights and a tensor that is kept.
func weights(t *testing.T, w0, w1 float32) *model.Model {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "w", DType: model.F32, Shape: []int{2}},
		model.Spec{Name: "fixed", DType: model.F64, Shape: []int{1}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	if err := m.SetFloat32s("w", []float32{w0, w1}); err != nil {
		t.Fatal(err)
	}
	return m
}
