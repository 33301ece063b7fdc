package tabular

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Steps of Adam by the formulas of the paper: with the bias of the start taken out.
func TestAdamTwin(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 1))
	d := sample(rng, 12, 3, 2)
	s := Settings{LR: 0.003, Optimizer: "adam", L2: 0.1, MaxGradNorm: 0.5}
	r := newRun(t, built(t, rng, d, 4), d, s)
	n := len(r.params)
	w, m, v := append([]float64(nil), r.params...), make([]float64, n), make([]float64, n)
	for k := 1; k <= 5; k++ {
		r.gradient(&d.Train, r.order)
		g, norm := make([]float64, n), 0.0
		at := 0
		for _, l := range r.layers {
			for j := range l.w {
				g[at+j] = l.gw[j] + s.L2*l.w[j]
			}
			copy(g[at+len(l.w):], l.gb)
			at += len(l.w) + len(l.b)
		}
		for _, x := range g {
			norm += x * x
		}
		limit := math.Min(1, s.MaxGradNorm/math.Sqrt(norm))
		r.step()
		for i := range g {
			x := g[i] * limit
			m[i], v[i] = 0.9*m[i]+0.1*x, 0.999*v[i]+0.001*x*x
			w[i] -= s.LR * (m[i] / (1 - math.Pow(0.9, float64(k)))) / (math.Sqrt(v[i]/(1-math.Pow(0.999, float64(k)))) + 1e-8)
			near(t, "weight", r.params[i], w[i], 1e-9)
		}
	}
}

// Which settings of the optimiser go together.
func TestOptimizerSettings(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"optimizer": "sgd"}`:                   "",
		`{"optimizer": "adam", "lr": 0.001}`:     "",
		`{"optimizer": "momentum"}`:              "",
		`{"momentum": 0.5}`:                      "",
		`{"optimizer": "Adam"}`:                  `optimizer: want sgd, momentum or adam, not "Adam"`,
		`{"optimizer": "sgd", "momentum": 0.5}`:  "momentum: has no effect with optimizer: sgd",
		`{"optimizer": "adam", "momentum": 0.5}`: "momentum: has no effect with optimizer: adam",
		`{"class_weight": "even"}`:               "class_weight: want balanced",
		`{"class_weight": {"0": 1}}`:             "class_weight: want text",
	} {
		s, err := ParseSettings(json.RawMessage(raw))
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", raw, got, want)
		}
		if raw == `{"optimizer": "momentum"}` && s.Momentum != 0.9 {
			t.Errorf("momentum %v", s.Momentum)
		}
	}
}

// The gradient of balanced classes is what rows counted n times give: of each class its
// own mean, times its weight and share.
func TestClassWeight(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 1))
	d := sample(rng, 60, 3, 3)
	for i := range d.Train.Y { // 3, 12 and 45 rows
		d.Train.Y[i] = map[bool]float64{true: 0, false: map[bool]float64{true: 1, false: 2}[i < 15]}[i < 3]
	}
	r := newRun(t, built(t, rng, d), d, Settings{})
	want := make([]float64, len(r.grads))
	for _, class := range [][]int{r.order[:3], r.order[3:15], r.order[15:]} {
		r.gradient(&d.Train, class)
		for i, g := range r.grads {
			want[i] += g / 3
		}
	}
	var err error
	if r.balance, err = balance(counted(t, 3, 0, 0, 0), d); err != nil {
		t.Fatal(err)
	}
	r.gradient(&d.Train, r.order)
	for i, g := range r.grads {
		near(t, "gradient", g, want[i], 1e-12)
	}
}

// counted is a model of classes with their rows.
func counted(t *testing.T, inputs int, rows ...float64) *model.Model {
	t.Helper()
	m, err := model.Arch{Kind: "softmax", Inputs: inputs, Outputs: len(rows), Counted: true}.New(true)
	if err == nil {
		err = m.SetFloat64s(model.ClassRowsName, rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Weights come of the rows of all sites; a class that nobody has counts in nothing.
func TestBalance(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 1))
	d := sample(rng, 60, 3, 3)
	got, err := balance(counted(t, 3, 900, 0, 100), d)
	if err != nil || got[0] != 1000.0/1800 || got[1] != 0 || got[2] != 5 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := balance(counted(t, 3, 1, 2), d); err == nil || !strings.Contains(err.Error(), "has 2 values, want 3") {
		t.Error(err)
	}
	if _, err := balance(built(t, rng, d), d); err == nil || !strings.Contains(err.Error(), "has no tensor fedmq.class_rows") {
		t.Error(err)
	}
	if _, err := balance(counted(t, 3, 1, 2), sample(rng, 60, 3, 0)); err == nil || !strings.Contains(err.Error(), "it is for a classification") {
		t.Error(err)
	}
}

// A statistics round counts the training rows of each class where they are asked for, and
// a trained model keeps what it found.
func TestClassRows(t *testing.T) {
	t.Parallel()
	d := sample(rand.New(rand.NewPCG(4, 1)), 60, 3, 2)
	tr := &Trainer{data: d}
	job := trainer.Job{Settings: json.RawMessage(`{"class_weight": "balanced", "optimizer": "adam"}`)}
	s, err := tr.Statistics(context.Background(), job)
	if err != nil || !s.Schema.Equal(model.StatisticsSchema(3, 2)) {
		t.Fatal(err)
	}
	rows, err := s.Float64s(model.StatClassesName)
	if err != nil || rows[0]+rows[1] != 60 || rows[0] == 0 {
		t.Errorf("%v, %v", rows, err)
	}
	m := counted(t, 3, rows...)
	out, err := tr.Train(context.Background(), job, m)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := out.Float64s(model.ClassRowsName); err != nil || kept[0] != rows[0] {
		t.Errorf("%v, %v", kept, err)
	}
	if _, err := (&Trainer{data: sample(rand.New(rand.NewPCG(4, 1)), 60, 3, 0)}).Statistics(context.Background(), job); err == nil {
		t.Error("a regression counts classes")
	}
}
