package tabular

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// What is predicted is what the evaluation judges, to the bit.
func TestPredictIsEvaluate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dim, classes, hidden int }{{5, 0, 0}, {5, 0, 7}, {4, 3, 0}, {4, 2, 6}} {
		rng := rand.New(rand.NewPCG(1, uint64(c.hidden)))
		d := sample(rng, 3*chunkRows+5, c.dim, c.classes)
		var hidden []int
		if c.hidden > 0 {
			hidden = []int{c.hidden}
		}
		m := built(t, rng, d, hidden...)
		want, err := Score(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPredictor(d.pipe.Contract(), m)
		if err != nil {
			t.Fatal(err)
		}
		out := p.Predict(nil, d.Test.X)
		if len(out) != d.Test.N*p.Width() {
			t.Fatalf("%d results of %d rows", len(out), d.Test.N)
		}
		sums := trainer.Metrics{}
		for i, y := range d.Test.Y {
			row := out[i*p.Width() : (i+1)*p.Width()]
			if c.classes == 0 {
				addErrors(sums, y, row[0])
				continue
			}
			if top(row) == int(y) {
				sums[trainer.SumCorrect]++
			}
			var sum float64
			for _, v := range row {
				sum += v
			}
			near(t, "sum of probabilities", sum, 1, 1e-12)
		}
		for name, v := range sums {
			if v != want.Metrics[name] {
				t.Errorf("%+v: %s: %v, the evaluation has %v", c, name, v, want.Metrics[name])
			}
		}
	}
}

// coefModel has the tensors of scikit-learn's linear models.
func coefModel(t *testing.T, rows, columns int, coef, intercept []float64) *model.Model {
	t.Helper()
	shape := []int{rows, columns}
	if rows == 0 {
		shape = []int{columns}
	}
	s, err := model.NewSchema(model.Spec{Name: "coef", DType: model.F64, Shape: shape}, model.Spec{Name: "intercept", DType: model.F64, Shape: []int{max(1, rows)}})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	if err := errors.Join(m.SetFloat64s("coef", coef), m.SetFloat64s("intercept", intercept)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPredictOutputs(t *testing.T) {
	t.Parallel()
	two, three := []string{"ok", "worn"}, []string{"a", "b", "c"}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	x := []float64{1, 2}
	ovr := []float64{sigmoid(5), sigmoid(-1), sigmoid(2)}
	sum := ovr[0] + ovr[1] + ovr[2]
	soft := math.Exp(5) + math.Exp(-1) + math.Exp(2)
	three3 := coefModel(t, 3, 2, []float64{1, 2, 1, -1, 0, 1}, []float64{0, 0, 0}) // 5, -1, 2
	for _, c := range []struct {
		name    string
		classes []string
		output  string
		m       *model.Model
		want    []float64
	}{
		{"regression", nil, pipeline.OutputIdentity, coefModel(t, 0, 2, []float64{3, -1}, []float64{10}), []float64{11}},
		{"logistic", two, pipeline.OutputLogistic, coefModel(t, 1, 2, []float64{3, -1}, []float64{1}), []float64{sigmoid(-2), sigmoid(2)}},
		{"margin of two", two, pipeline.OutputMargin, coefModel(t, 1, 2, []float64{3, -1}, []float64{1}), []float64{-2, 2}},
		{"margin", three, pipeline.OutputMargin, three3, []float64{5, -1, 2}},
		{"ovr", three, pipeline.OutputOVR, three3, []float64{ovr[0] / sum, ovr[1] / sum, ovr[2] / sum}},
		{"softmax", three, pipeline.OutputSoftmax, three3, []float64{math.Exp(5) / soft, math.Exp(-1) / soft, math.Exp(2) / soft}},
	} {
		contract := &pipeline.Contract{
			Inputs: []pipeline.Input{{Name: "p"}, {Name: "q"}}, Target: pipeline.Target{Name: "y", Classes: c.classes},
			Net: pipeline.Net{Tensors: pipeline.TensorsCoef, Output: c.output},
		}
		p, err := NewPredictor(contract, c.m)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := p.Predict(nil, slices.Concat(x, x))
		for i, v := range got {
			near(t, c.name, v, c.want[i%len(c.want)], 1e-12)
		}
		if len(got) != 2*len(c.want) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Tensors that are not what the contract says are told by what they have and want.
func TestPredictRefuses(t *testing.T) {
	t.Parallel()
	contract := func(change func(*pipeline.Contract)) *pipeline.Contract {
		c := &pipeline.Contract{
			Inputs: []pipeline.Input{{Name: "p"}, {Name: "q"}}, Target: pipeline.Target{Name: "y", Classes: []string{"a", "b", "c"}},
			Net: pipeline.Net{Tensors: pipeline.TensorsCoef, Output: pipeline.OutputOVR},
		}
		change(c)
		return c
	}
	m := coefModel(t, 3, 2, make([]float64, 6), make([]float64, 3))
	for want, c := range map[string]*pipeline.Contract{
		"the model has 2 inputs, the contract 3 features: p, q, r":                 contract(func(c *pipeline.Contract) { c.Inputs = append(c.Inputs, pipeline.Input{Name: "r"}) }),
		`the model has 3 outputs, the contract 4 classes of "y", which want 4`:     contract(func(c *pipeline.Contract) { c.Target.Classes = []string{"a", "b", "c", "d"} }),
		`the model has 3 outputs, a regression has 1: are the classes of "y" miss`: contract(func(c *pipeline.Contract) { c.Target.Classes, c.Net.Output = nil, pipeline.OutputIdentity }),
		"layers.0.weight is [], want [outputs, inputs]": contract(func(c *pipeline.Contract) {
			c.Net = pipeline.Net{Tensors: pipeline.TensorsLayers, Output: pipeline.OutputSoftmax}
		}),
		"which alone knows how they become an output": contract(func(c *pipeline.Contract) { c.Net.Tensors = "" }),
	} {
		if _, err := NewPredictor(c, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
