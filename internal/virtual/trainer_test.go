package virtual

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// walker is a trainer that takes a seeded random step, so that every member
// and round has an update of its own, and the same one in every life.
type walker struct {
	rows  int           // default 10
	takes time.Duration // default 1 s
	still bool          // the model comes back as it went
	runs  *atomic.Int32 // trainings begun
}

func (w walker) Samples() int {
	if w.rows == 0 {
		return 10
	}
	return w.rows
}

func (w walker) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if w.runs != nil {
		w.runs.Add(1)
	}
	if w.takes == 0 {
		w.takes = time.Second
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(w.takes):
	}
	local := global.Clone()
	if w.still {
		return local, nil
	}
	p, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	rnd := job.Rand()
	for i := range p {
		p[i] += rnd.Float32() - 0.5
	}
	return local, local.SetFloat32s("w", p)
}

func (w walker) Evaluate(_ context.Context, _ trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	p, err := global.Float32s("w")
	if err != nil {
		return trainer.Evaluation{}, err
	}
	n := float64(w.Samples())
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: n, trainer.SumLoss: n * float64(p[0]), trainer.SumSE: n * 4}}, nil
}

// weights is a model of a vector and a tensor that is kept.
func weights(t testing.TB, w ...float32) *model.Model {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "w", DType: model.F32, Shape: []int{len(w)}},
		model.Spec{Name: "fixed", DType: model.F64, Shape: []int{1}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	if err := m.SetFloat32s("w", w); err != nil {
		t.Fatal(err)
	}
	return m
}
