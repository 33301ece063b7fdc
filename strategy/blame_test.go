package strategy_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// fedavg begins a round on a model of zeros with one tensor.
func fedavg(t *testing.T, spec model.Spec, b int) (*strategy.Aggregation, *model.Model) {
	t.Helper()
	m := model.New(mustSchema(t, spec))
	return begin(t, m, fold.Grid{B: b, W: 10}), m
}

// A refused update says which value of which tensor, the limit, and the key
// that helps: at once and in parts.
func TestBlame(t *testing.T) {
	t.Parallel()
	inf := math.Inf(-1)
	for _, c := range []struct {
		b      int
		values []float64 // of 2 x 3
		reason error
		want   string
	}{
		{6, []float64{1, 2, 64, 0, 300.25, 999}, fold.ErrOutOfRange, `tensor "fc.weight": value [1 1] is 300.25, at most 64 = 2^6; strategy: {grid_b: 9} would take it`},
		{6, []float64{0, 0, 0, -64.5, 0, 0}, fold.ErrOutOfRange, `value [1 0] is -64.5, at most 64 = 2^6; strategy: {grid_b: 7}`},
		{-3, []float64{0.25, 0, 0, 0, 0, 0}, fold.ErrOutOfRange, `value [0 0] is 0.25, at most 0.125 = 2^-3; strategy: {grid_b: -2}`},
		{6, []float64{0, 1e8, 0, 0, 0, 0}, fold.ErrOutOfRange, `value [0 1] is 1e+08, at most 64 = 2^6; scale features (statistics: zscore) and target (scale), the largest grid_b is 24`},
		{6, []float64{0, 1e8, 0, 0, 0, math.NaN()}, fold.ErrNotFinite, `tensor "fc.weight": value [1 2] is NaN; training diverged?`},
		{6, []float64{0, 0, inf, 0, 0, 0}, fold.ErrNotFinite, `value [0 2] is -Inf;`},
	} {
		for _, dtype := range []model.DType{model.F32, model.F64} {
			s, m := fedavg(t, model.Spec{Name: "fc.weight", DType: dtype, Shape: []int{2, 3}}, c.b)
			var err error
			if dtype == model.F64 {
				err = m.SetFloat64s("fc.weight", c.values)
			} else {
				small := make([]float32, len(c.values))
				for i, v := range c.values {
					small[i] = float32(v)
				}
				err = m.SetFloat32s("fc.weight", small)
			}
			if err != nil {
				t.Fatal(err)
			}
			size := dtype.Size()
			for how, err := range map[string]error{
				"whole":     s.Check(update(m, 3)),
				"last five": s.CheckPart(update(nil, 3), m.Blob[size-1:], size-1),
			} {
				if how == "last five" && strings.Contains(c.want, "[0 0]") {
					continue // it is cut in two
				}
				if !errors.Is(err, c.reason) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 256 {
					t.Errorf("%v %s: %v, want %v: %s", dtype, how, err, c.reason, c.want)
				}
			}
		}
	}
	s, m := fedavg(t, model.Spec{Name: "w", Shape: []int{1}}, 6)
	if err := s.Check(update(m, 0)); !errors.Is(err, fold.ErrOutOfRange) || !strings.Contains(err.Error(), "the weight 0") {
		t.Errorf("weight 0: %v", err)
	}
}

// A model that cannot be averaged is refused with the cure.
func TestUnsupportedModels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec  model.Spec
		value float32
		want  string
	}{
		{model.Spec{Name: "h", DType: model.BF16, Shape: []int{1}}, 0, `tensor "h" is bf16 with the rule mean; f32 and f64 with the rule mean are averaged. Make it one of these, or leave it as it is, never averaged: {"h": "keep"}`},
		{model.Spec{Name: "n", DType: model.I64}, 0, `tensor "n" is i64 with the rule mean`},
		{model.Spec{Name: "m", Shape: []int{2, 1}}, float32(math.Inf(-1)), `tensor "m": value [1 0] is -Inf; a mean begins with finite values. Or leave it as it is, never averaged: {"m": "keep"} as the metadata fedmq.rules`},
		{model.Spec{Name: "k", Rule: model.Keep}, 0, "none of its 1 tensors is averaged, all have the rule keep"},
	} {
		m := model.New(mustSchema(t, c.spec))
		if c.value != 0 {
			if err := m.SetFloat32s(c.spec.Name, []float32{0, c.value}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := (strategy.Registry{}).Begin(round(m, fold.Grid{B: 6, W: 10}), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.spec.Name, err, c.want)
		}
	}
}
