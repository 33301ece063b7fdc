package pipeline

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func compiled(t *testing.T, c *Contract) *Pipeline {
	t.Helper()
	p, err := New(*c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
}

func TestRow(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	c := &Contract{
		Inputs: []Input{{Name: "p"}, {Name: "mode", Values: []string{"idle", "run"}}, {Name: "q"}},
		Features: []Feature{
			{Of: "q", SLog: 1, MissingFlag: true}, {Of: "mode", MissingFlag: true}, {Of: "p", Clip: 5}, {Of: "p", Log1p: true},
		},
		Target: Target{Name: "y"}, Net: Net{Output: OutputIdentity},
	}
	p := compiled(t, c)
	if want := []string{"q", "q.missing", "mode=idle", "mode=run", "mode.missing", "p", "p"}; !slices.Equal(p.Features(), want) || p.Width() != len(want) {
		t.Errorf("features %q, %d", p.Features(), p.Width())
	}
	for _, x := range []struct{ inputs, want []float64 }{
		{[]float64{9, p.Value(1, "run"), -9}, []float64{-1, 0, 0, 1, 0, 5, math.Log1p(9)}},
		{[]float64{-0.5, p.Value(1, "idle"), nan}, []float64{nan, 1, 1, 0, 0, -0.5, math.Log1p(-0.5)}},
		{[]float64{nan, p.Value(1, "walk"), 0}, []float64{0, 0, nan, nan, 1, nan, nan}},
	} {
		got, err := p.Row([]float64{7}, x.inputs)
		if err != nil || !same(got, append([]float64{7}, x.want...)) {
			t.Errorf("%v: %v, %v", x.inputs, got, err)
		}
	}
	var value *ValueError
	if _, err := p.Row(nil, []float64{-1, 0, 0}); !errors.As(err, &value) || value.Input != 0 || err.Error() != "log1p of -1" {
		t.Errorf("a logarithm of 0: %v", err)
	}
	if _, err := p.Row(nil, []float64{1, 0}); err == nil {
		t.Error("a row of two values passed")
	}
}

// Statistics are over the last rows of a unit, column by column; the twin is naive.
func TestWindow(t *testing.T) {
	t.Parallel()
	p := compiled(t, &Contract{
		Inputs: []Input{{Name: "a"}, {Name: "b"}}, Window: &Window{Group: []string{"unit"}, Rows: 4, Stats: []string{"slope", "mean", "mean2"}},
		Target: Target{Name: "y"}, Net: Net{Output: OutputIdentity},
	})
	if want := []string{"a.slope", "b.slope", "a.mean", "b.mean", "a.mean2", "b.mean2"}; !slices.Equal(p.Features(), want) {
		t.Errorf("features %q", p.Features())
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 8; n++ {
		rows := make([]float64, 2*n)
		for i := range rows {
			rows[i] = math.Round(8 * rng.NormFloat64())
		}
		rows[0] = math.NaN()
		got := p.Window(nil, rows)
		for j := range 2 {
			mean, slope := line(rows, j, 4)
			last, _ := line(rows, j, 2)
			for i, want := range []float64{slope, mean, last} {
				if g := got[2*i+j]; !(math.Abs(g-want) < 1e-9) && !(math.IsNaN(g) && math.IsNaN(want)) {
					t.Errorf("%d rows, column %d, statistic %d: %v, want %v", n, j, i, g, want)
				}
			}
		}
	}
}

// line is the mean of the last k values of column j of 2, and the slope of the line
// through them times the rows.
func line(rows []float64, j, k int) (mean, slope float64) {
	var x, y []float64
	n := len(rows) / 2
	from := max(0, n-k)
	for i := from; i < n; i++ {
		if v := rows[2*i+j]; !math.IsNaN(v) {
			x, y = append(x, float64(i)), append(y, v)
		}
	}
	if len(y) == 0 {
		return math.NaN(), math.NaN()
	}
	var sx, sy, sxx, sxy, m float64
	for i := range x {
		sx, sy, sxx, sxy, m = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i], m+1
	}
	slope = (sxy - sx*sy/m) / max(sxx-sx*sx/m, 1) * float64(n-from) // two rows give half of it
	return sy / m, slope
}

func TestScaler(t *testing.T) {
	t.Parallel()
	c := &Contract{Inputs: []Input{{Name: "a"}, {Name: "b"}}, ZClip: 2, Target: Target{Name: "y"}, Net: Net{Output: OutputIdentity}}
	s, err := compiled(t, c).Scaler([]float64{10, 1}, []float64{2, 0})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float64, 2)
	for _, x := range [][2][]float64{{{12, 2}, {1, 1}}, {{100, -7}, {2, -2}}, {{math.NaN(), 1}, {0, 0}}} {
		if s.Input(dst, x[0]); !slices.Equal(dst, x[1]) {
			t.Errorf("%v: %v, want %v", x[0], dst, x[1])
		}
	}
	if _, err := compiled(t, c).Scaler([]float64{1}, []float64{1}); err == nil {
		t.Error("one mean for two features passed")
	}
}

// What a model gives and what a target is are each the other's inverse, and a
// share of rows is limited.
func TestTarget(t *testing.T) {
	t.Parallel()
	c := &Contract{Inputs: []Input{{Name: "a"}}, Target: Target{Name: "y", Offset: 100, Scale: 20}, Net: Net{Output: OutputIdentity}}
	if p := compiled(t, c); p.Output(140) != 2 || p.Target(2) != 140 {
		t.Errorf("%v, %v", p.Output(140), p.Target(2))
	}
	c.Target = Target{Name: "rows_left", RowsLeft: 50}
	if p := compiled(t, c); p.Output(25) != 0.5 || p.Target(0.5) != 25 || p.Target(-3) != 0 || p.Target(7) != 50 {
		t.Errorf("%v, %v", p.Output(25), p.Target(-3))
	}
}
