package strategy_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// viewOf shows an update through one buffer, as if it lay in a file, or in pieces that do
// not end where values do.
func viewOf(m *model.Model) strategy.View {
	buf := make([]byte, strategy.MaxView)
	return func(off, least, most int) ([]byte, error) {
		if n := 5003 - off%5003; off < 50_000 {
			most = max(least, min(n, most))
		}
		return buf[:copy(buf[:most], m.Blob[off:])], nil
	}
}

// One pass over an update has the norm of Norm and the sums of Check and Add. What Check
// refuses is not taken, and what is not taken, or taken out again, leaves nothing, also
// in the tensors and blocks before the value that is to blame.
func TestOnePass(t *testing.T) {
	t.Parallel()
	const last = 1000 + 33 + 70_000 - 1
	schema := mustSchema(t, model.Spec{Name: "a", Shape: []int{1000}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{33}}, model.Spec{Name: "c", Shape: []int{70_000}})
	delta := func(at int, v float64) *model.Model {
		m := model.New(schema)
		fill(m, func(i int) float64 {
			if i == at {
				return v
			}
			return math.Sin(float64(i))
		})
		return m
	}
	g := fold.Grid{B: 6, W: 10}
	one, two := begin(t, model.New(schema), g), begin(t, model.New(schema), g)
	pass := one.Fold.(strategy.OnePass)
	sums := func(a *strategy.Aggregation) []byte { return a.Fold.(strategy.Tiered).AppendSums(nil) }
	for name, c := range map[string]struct {
		delta  *model.Model
		weight uint64
	}{
		"good": {delta(0, 1), 3}, "good too": {delta(3, -64), 5}, "last": {delta(last, 65), 3}, "in the middle": {delta(1001, math.NaN()), 3},
		"first": {delta(0, math.Inf(1)), 3}, "full": {delta(0, 0), 1025}, "no weight": {delta(0, 0), 0},
	} {
		u := update(c.delta, c.weight)
		want := two.Check(u)
		_, taken, err := pass.Take(update(nil, c.weight), math.Inf(1), viewOf(c.delta))
		if taken != (want == nil) || err != nil {
			t.Fatalf("%s: taken %v, %v; Check: %v", name, taken, err, want)
		}
		if taken {
			if err := pass.Back(update(nil, c.weight), viewOf(c.delta)); err != nil || !bytes.Equal(sums(one), sums(two)) {
				t.Errorf("%s: taken out again, and something is left; %v", name, err)
			}
			if norm, taken, err := pass.Take(update(nil, c.weight), math.Inf(1), viewOf(c.delta)); !taken || err != nil || norm != strategy.Norm(c.delta) {
				t.Errorf("%s: the norm %v, %v, want %v", name, norm, err, strategy.Norm(c.delta))
			}
			two.Add(u)
		}
		if !bytes.Equal(sums(one), sums(two)) {
			t.Errorf("%s: other sums than after Check and Add", name)
		}
	}
	gone := errors.New("gone")
	if _, taken, err := pass.Take(update(nil, 1), math.Inf(1), func(int, int, int) ([]byte, error) { return nil, gone }); taken || !errors.Is(err, gone) {
		t.Errorf("what cannot be read: %v, %v", taken, err)
	}
}

// A coefficient of the update's own wants its tensors: such a fold takes nothing early.
func TestOnePassWithCoefficient(t *testing.T) {
	t.Parallel()
	s := round(mustModel(t, model.F64, []float64{1}), fold.Grid{B: 6, W: 10})
	s.Strategy = "steps"
	a, err := strategy.Registry{Strategies: []strategy.Strategy{steps}}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, taken, err := a.Fold.(strategy.OnePass).Take(update(nil, 1), math.Inf(1), viewOf(mustModel(t, model.F64, []float64{8}))); taken || err != nil {
		t.Errorf("taken %v, %v", taken, err)
	}
}
