package tabular

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// sample makes n random rows; a tenth of the values is missing.
func sample(rng *rand.Rand, n, dim, classes int) *Data {
	c := Config{Train: "x.csv", ZClip: 3, Target: Target{Column: "y"}, Features: []Feature{{}}}
	for i := range dim {
		c.Features[0].Columns = append(c.Features[0].Columns, fmt.Sprint("x", i))
	}
	for i := range classes {
		c.Target.Classes = append(c.Target.Classes, string(rune('a'+i)))
	}
	if classes == 0 {
		c.Target.Offset, c.Target.Scale = 2, 4
	}
	d := dataOf(c)
	d.Train.N = n
	for range n {
		for range dim {
			v := rng.NormFloat64()*10 + 5
			if rng.IntN(10) == 0 {
				v = math.NaN()
			}
			d.Train.X = append(d.Train.X, v)
		}
		y := rng.NormFloat64()*4 + 2
		if classes > 0 {
			y = float64(rng.IntN(classes))
		}
		d.Train.Y = append(d.Train.Y, y)
	}
	d.Test = d.Train
	return d
}

// dataOf is what rows of a config are, without rows.
func dataOf(c Config) *Data {
	contract, err := c.Contract()
	if err != nil {
		panic(err)
	}
	p, err := pipeline.New(*contract)
	if err != nil {
		panic(err)
	}
	return &Data{Features: p.Features(), Classes: contract.Target.Classes, pipe: p}
}

// built returns a model with random biases and the z-score of d.
func built(tb testing.TB, rng *rand.Rand, d *Data, hidden ...int) *model.Model {
	tb.Helper()
	a := model.Arch{Kind: "mlp", Inputs: len(d.Features), Hidden: hidden, Outputs: max(1, len(d.Classes)), Task: "regression", Seed: 3}
	if d.Classes != nil {
		a.Task = "classification"
	}
	if len(hidden) == 0 {
		a.Kind = map[bool]string{true: "softmax", false: "linear"}[d.Classes != nil]
	}
	m, err := a.New(true)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range len(hidden) + 1 {
		for _, name := range []string{model.BiasName(i), model.WeightName(i)} {
			v, err := m.Float32s(name)
			if err != nil {
				tb.Fatal(err)
			}
			for j := range v {
				v[j] += float32(rng.NormFloat64() * 0.2)
			}
			if err := m.SetFloat32s(name, v); err != nil {
				tb.Fatal(err)
			}
		}
	}
	mean, sd := d.Moments().ZScore()
	if m, err = WithZScore(m, mean, sd); err != nil {
		tb.Fatal(err)
	}
	return m
}

func newRun(tb testing.TB, m *model.Model, d *Data, s Settings) *run {
	tb.Helper()
	batch := s.Batch
	if batch == 0 {
		batch = d.Train.N
	}
	n, err := newNetwork(m, d, batch)
	if err != nil {
		tb.Fatal(err)
	}
	r := &run{
		network: n, data: d, settings: s, rng: rand.New(rand.NewPCG(1, 1)), batch: batch,
		want: make([]float64, min(batch, chunkRows)), optimizer: newOptimizer(s, len(n.params)),
	}
	for i := range d.Train.N {
		r.order = append(r.order, i)
	}
	return r
}

func TestWidths(t *testing.T) {
	t.Parallel()
	w := func(name string, dtype model.DType, shape ...int) model.Spec {
		return model.Spec{Name: name, DType: dtype, Shape: shape}
	}
	for _, c := range []struct {
		name  string
		specs []model.Spec
	}{
		{"no layer", []model.Spec{w("fedmq.mean", model.F64, 3)}},
		{"unknown tensor", []model.Spec{w("layers.0.weight", model.F32, 1, 3), w("layers.0.bias", model.F32, 1), w("bn", model.F32, 3)}},
		{"no bias", []model.Spec{w("layers.0.weight", model.F32, 1, 3)}},
		{"bias of another size", []model.Spec{w("layers.0.weight", model.F32, 1, 3), w("layers.0.bias", model.F32, 2)}},
		{"not f32", []model.Spec{w("layers.0.weight", model.F64, 1, 3), w("layers.0.bias", model.F32, 1)}},
		{"three dimensions", []model.Spec{w("layers.0.weight", model.F32, 1, 3, 1), w("layers.0.bias", model.F32, 1)}},
		{"nothing", []model.Spec{w("layers.0.weight", model.F32, 0, 3), w("layers.0.bias", model.F32, 0)}},
		{"layers do not meet", []model.Spec{w("layers.0.weight", model.F32, 2, 3), w("layers.0.bias", model.F32, 2), w("layers.1.weight", model.F32, 1, 3), w("layers.1.bias", model.F32, 1)}},
		{"a number left out", []model.Spec{w("layers.0.weight", model.F32, 2, 3), w("layers.0.bias", model.F32, 2), w("layers.2.weight", model.F32, 1, 2), w("layers.2.bias", model.F32, 1)}},
		{"z-score of another size", []model.Spec{w("layers.0.weight", model.F32, 1, 3), w("layers.0.bias", model.F32, 1), w("fedmq.mean", model.F64, 2), w("fedmq.sd", model.F64, 3)}},
		{"half a z-score", []model.Spec{w("layers.0.weight", model.F32, 1, 3), w("layers.0.bias", model.F32, 1), w("fedmq.mean", model.F64, 3)}},
		{"other inputs", []model.Spec{w("layers.0.weight", model.F32, 1, 4), w("layers.0.bias", model.F32, 1)}},
		{"other outputs", []model.Spec{w("layers.0.weight", model.F32, 2, 3), w("layers.0.bias", model.F32, 2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			schema, err := model.NewSchema(c.specs...)
			if err != nil {
				t.Fatal(err)
			}
			d := sample(rand.New(rand.NewPCG(1, 1)), 2, 3, 0)
			if _, err := newNetwork(model.New(schema), d, 2); err == nil {
				t.Error("no error")
			}
		})
	}
}

// BenchmarkEpoch is an epoch over 2,000 rows of the turbofan example's shape.
func BenchmarkEpoch(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 3))
	d := sample(rng, 2000, 48, 0)
	r := newRun(b, built(b, rng, d, 32), d, Settings{Batch: 32, LR: 0.01, Momentum: 0.9, L2: 1e-4, MaxGradNorm: 5})
	b.ReportAllocs()
	for b.Loop() {
		if err := r.epoch(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(d.Train.N)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// zclip limits what a z-score has scaled: without one it would cut amperes or
// seconds.
func TestClipWantsScaling(t *testing.T) {
	t.Parallel()
	d := sample(rand.New(rand.NewPCG(1, 2)), 4, 2, 0)
	m, err := model.Arch{Kind: "linear", Inputs: 2, Outputs: 1, Task: "regression"}.New(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newNetwork(m, d, 4); err == nil || !strings.Contains(err.Error(), "statistics: zscore") {
		t.Errorf("zclip without a z-score: %v", err)
	}
	d = dataOf(Config{Train: "x.csv", Target: Target{Column: "y"}, Features: []Feature{{Columns: []string{"a", "b"}}}})
	if _, err := newNetwork(m, d, 4); err != nil {
		t.Error(err)
	}
}
