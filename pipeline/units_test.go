package pipeline

import (
	"math"
	"testing"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v        float64
		from, to string
		want     float64
	}{
		{212, "degF", "degC", 100},
		{-40, "°F", "°C", -40},
		{25, "C", "K", 298.15},
		{1, "bar", "psi", 14.503773773020923},
		{36, "m³/h", "l/s", 10},
		{10, "gpm", "l/min", 37.85411784},
		{3.6, "t/h", "kg/s", 1},
		{50, "Hz", "rpm", 3000},
		{36, "km/h", "m/s", 10},
		{1, "in", "mm", 25.4},
		{2, "lb", "g", 907.18474},
		{1, "hp", "kW", 0.7456998715822702},
		{5, "%", "1", 0.05},
		{7, "furlong", "furlong", 7},
	} {
		if got, err := Convert(c.v, c.from, c.to); err != nil || math.Abs(got-c.want) > 1e-9*math.Max(1, math.Abs(c.want)) {
			t.Errorf("%v %s in %s: %v, %v, want %v", c.v, c.from, c.to, got, err, c.want)
		}
	}
	for _, q := range quantities { // there and back
		for _, a := range q {
			for _, b := range q {
				v, err := Convert(12, a.name, b.name)
				back, err2 := Convert(v, b.name, a.name)
				if err != nil || err2 != nil || math.Abs(back-12) > 1e-9 {
					t.Errorf("%s, %s: %v, %v, %v", a.name, b.name, back, err, err2)
				}
			}
		}
	}
	for _, c := range [][3]string{
		{"bar", "degC", "bar does not become degC: it converts to Pa, hPa, mbar, kPa, MPa, atm, psi"},
		{"furlong", "m", "furlong does not become m: the unit furlong is in no table"},
	} {
		if _, err := Convert(1, c[0], c[1]); err == nil || err.Error() != c[2] {
			t.Errorf("%s in %s: %v", c[0], c[1], err)
		}
	}
}
