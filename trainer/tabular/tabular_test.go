package tabular_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// plane loads n rows of class x > y (or of y = 3x − y + 1), with a column that
// is constant and one that is never observed.
func plane(tb testing.TB, n int, classes bool) *tabular.Data {
	tb.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 2))
	var text strings.Builder
	text.WriteString("x,y,same,none,class,value,split\n")
	for i := range n {
		x, y := rng.NormFloat64()*1e6, rng.NormFloat64()*1e6
		split := "train"
		if i%4 == 3 {
			split = "test"
		}
		fmt.Fprintf(&text, "%v,%v,7.25,,%v,%v,%s\n", x, y, x > y, 3*x-y+1, split)
	}
	cfg := tabular.Config{
		Train:    "t.csv",
		Split:    &tabular.Split{Column: "split"},
		Target:   tabular.Target{Column: "value", Scale: 1e6},
		Features: []tabular.Feature{{Columns: []string{"x", "y", "same", "none"}}},
	}
	if classes {
		cfg.Target = tabular.Target{Column: "class", Classes: []any{false, true}}
	}
	d, err := tabular.Load(files("t.csv", text.String()), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func newModel(tb testing.TB, a model.Arch) *model.Model {
	tb.Helper()
	m, err := a.New(true)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func softmax(tb testing.TB, d *tabular.Data) *model.Model {
	tb.Helper()
	mean, sd := d.Moments().ZScore()
	m, err := tabular.WithZScore(newModel(tb, model.Arch{Kind: "softmax", Inputs: 4, Outputs: 2}), mean, sd)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	d := plane(t, 1000, true)
	tr, err := tabular.New(d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tr.Statistics(t.Context(), trainer.Job{})
	if err != nil {
		t.Fatal(err)
	}
	var got [3][]float64
	for i, name := range []string{"n", "mean", "m2"} {
		if got[i], err = s.Float64s(name); err != nil {
			t.Fatal(err)
		}
	}
	for j := range 4 {
		var n, sum, m2 float64
		for i := range d.Train.N {
			if v := d.Train.X[i*4+j]; !math.IsNaN(v) {
				n, sum = n+1, sum+v
			}
		}
		mean := 0.0
		if n > 0 {
			mean = sum / n
		}
		for i := range d.Train.N {
			if v := d.Train.X[i*4+j]; !math.IsNaN(v) {
				m2 += (v - mean) * (v - mean)
			}
		}
		if got[0][j] != n || math.Abs(got[1][j]-mean) > 1e-12*math.Abs(mean) || math.Abs(got[2][j]-m2) > 1e-12*m2 {
			t.Errorf("feature %d: n %v, mean %v, m2 %v, want %v, %v, %v", j, got[0][j], got[1][j], got[2][j], n, mean, m2)
		}
	}
	_, sd := d.Moments().ZScore()
	if sd[2] != 1 || sd[3] != 1 || math.Abs(sd[0]-1e6) > 1e5 {
		t.Errorf("standard deviations %v: a constant or unobserved feature has 1", sd)
	}
}

// What is constant depends on the size of the values, not on their unit, and
// adding many of them up does not make it vary.
func TestConstantFeatures(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("ampere,still,second,zero,nothing,y\n")
	for i := range 20000 {
		fmt.Fprintf(&b, "%de-12,1700000000.1,%d,0,,%d\n", 1+i%9, 1700000000+2*(i%2)-1, i%7)
	}
	d, err := tabular.Load(files("t.csv", b.String()), tabular.Config{
		Train: "t.csv", Target: tabular.Target{Column: "y"},
		Features: []tabular.Feature{{Columns: []string{"ampere", "still", "second", "zero", "nothing"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Constant(); !slices.Equal(got, []string{"still", "zero", "nothing"}) {
		t.Errorf("constant: %v", got)
	}
	mean, sd := d.Moments().ZScore()
	if math.Abs(sd[0]-2.582e-12) > 1e-15 || sd[1] != 1 || sd[2] != 1 || sd[3] != 1 || sd[4] != 1 {
		t.Errorf("deviations %v", sd)
	}
	if math.Abs(mean[0]-5e-12) > 1e-15 || mean[1] != 1700000000.1 || mean[2] != 1.7e9 {
		t.Errorf("means %v", mean)
	}
}

// A current learns in amperes what it learns in picoamperes: the scaled values
// are the same.
func TestUnitOfFeature(t *testing.T) {
	t.Parallel()
	var rmse []float64
	for _, unit := range []string{"", "e-12"} {
		var b strings.Builder
		b.WriteString("i,y\n")
		for k := range 60 {
			fmt.Fprintf(&b, "%d%s,%d\n", 1+k%9, unit, 2*(1+k%9)-5)
		}
		c := tabular.Config{Train: "t.csv", Test: "t.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"i"}}}}
		d, err := tabular.Load(files("t.csv", b.String()), c)
		if err != nil {
			t.Fatal(err)
		}
		mean, sd := d.Moments().ZScore()
		m, err := tabular.WithZScore(newModel(t, model.Arch{Kind: "linear", Inputs: 1, Outputs: 1}), mean, sd)
		if err != nil {
			t.Fatal(err)
		}
		if m, err = tabular.Fit(t.Context(), m, d, tabular.Settings{Epochs: 80, Batch: 32, LR: 0.05}, [32]byte{}, nil); err != nil {
			t.Fatal(err)
		}
		sums, err := tabular.Score(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		rmse = append(rmse, sums.Scores()["rmse"])
	}
	if rmse[0] > 0.01 || math.Abs(rmse[1]-rmse[0]) > 1e-6 {
		t.Errorf("rmse %v in picoamperes and amperes, want the same, near 0", rmse)
	}
}

// Large values, a constant and a missing feature do not hinder learning; the
// model the site was given stays as it was.
func TestTrain(t *testing.T) {
	t.Parallel()
	d := plane(t, 2000, true)
	tr, err := tabular.New(d)
	if err != nil {
		t.Fatal(err)
	}
	m := softmax(t, d)
	before := m.Clone()
	done := 0
	job := trainer.Job{Settings: json.RawMessage(`{"epochs": 5, "lr": 0.1, "momentum": 0.9}`), Progress: func(d, total int) {
		if done++; d != done || total != 5 {
			t.Errorf("progress %d of %d", d, total)
		}
	}}
	out, err := tr.Train(t.Context(), job, m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before.Blob, m.Blob) || !out.Schema.Equal(m.Schema) || done != 5 || tr.Samples() != 1500 {
		t.Errorf("global changed, another schema, %d epochs reported or %d samples", done, tr.Samples())
	}
	if !bytes.Equal(out.Bytes(model.ZMeanName), m.Bytes(model.ZMeanName)) {
		t.Error("the z-score was trained")
	}
	sums, err := tr.Evaluate(t.Context(), trainer.Job{}, out)
	if err != nil {
		t.Fatal(err)
	}
	got := sums.Scores()
	if got["n"] != 500 || got["accuracy"] < 0.98 || got["macro_f1"] < 0.98 || got["loss"] > 0.15 {
		t.Errorf("after training: %v", got)
	}
}

// One seed gives the same bits on one core or several, also where gonum
// multiplies in parallel; another seed does not.
func TestSameBits(t *testing.T) {
	d := plane(t, 400, true)
	m := newModel(t, model.Arch{Kind: "mlp", Inputs: 4, Hidden: []int{300, 200}, Outputs: 2, Task: "classification"})
	train := func(batch int, seed byte) model.Hash {
		out, err := tabular.Fit(t.Context(), m, d, tabular.Settings{Epochs: 1, Batch: batch, LR: 1e-8}, [32]byte{seed}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out.ContentID()
	}
	for _, batch := range []int{0, 100} {
		several := train(batch, 1)
		before := runtime.GOMAXPROCS(1)
		one := train(batch, 1)
		runtime.GOMAXPROCS(before)
		if one != several {
			t.Errorf("batch %d: other bits on one core", batch)
		}
		if other := train(batch, 2); (other == one) != (batch == 0) {
			t.Errorf("batch %d: another seed gives the same bits: %v", batch, other == one)
		}
	}
}

func TestTrainErrors(t *testing.T) {
	t.Parallel()
	d := plane(t, 200, true)
	tr, err := tabular.New(d)
	if err != nil {
		t.Fatal(err)
	}
	m := softmax(t, d)
	for _, c := range []struct{ name, settings, want string }{
		{"unknown key", `{"epoch": 1}`, "epoch"},
		{"epochs", `{"epochs": 0}`, "epochs"},
		{"batch", `{"batch": -1}`, "batch"},
		{"lr", `{"lr": 0}`, "lr"},
		{"momentum", `{"momentum": 1}`, "momentum"},
		{"l2", `{"l2": -1}`, "l2"},
		{"max_grad_norm", `{"max_grad_norm": -1}`, "max_grad_norm"},
		{"diverged", `{"lr": 1000, "l2": 1000, "epochs": 100}`, "diverged"},
	} {
		if _, err := tr.Train(t.Context(), trainer.Job{Settings: json.RawMessage(c.settings)}, m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	wide := newModel(t, model.Arch{Kind: "softmax", Inputs: 5, Outputs: 2})
	if _, err := tr.Train(t.Context(), trainer.Job{}, wide); err == nil || !strings.Contains(err.Error(), "5 inputs") || !strings.Contains(err.Error(), "4 features") {
		t.Errorf("other width: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.Train(ctx, trainer.Job{}, m); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := tr.Evaluate(ctx, trainer.Job{}, m); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := tabular.New(&tabular.Data{}); err == nil {
		t.Error("a trainer without rows")
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	a, b := plane(t, 100, true), plane(t, 60, true)
	all, err := tabular.Merge(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if all.Train.N != 120 || all.Test.N != 40 || !same(all.Train.X[75*4:], b.Train.X) || a.Train.N != 75 {
		t.Errorf("%d and %d rows", all.Train.N, all.Test.N)
	}
	if _, err := tabular.Merge(a, plane(t, 100, false)); err == nil {
		t.Error("classes and values were merged")
	}
	if _, err := tabular.Merge(); err == nil {
		t.Error("nothing was merged")
	}
	noTest := *a
	noTest.Test = tabular.Rows{}
	tr, err := tabular.New(&noTest)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := tr.Evaluate(t.Context(), trainer.Job{}, softmax(t, a)); s.Metrics != nil || err != nil {
		t.Errorf("no test rows: %v, %v", s, err)
	}
}
