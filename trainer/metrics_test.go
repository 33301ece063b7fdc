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
		Confusion [][]float64
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

func TestPoolVector(t *testing.T) {
	t.Parallel()
	v := readEvaluation(t)
	var sites []trainer.Metrics
	for _, site := range v.Sites {
		m := trainer.Metrics{trainer.SumLoss: site.LossSum, trainer.SumSE: site.SSE}
		m.AddConfusion(site.Confusion)
		near(t, site.Member+": n", m[trainer.SumN], site.N)
		if site.Member == v.Expected.Worst.Member {
			near(t, "worst site", m.Scores()["accuracy"], v.Expected.Worst.Value)
		}
		sites = append(sites, m)
	}
	got := trainer.Pool(sites)
	want := map[string]float64{
		"n": 120, "loss": v.Expected.Loss, "rmse": v.Expected.RMSE,
		"accuracy": v.Expected.Accuracy, "macro_f1": v.Expected.MacroF1,
	}
	for name, v := range want {
		near(t, name, got[name].Value, v)
	}
	if len(got) != len(want) {
		t.Errorf("values that no sum gives: %v", got)
	}
}

func TestPoolRegression(t *testing.T) {
	t.Parallel()
	y := [][]float64{{3, 5, 10}, {}, {1, 1}}
	p := [][]float64{{2, 5, 12}, {}, {1.5, 0}}
	var sites []trainer.Metrics
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
		sites = append(sites, m)
	}
	mean /= all
	var dev float64
	for s := range y {
		for _, v := range y[s] {
			dev += (v - mean) * (v - mean)
		}
	}
	got := trainer.Pool(sites)
	near(t, "rmse", got["rmse"].Value, math.Sqrt(sse/all))
	near(t, "mae", got["mae"].Value, sae/all)
	near(t, "r2", got["r2"].Value, 1-sse/dev)
}

// Class 2 is predicted but never occurs; class 3 neither: the mean is over
// classes 0 and 1. Classes by the formula of the reference.
func TestMacroF1Classes(t *testing.T) {
	t.Parallel()
	cells := [][]float64{{8, 1, 1, 0}, {2, 3, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}}
	m := trainer.Metrics{}
	m.AddConfusion(cells)
	want := (2*8/float64(2*8+2+2) + 2*3/float64(2*3+1+2)) / 2
	near(t, "macro_f1", m.Scores()["macro_f1"], want)
}

// Many classes do not fit an update cell by cell: the diagonal and the
// margins give the same score.
func TestManyClasses(t *testing.T) {
	t.Parallel()
	const k = 20
	cells := make([][]float64, k)
	var sum, classes, n, hit float64
	for i := range cells {
		cells[i] = make([]float64, k)
		for j := range cells[i] {
			cells[i][j] = float64((i*7 + j*3) % 5)
		}
		cells[i][i] += 10
	}
	for c := range k {
		var row, col float64
		for i := range k {
			row += cells[c][i]
			col += cells[i][c]
		}
		sum += 2 * cells[c][c] / (2*cells[c][c] + (row - cells[c][c]) + (col - cells[c][c]))
		classes, n, hit = classes+1, n+row, hit+cells[c][c]
	}
	m := trainer.Metrics{}
	m.AddConfusion(cells)
	if len(m) > trainer.MaxMetrics {
		t.Fatalf("%d metrics: an update carries %d", len(m), trainer.MaxMetrics)
	}
	got := m.Scores()
	near(t, "macro_f1", got["macro_f1"], sum/classes)
	near(t, "accuracy", got["accuracy"], hit/n)
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
		got := m.Scores()
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if v := got[name]; math.IsNaN(v) || math.IsInf(v, 0) || name != "n" {
				t.Errorf("%v: %s = %v", m, name, v)
			}
		}
	}
}
