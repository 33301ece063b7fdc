package trainer_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer"
)

// only are evaluations of sums alone.
func only(sites ...trainer.Metrics) (out []trainer.Evaluation) {
	for _, m := range sites {
		out = append(out, trainer.Evaluation{Metrics: m})
	}
	return out
}

// A site that does not report a metric, or reports it as no number, counts in
// none of it: neither its sum nor its rows.
func TestPoolOverWhoReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sites []trainer.Metrics
		score string
		want  trainer.Score
	}{
		"accuracy at one of two": {
			[]trainer.Metrics{{"n": 10, "correct": 9}, {"n": 90}}, "accuracy", trainer.Score{Value: 0.9, Rows: 10},
		},
		"all rows": {
			[]trainer.Metrics{{"n": 10, "correct": 9}, {"n": 90}}, "n", trainer.Score{Value: 100, Rows: 100},
		},
		"loss that is NaN": {
			[]trainer.Metrics{{"n": 10, "loss": 20}, {"n": 90, "loss": math.NaN(), "correct": 1}}, "loss", trainer.Score{Value: 2, Rows: 10},
		},
		"the others of that site": {
			[]trainer.Metrics{{"n": 10, "loss": 20}, {"n": 90, "loss": math.NaN(), "correct": 9}}, "accuracy", trainer.Score{Value: 0.1, Rows: 90},
		},
		"squared amperes": {
			[]trainer.Metrics{{"n": 10, "se": 90e-24}, {"n": 10, "se": 90e-24}}, "rmse", trainer.Score{Value: 3e-12, Rows: 20},
		},
		"beyond the sums": {
			[]trainer.Metrics{{"n": 10, "se": 90}, {"n": 90, "se": 1e101}}, "rmse", trainer.Score{Value: 3, Rows: 10},
		},
		"less than nothing": {
			[]trainer.Metrics{{"n": 10, "ae": 20}, {"n": 90, "ae": -1}}, "mae", trainer.Score{Value: 2, Rows: 10},
		},
		"r2 without a target": {
			[]trainer.Metrics{{"n": 2, "se": 1, "y_mean": 3, "y_m2": 4}, {"n": 90, "se": 1e6}}, "r2", trainer.Score{Value: 0.75, Rows: 2},
		},
		"rmse is of both": {
			[]trainer.Metrics{{"n": 2, "se": 1, "y_mean": 3, "y_m2": 4}, {"n": 98, "se": 99}}, "rmse", trainer.Score{Value: 1, Rows: 100},
		},
		"confusion at one of two": {
			[]trainer.Metrics{{"n": 4, "confusion.0.0": 2, "confusion.1.1": 2}, {"n": 90}}, "macro_f1", trainer.Score{Value: 1, Rows: 4},
		},
		"cells here, margins there": {
			[]trainer.Metrics{
				{"n": 4, "confusion.0.0": 2, "confusion.1.1": 2},
				{"n": 4, "confusion.0.0": 2, "confusion.1.1": 2, "actual.0": 2, "actual.1": 2, "predicted.0": 2, "predicted.1": 2},
			}, "macro_f1", trainer.Score{Value: 1, Rows: 8},
		},
	} {
		if got := trainer.Pool(only(c.sites...)).Scores[c.score]; math.Abs(got.Value-c.want.Value) > 1e-15*math.Abs(c.want.Value) || got.Rows != c.want.Rows {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// R² does not see an offset of the target, and has no value where the target
// is constant.
func TestPoolR2OfOffsetTarget(t *testing.T) {
	t.Parallel()
	for _, offset := range []float64{0, 1e6, 1e8, 1e9, -1e12} {
		var sites []trainer.Metrics
		for k := range 2 {
			m := trainer.Metrics{trainer.SumN: 500, trainer.SumSE: 500 * 0.01, trainer.MeanY: offset + float64(k), trainer.M2Y: 500}
			sites = append(sites, m)
		}
		want := 1 - 10.0/(1000+1*250) // d² n_A n_B / n = 250
		if got := trainer.Pool(only(sites...)).Scores["r2"]; math.Abs(got.Value-want) > 1e-12 || got.Rows != 1000 {
			t.Errorf("offset %g: r2 %v, want %v", offset, got, want)
		}
	}
	constant := trainer.Metrics{trainer.SumN: 500, trainer.SumSE: 5, trainer.MeanY: 1e8, trainer.M2Y: 1e-10}
	if got := trainer.Pool(only(constant, constant)).Scores["r2"]; !math.IsNaN(got.Value) || got.Rows != 1000 {
		t.Errorf("constant target: r2 %v, want none", got)
	}
	if _, ok := only(constant)[0].Scores()["r2"]; ok {
		t.Error("constant target: the site has an r2")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m    trainer.Metrics
		want []string // beginnings
	}{
		{nil, nil},
		{trainer.Metrics{"n": 0, "loss": 0}, nil},
		{trainer.Metrics{"n": 2, "loss": -3, "correct": 1, "confusion.0.1": 1, "actual.0": 1, "predicted.1": 1}, nil},
		{trainer.Metrics{"n": 2, "loss": math.NaN(), "ae": math.Inf(1)}, []string{"ae is no finite number", "loss is no finite number"}},
		{trainer.Metrics{"n": 2, "se": 1e101, "correct": -1}, []string{"correct is -1, want 0", "se is 1e+101, beyond"}},
		{trainer.Metrics{"n": 1e17}, []string{"n is 1e+17, beyond", "n, the number of rows, is missing"}},
		{trainer.Metrics{"n": 2, "y": 8, "auc": 0.5}, []string{"auc is not taken: send scores", "y is not used: r2 takes y_mean"}},
		{trainer.Metrics{"n": 2, "confusion.x": 8, "accuracy": 0.5, "own": -3, "round": 1}, []string{"accuracy is not taken: send correct", "confusion.x is not used: the names are n,", "round is not taken: the name is taken"}},
		{trainer.Metrics{"loss": 2}, []string{"n, the number of rows, is missing"}},
		{trainer.Metrics{"n": 3, "se": 2, "y_mean": 5, "y_m2": 0}, []string{"r2 has no value: the target is 5 in all of 3 rows"}},
		{trainer.Metrics{"n": 3, "se": 2, "y_mean": 5, "y_m2": 1e-27}, []string{"r2 has no value"}},
		{trainer.Metrics{"n": 3, "se": 2, "y_mean": 5e-12, "y_m2": 1e-24}, nil},
	} {
		got := c.m.Problems()
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%v: %q, want %q", c.m, got, c.want)
		}
	}
}
