package pipeline

import (
	"math"
	"testing"
)

func TestCode(t *testing.T) {
	t.Parallel()
	plain := func(n int) (x []float64) {
		for i := range n {
			x = append(x, float64(i%97)/100)
		}
		return x
	}
	with := func(x []float64, v float64, times int) []float64 {
		for i := range times {
			x[7*i] = v
		}
		return x
	}
	for _, c := range []struct {
		name string
		x    []float64
		want string
	}{
		{"no code", plain(1000), ""},
		{"-999", with(plain(1000), -999, 50), "is -999 in 50 of 1000 rows, and from 0 to 0.96 in all others"},
		{"9999", with(plain(1000), 9999, 5), "is 9999 in 5 of 1000 rows, and from 0 to 0.96 in all others"},
		{"beside missing ones", with(with(plain(1000), math.NaN(), 90), -1e6, 4), "is -1e+06 in 4 of 914 rows, and from 0 to 0.96 in all others"},
		{"one outlier", with(plain(1000), -999, 1), ""},
		{"a flag", with(make([]float64, 1000), 1, 50), ""},
		{"all missing", with(make([]float64, 3), math.NaN(), 1)[:1], ""},
	} {
		if got := code(c.x); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
