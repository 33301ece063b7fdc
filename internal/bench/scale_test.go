package bench

import (
	"fmt"
	"strings"
	"testing"
)

func TestPoint(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Point{"10x100k": {10, 100_000}, "4x30M": {4, 30_000_000}, "1x17": {1, 17}, "3x1500k": {3, 1_500_000}} {
		got, err := ParsePoint(s)
		if err != nil || got != want || (got.String() != s && s != "3x1500k") {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "10", "x", "10x", "x10k", "10x10G", "10x10kk", "ax1", "1x99999999999999999999", "1x9999999999999M", "1.5x10"} {
		if p, err := ParsePoint(s); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("--points %q: want", s)) {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
}

// TestRow: what is divided by the floor's is the role's own.
func TestRow(t *testing.T) {
	t.Parallel()
	f := func(v float64) *float64 { return &v }
	r := &Result{
		Sites: 10, Params: 10_000, Median: .02, WallOver: 10, CPU: .04, CPUOver: 20,
		RSS:      ByRole{Aggregator: f(60), Broker: f(80), Site: f(90)},
		FloorRSS: &ByRole{Aggregator: f(30), Broker: f(20), Site: f(30)},
	}
	var b strings.Builder
	r.Row(&b)
	if got, want := strings.Fields(b.String()), "10x10k 20.0 ms 10.0x 40.0 ms 20.0x 60 2.0x 80 4.0x 90 3.0x"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %v", got, want)
	}
	if (&Result{}).Memory() != [3]Memory{} {
		t.Error("memory that nobody knows")
	}
}
