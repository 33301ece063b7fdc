package trainer_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/trainer"
)

// evaluation is the case statistics.evaluation of the shared vectors.
type evaluation struct {
	Sites []struct {
		Member    string
		N         float64
		LossSum   float64 `json:"loss_sum"`
		SSE       float64
		Confusion [][]int64
	}
	Expected struct {
		Loss, RMSE, Accuracy float64
		MacroF1              float64 `json:"macro_f1"`
		Worst                struct {
			Member string
			Value  float64
		} `json:"worst_accuracy"`
	}
}

func readEvaluation(t *testing.T) evaluation {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "strategies.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Statistics struct{ Evaluation evaluation }
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Statistics.Evaluation.Sites) == 0 {
		t.Fatal("no sites in the vectors")
	}
	return file.Statistics.Evaluation
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12*math.Abs(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// counted is what a site says that has these rows of class i taken for class j.
func counted(cells [][]int64) trainer.Evaluation {
	c := trainer.NewCounts(len(cells), false)
	for i, row := range cells {
		copy(c.Confusion[i*len(cells):], row)
	}
	return trainer.Evaluation{Counts: c, Metrics: trainer.Metrics{trainer.SumN: float64(c.Rows()), trainer.SumCorrect: float64(c.Correct())}}
}

func TestPoolVector(t *testing.T) {
	t.Parallel()
	v := readEvaluation(t)
	var sites []trainer.Evaluation
	for _, site := range v.Sites {
		e := counted(site.Confusion)
		e.Metrics[trainer.SumLoss], e.Metrics[trainer.SumSE] = site.LossSum, site.SSE
		near(t, site.Member+": n", e.Metrics[trainer.SumN], site.N)
		if site.Member == v.Expected.Worst.Member {
			near(t, "worst site", e.Scores()["accuracy"], v.Expected.Worst.Value)
		}
		sites = append(sites, e)
	}
	got := trainer.Pool(sites).Scores
	want := map[string]float64{
		"n": 120, "loss": v.Expected.Loss, "rmse": v.Expected.RMSE,
		"accuracy": v.Expected.Accuracy, "macro_f1": v.Expected.MacroF1,
	}
	for name, v := range want {
		near(t, name, got[name].Value, v)
	}
	if len(got) != len(want)+1 { // balanced_accuracy
		t.Errorf("values that no sum gives: %v", got)
	}
}

func TestPoolRegression(t *testing.T) {
	t.Parallel()
	y := [][]float64{{3, 5, 10}, {}, {1, 1}}
	p := [][]float64{{2, 5, 12}, {}, {1.5, 0}}
	var sites []trainer.Evaluation
	var all, sse, sae, mean float64
	for s := range y {
		m := trainer.Metrics{trainer.SumN: 0}
		for i, v := range y[s] {
			e := p[s][i] - v
			m[trainer.SumN]++
			m[trainer.SumSE] += e * e
			m[trainer.SumAE] += math.Abs(e)
			d := v - m[trainer.MeanY]
			m[trainer.MeanY] += d / m[trainer.SumN]
			m[trainer.M2Y] += d * (v - m[trainer.MeanY])
			all, sse, sae, mean = all+1, sse+e*e, sae+math.Abs(e), mean+v
		}
		sites = append(sites, trainer.Evaluation{Metrics: m})
	}
	mean /= all
	var dev float64
	for s := range y {
		for _, v := range y[s] {
			dev += (v - mean) * (v - mean)
		}
	}
	got := trainer.Pool(sites).Scores
	near(t, "rmse", got["rmse"].Value, math.Sqrt(sse/all))
	near(t, "mae", got["mae"].Value, sae/all)
	near(t, "r2", got["r2"].Value, 1-sse/dev)
}

// Class 2 is predicted but never occurs; class 3 neither: the mean is over
// classes 0 and 1. Classes by the formula of the reference.
func TestMacroF1Classes(t *testing.T) {
	t.Parallel()
	e := counted([][]int64{{8, 1, 1, 0}, {2, 3, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}})
	want := (2*8/float64(2*8+2+2) + 2*3/float64(2*3+1+2)) / 2
	near(t, "macro_f1", e.Scores()["macro_f1"], want)
}

// What peers send is not trusted: no panic, and nothing that is not a number
// comes out.
func TestPoolHostile(t *testing.T) {
	t.Parallel()
	for _, m := range []trainer.Metrics{
		nil,
		{trainer.SumN: math.NaN()},
		{trainer.SumN: 0, trainer.SumLoss: 5},
		{trainer.SumN: -3, trainer.SumCorrect: 1},
		{
			trainer.SumN: 2, trainer.SumLoss: math.Inf(1), trainer.SumSE: -1, "confusion": 1, "confusion.": 1,
			"confusion.-1.2": 9, "confusion.1": 4, "confusion.99999999999999999999.1": 1, "actual.1.2": 5, "actual.x": 1,
		},
	} {
		got := trainer.Evaluation{Metrics: m}.Scores()
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if v := got[name]; math.IsNaN(v) || math.IsInf(v, 0) || name != "n" {
				t.Errorf("%v: %s = %v", m, name, v)
			}
		}
	}
}
