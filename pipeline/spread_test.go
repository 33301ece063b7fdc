package pipeline

import (
	"strings"
	"testing"
)

func TestOtherUnit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b Spread
		want string
	}{
		{"bar and mbar", Spread{50, 1013, 8, 0, 0}, Spread{60, 1.02, .011, 0, 0}, "1e+03 times as much, as Pa beside kPa"},
		{"about zero", Spread{50, -3, 900, 0, 0}, Spread{60, .02, 1.1, 0, 0}, "1e+03 times as much, as "},
		{"degF and degC", Spread{50, 68, 9, 0, 0}, Spread{50, 21, 5.5, 0, 0}, "as degF beside degC"},
		{"K and degC", Spread{50, 294, 5, 0, 0}, Spread{50, 21, 5.5, 0, 0}, "as K beside degC"},
		{"degC and K", Spread{50, 21, 5.5, 0, 0}, Spread{50, 294, 5, 0, 0}, "as degC beside K"},
		{"% and shares", Spread{50, 40, 9, 0, 0}, Spread{50, .42, .1, 0, 0}, "100 times as much, as "},
		{"the same everywhere at a site", Spread{50, 1013, 0, 0, 0}, Spread{50, 1.013, 0, 0, 0}, "1e+03 times"},
		{"a warmer site", Spread{50, 30, 6, 0, 0}, Spread{50, 21, 5.5, 0, 0}, ""},
		{"alike", Spread{50, 30, 6, 0, 0}, Spread{50, 30, 5.5, 0, 0}, ""},
		{"another machine", Spread{50, 700, 30, 0, 0}, Spread{50, 200, 25, 0, 0}, ""},
		{"a slip of the hand", Spread{500, 1e4, 3e5, 0, 0}, Spread{500, 20, 3, 0, 0}, ""},
		{"few rows", Spread{5, 1013, 8, 0, 0}, Spread{60, 1.02, .011, 0, 0}, ""},
		{"no rows", Spread{}, Spread{60, 1.02, .011, 0, 0}, ""},
	} {
		got, from, to := OtherUnit(c.a, c.b)
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got == "" {
			continue
		}
		if v, err := Convert(c.a.Mean, from, to); err != nil || c.b.Mean > 1 && (v > 2*c.b.Mean || v < c.b.Mean/2) {
			t.Errorf("%s: %v %s is %v %s, %v", c.name, c.a.Mean, from, v, to, err)
		}
	}
}
