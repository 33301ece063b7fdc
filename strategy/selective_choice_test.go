package strategy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/strategy"
)

// How few updates each selective strategy takes, by its parameters, and which of these do
// not go together.
func TestSelectiveSettings(t *testing.T) {
	t.Parallel()
	type set = strategy.Settings
	for _, c := range []struct {
		name  string
		given set
		least int
		want  string // of an error
	}{
		{"median", nil, 3, ""},
		{"trimmed_mean", set{"beta": .4}, 3, ""},
		{"trimmed_mean", set{"count": 4.}, 9, ""},
		{"krum", set{"f": 2.}, 7, ""},
		{"multi_krum", set{"f": 2.}, 7, ""},
		{"multi_krum", set{"f": 2., "m": 9.}, 11, ""},
		{"bulyan", set{"f": 2.}, 11, ""},
		{"geometric_median", nil, 3, ""},
		{"centered_clip", nil, 3, ""},
		{"median", set{"premix": "nnm", "f": 4.}, 9, ""},
		{"krum", set{"premix": "nnm", "f": 4.}, 11, ""},
		{"krum", nil, 1, "f: missing; want whole numbers from 1"},
		{"krum", set{"f": 1.5}, 1, "f: 1.5"},
		{"median", set{"premix": "nnm"}, 1, "say with f how many"},
		{"median", set{"f": 1.}, 1, "f: 1, which is for premix: nnm"},
		{"median", set{"premix": "bucketing"}, 1, "premix"},
		{"trimmed_mean", set{"beta": .5}, 1, "beta: 0.5"},
		{"geometric_median", set{"iterations": 101.}, 1, "iterations: 101"},
	} {
		n, err := strategy.Registry{}.MinimumOf(c.name, c.given)
		if c.want == "" && (err != nil || n != c.least) {
			t.Errorf("%s %v: %d, %v, want %d", c.name, c.given, n, err, c.least)
		}
		if c.want != "" && (!errors.Is(err, strategy.ErrSetting) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %v: %v, want %q", c.name, c.given, err, c.want)
		}
	}
}
