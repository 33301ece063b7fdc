package tabular_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer/tabular"
)

func TestRegression(t *testing.T) {
	t.Parallel()
	d := plane(t, 2000, false)
	mean, sd := d.Moments().ZScore()
	m, err := tabular.WithZScore(newModel(t, model.Arch{Kind: "linear", Inputs: 4, Outputs: 1}), mean, sd)
	if err != nil {
		t.Fatal(err)
	}
	m, err = tabular.Fit(t.Context(), m, d, tabular.Settings{Epochs: 20, Batch: 32, LR: 0.05}, [32]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tabular.Score(t.Context(), m, d)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Scores()
	if got["rmse"] > 100 || got["rmse"] < got["mae"] || got["r2"] < 0.999999 {
		t.Errorf("of values around 3e6: %v", got)
	}
	if want := got["rmse"] * got["rmse"] / 1e12; math.Abs(got["loss"]-want) > 1e-9*want {
		t.Errorf("loss %v in the unit of the model, want %v", got["loss"], want)
	}
}

// Predictions of rows left are limited to 0..cap and errors are in rows.
func TestRowsLeftUnits(t *testing.T) {
	t.Parallel()
	d, err := tabular.Load(files("t.csv", "unit,x\n"+strings.Repeat("a,1\n", 8)+strings.Repeat("b,2\n", 3), "truth.csv", "unit,left\na,50\nb,7\n"), tabular.Config{
		Train: "t.csv", Test: "t.csv",
		Derive:   &tabular.Derive{Group: []string{"unit"}, Window: 2, Stats: []string{"mean"}},
		Target:   tabular.Target{RowsLeft: &tabular.RowsLeft{Cap: 20, Truth: "truth.csv"}},
		Features: []tabular.Feature{{Columns: []string{"x"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(t, model.Arch{Kind: "linear", Inputs: 1, Outputs: 1})
	for _, c := range []struct {
		w, b          float32
		se, ae, truth float64 // units a: x 1, left 20 (capped); b: x 2, left 7
	}{
		{0, 0.5, 10*10 + 3*3, 13, 27},
		{5, 5, 0 + 13*13, 13, 27},    // both limited to 20
		{-5, 0, 20*20 + 7*7, 27, 27}, // both limited to 0
	} {
		if err := errors.Join(m.SetFloat32s(model.WeightName(0), []float32{c.w}), m.SetFloat32s(model.BiasName(0), []float32{c.b})); err != nil {
			t.Fatal(err)
		}
		s, err := tabular.Score(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		if m := s.Metrics; m["n"] != 2 || m["se"] != c.se || m["ae"] != c.ae || m["y_mean"]*m["n"] != c.truth {
			t.Errorf("w %v, b %v: got %v", c.w, c.b, m)
		}
	}
}
