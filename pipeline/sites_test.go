package pipeline

import (
	"fmt"
	"strings"
	"testing"
)

// What every site writes where the units differ.
func TestOtherUnits(t *testing.T) {
	t.Parallel()
	bar, mbar, few := Spread{60, 1.02, .011, 0, 0}, Spread{50, 1013, 8, 0, 0}, Spread{5, 1, .01, 0, 0}
	for _, c := range []struct {
		name string
		of   []Spread
		want []string
	}{
		{"one unit", []Spread{bar, bar, few}, nil},
		{"the last", []Spread{bar, bar, few, mbar}, []string{
			"p has mean 1013 and deviation 8 at s3, 1.02 and 0.011 at s0: 1e+03 times as much, as Pa beside kPa. " +
				"If their units differ: columns: {p: {unit: Pa, to: kPa}} at s3, {p: {unit: kPa}} at s0, s1, s2, each below tabular: in the site's file",
		}},
		{"the first", []Spread{mbar, bar, bar}, []string{"columns: {p: {unit: kPa, to: Pa}} at s1, {p: {unit: Pa}} at s0, each below", "columns: {p: {unit: kPa, to: Pa}} at s2, {p: {unit: Pa}} at s0, each below"}},
	} {
		sites := []string{"s0", "s1", "s2", "s3"}[:len(c.of)]
		said(t, c.name, OtherUnits("p", sites, c.of), c.want)
	}
}

// said holds what was said against parts of it.
func said(t *testing.T, name string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %q, want %q", name, got, want)
		return
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("%s: %q, want %q", name, got[i], want[i])
		}
	}
}

func TestExchanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		of   [][]int
		want []string
	}{
		{"alike", [][]int{{98, 2}, {480, 20}, {70, 0}}, nil},
		{"the last of three", [][]int{{1472, 28}, {980, 20}, {15, 785}}, []string{
			`bad of y has 2 % of the rows at s1, 98.1 % at s2: are bad and ok exchanged at one of them? If so: columns: {y: {values: {"bad": "ok", "ok": "bad"}}} there, below tabular: in the site's file`,
		}},
		{"the first of four", [][]int{{2, 98}, {98, 2}, {95, 5}, {99, 1}}, []string{"bad of y has 2 % of the rows at s1, 98 % at s0"}},
		{"one of two", [][]int{{98, 2}, {4, 96}}, []string{"bad of y has 2 % of the rows at s0, 96 % at s1"}},
		{"not a rare one left", [][]int{{98, 2}, {0, 100}}, []string{"100 % at s1"}},
		{"a site with as many of both", [][]int{{50, 50}, {98, 2}, {3, 97}}, nil},
		{"more faults", [][]int{{98, 2}, {98, 2}, {40, 60}}, nil},
		{"a frequent class", [][]int{{75, 25}, {30, 70}}, nil},
		{"few rows", [][]int{{98, 2}, {1, 8}}, nil},
		{"sites of one class each", [][]int{{100, 0}, {0, 100}}, nil},
		{"each its own", [][]int{{90, 2, 3}, {3, 90, 2}, {2, 3, 90}}, nil},
		{"two of three", [][]int{{900, 90, 10}, {850, 140, 10}, {12, 95, 893}}, []string{"exchanged at one of them"}},
		{"no classes", [][]int{nil, {}}, nil},
	} {
		sites := []string{"s0", "s1", "s2", "s3"}[:len(c.of)]
		classes := []string{"ok", "bad", "worn"}[:len(c.of[len(c.of)-1])]
		said(t, c.name, Exchanged("y", classes, sites, c.of), c.want)
	}
}

func TestApart(t *testing.T) {
	t.Parallel()
	plain := func(n int, odd ...float64) (x []float64) {
		for i := range n {
			x = append(x, 3+float64(i*37%101)/50)
		}
		return append(x, odd...)
	}
	mostly := func(n int, v float64, odd ...float64) []float64 { // four fifths are v
		x := plain(n, odd...)
		for i := range n {
			if i%5 > 0 {
				x[i] = v
			}
		}
		return x
	}
	skewed := func(n int) (x []float64) {
		for i := range n {
			x = append(x, float64(i*i*i)/1e4)
		}
		return x
	}
	for _, c := range []struct {
		name string
		x    []float64
		want string
	}{
		{"none", plain(200), ""},
		{"one of 200", plain(199, 1e99), "is from 3 to 1e+99, and without 1 of its 200 values from 3 to 5"},
		{"two below", plain(198, -999, -999), "is from -999 to 5, and without 2 of its 200 values from 3 to 5"},
		{"on both sides, of several sizes", plain(197, -999, 70, 1e9), "is from -999 to 1e+09, and without 3 of its 200 values from 3 to 5"},
		{"a code", plain(150, make([]float64, 50)...), "is 0 in 50 of 200 rows, and from 3 to 5 in all others"},
		{"most are one value", mostly(300, 0, 4000), "is from 0 to 4000, and without 1 of its 301 values from 0 to 5"},
		{"another kind of rows", plain(180, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112), ""},
		{"skewed", skewed(400), ""},
		{"few values", []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, ""},
		{"few rows", []float64{1, 2, 3, 1e9}, ""},
	} {
		if got := Apart(c.x); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func ExampleApart() {
	x := []float64{1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, -999}
	fmt.Println("x", Apart(x))
	// Output: x is from -999 to 3, and without 1 of its 20 values from 1 to 3
}
