package tabular_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// naiveWindow is the twin of derive for one window of one column: mean, mean
// of the last k, slope times the rows, by the formula of the cmapss data set
// where nothing is missing.
func naiveWindow(x []float64, k int) (mean, last, slope float64) {
	avg := func(v []float64) float64 {
		var kept []float64
		for _, e := range v {
			if !math.IsNaN(e) {
				kept = append(kept, e)
			}
		}
		var s float64
		for _, e := range kept {
			s += e / float64(len(kept))
		}
		if len(kept) == 0 {
			return math.NaN()
		}
		return s
	}
	var at []float64
	for i, v := range x {
		if !math.IsNaN(v) {
			at = append(at, float64(i))
		}
	}
	if len(at) == 0 {
		return math.NaN(), avg(x[max(0, len(x)-k):]), math.NaN()
	}
	centre := avg(at)
	if len(at) == len(x) {
		centre = float64(len(x)-1) / 2
	}
	var num, den float64
	for i, v := range x {
		if !math.IsNaN(v) {
			num += (float64(i) - centre) * v
			den += (float64(i) - centre) * (float64(i) - centre)
		}
	}
	return avg(x), avg(x[max(0, len(x)-k):]), num / math.Max(den, 1) * float64(len(x))
}

// Random units, of which some are shorter than the window, rows shuffled
// together, some values missing.
func TestDeriveTwin(t *testing.T) {
	t.Parallel()
	const window, stride, k, limit = 6, 3, 2, 9
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		units := make([][][2]float64, 1+rng.IntN(4))
		var lines []string
		truth := "left,unit\n"
		for u := range units {
			units[u] = make([][2]float64, 1+rng.IntN(20))
			for i := range units[u] {
				cells := [2]string{}
				for c := range 2 {
					units[u][i][c] = math.Round(rng.NormFloat64()*1000) / 8
					cells[c] = fmt.Sprint(units[u][i][c])
					if rng.IntN(10) == 0 {
						units[u][i][c], cells[c] = math.NaN(), ""
					}
				}
				lines = append(lines, fmt.Sprintf("u%d,%d,%s,%s\n", u, i*10, cells[0], cells[1]))
			}
			truth += fmt.Sprintf("%d,u%d\n", u*3, u)
		}
		first := strings.SplitN(lines[0], ",", 2)[0] // keep the units in order of appearance
		rng.Shuffle(len(lines)-1, func(i, j int) { lines[i+1], lines[j+1] = lines[j+1], lines[i+1] })
		appear := []string{first}
		for _, l := range lines {
			if u := strings.SplitN(l, ",", 2)[0]; !slices.Contains(appear, u) {
				appear = append(appear, u)
			}
		}
		text := "unit,t,b,a\n" + strings.Join(lines, "")
		for _, mode := range []string{"last", "all"} {
			d, err := tabular.Load(files("t.csv", text, "truth.csv", truth), tabular.Config{
				Train: "t.csv", Test: "t.csv",
				Derive:   &tabular.Derive{Group: []string{"unit"}, Order: "t", Window: window, Stride: stride, Stats: []string{"mean", "mean2", "slope"}, Test: mode},
				Target:   tabular.Target{RowsLeft: &tabular.RowsLeft{Cap: limit, Truth: "truth.csv"}},
				Features: []tabular.Feature{{Columns: []string{"b", "a"}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var train, test []float64
			for _, name := range appear {
				var u int
				if _, err := fmt.Sscanf(name, "u%d", &u); err != nil {
					t.Fatal(err)
				}
				n := len(units[u])
				row := func(end int, left float64) []float64 {
					out := make([]float64, 7)
					for c := range 2 {
						var x []float64
						for i := max(0, end-window); i < end; i++ {
							x = append(x, units[u][i][c])
						}
						out[c], out[2+c], out[4+c] = naiveWindow(x, k)
					}
					out[6] = math.Min(limit, left+float64(n-end))
					return out
				}
				for end := window; end <= n; end += stride {
					train = append(train, row(end, 0)...)
					if mode == "all" {
						test = append(test, row(end, float64(u*3))...)
					}
				}
				if mode == "last" {
					test = append(test, row(n, float64(u*3))...)
				}
			}
			compare(t, mode+" train", flat(d.Train), train)
			compare(t, mode+" test", flat(d.Test), test)
		}
	}
}

func compare(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.IsNaN(got[i]) != math.IsNaN(want[i]) || math.Abs(got[i]-want[i]) > 1e-9*(1+math.Abs(want[i])) {
			t.Fatalf("%s: value %d of a row of 7 (%d): got %v, want %v", what, i%7, i, got[i], want[i])
		}
	}
}

// A target column is read at the last row of the window; without truth a test
// unit is complete; units are told apart by all group columns.
func TestDeriveTarget(t *testing.T) {
	t.Parallel()
	text := "a,b,x,y\n1,1,10,5\n1,1,20,6\n1,11,1,7\n11,1,3,8\n1,1,60,9\n"
	cfg := tabular.Config{
		Train: "t.csv", Test: "t.csv",
		Derive:   &tabular.Derive{Group: []string{"a", "b"}, Window: 2, Stats: []string{"mean"}},
		Target:   tabular.Target{Column: "y"},
		Features: []tabular.Feature{{Columns: []string{"x"}}},
	}
	d, err := tabular.Load(files("t.csv", text), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := flat(d.Train); !same(got, []float64{15, 6, 40, 9}) {
		t.Errorf("train %v", got)
	}
	if got := flat(d.Test); !same(got, []float64{40, 9, 1, 7, 3, 8}) {
		t.Errorf("test %v", got)
	}
	cfg.Target = tabular.Target{RowsLeft: &tabular.RowsLeft{Cap: 5}}
	if d, err = tabular.Load(files("t.csv", text), cfg); err != nil {
		t.Fatal(err)
	}
	if got := flat(d.Train); !same(got, []float64{15, 1, 40, 0}) {
		t.Errorf("train %v", got)
	}
}

func TestDeriveErrors(t *testing.T) {
	t.Parallel()
	const text = "unit,t,x\n1,1,5\n1,2,6\n2,1,7\n2,2,8\n"
	for _, c := range []struct{ name, text, truth, want string }{
		{"no truth for a unit", text, "unit,left\n1,5\n", "truth.csv: no row for 2"},
		{"unit twice", text, "unit,left\n1,5\n2,4\n1,6\n", "truth.csv:4:1"},
		{"no number", text, "unit,left\n1,x\n", "truth.csv:2:3"},
		{"missing", text, "unit,left\n1,\n", "truth.csv:2:3"},
		{"negative", text, "left,unit\n-1,1\n", "truth.csv:2:1"},
		{"too many columns", text, "unit,left,more\n1,2,3\n", "one more"},
		{"no group column", text, "u,left\n", `no column "unit"`},
		{"no order", "unit,t,x\n1,,5\n", "unit,left\n", "t.csv:2:3: derive.order is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := tabular.Load(files("t.csv", c.text, "truth.csv", c.truth), tabular.Config{
				Train: "t.csv", Test: "t.csv",
				Derive:   &tabular.Derive{Group: []string{"unit"}, Order: "t", Window: 2, Stats: []string{"slope"}},
				Target:   tabular.Target{RowsLeft: &tabular.RowsLeft{Cap: 9, Truth: "truth.csv"}},
				Features: []tabular.Feature{{Columns: []string{"x"}}},
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
