package strategy_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// One pass over an update has the verdict of Check, the norm of Norm and the sums of Add;
// what is refused or taken out again leaves nothing, also in the tensors before the one
// that is to blame.
func TestTake(t *testing.T) {
	t.Parallel()
	schema, err := model.NewSchema(model.Spec{Name: "a", Shape: []int{1000}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{33}}, model.Spec{Name: "c", Shape: []int{7}})
	if err != nil {
		t.Fatal(err)
	}
	good := model.New(schema)
	fill(good, func(i int) float64 { return math.Sin(float64(i)) })
	odd := func(i int, v float64) *model.Model {
		m := model.New(schema)
		fill(m, func(at int) float64 {
			if at == i {
				return v
			}
			return 1
		})
		return m
	}
	s := round(model.New(schema), fold.Grid{B: 6, W: 10})
	s.Strategy = "steps"
	g := strategy.Registry{Strategies: []strategy.Strategy{steps}}
	one, two := must(g.Begin(s, nil))(t), must(g.Begin(s, nil))(t)
	pass := one.Fold.(strategy.OnePass)
	sums := func(a *strategy.Aggregation) []byte { return a.Fold.(strategy.Tiered).AppendSums(nil) }
	for name, c := range map[string]struct {
		delta  *model.Model
		weight uint64
		steps  float64
	}{
		"good": {good, 3, 2}, "last": {odd(1039, 65), 3, 1}, "in the middle": {odd(1001, math.NaN()), 3, 1}, "first": {odd(0, math.Inf(1)), 3, 1},
		"no steps": {good, 3, 0}, "no steps, not finite": {odd(1039, math.NaN()), 3, 0}, "full": {good, 1025, 1}, "no weight": {good, 0, 1},
		"other tensors": {mustModel(t, model.F32, []float64{1}), 1, 1},
	} {
		u := update(c.delta, c.weight)
		u.Scalars = map[string]float64{"steps": c.steps}
		want := two.Check(u)
		_, err := pass.Take(u)
		if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() {
			t.Fatalf("%s: %v, want %v", name, err, want)
		}
		if want == nil {
			pass.Back(u)
			if !bytes.Equal(sums(one), sums(two)) {
				t.Errorf("%s: taken out again, and something is left", name)
			}
			if norm, err := pass.Take(u); err != nil || norm != two.Norm(u) {
				t.Errorf("%s: the norm %v, %v, want %v", name, norm, err, two.Norm(u))
			}
			two.Add(u)
		}
		if !bytes.Equal(sums(one), sums(two)) {
			t.Errorf("%s: other sums than after Check and Add", name)
		}
	}
}

// must ends a test at an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
