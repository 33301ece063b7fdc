package figures

import (
	"maps"
	"os"
	"testing"
)

// Every table has its place on a page, and only what is between its marks changes.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for page, names := range map[string][]string{
		benchPage:       {"sizes", "scale", "brokers", "peers"},
		performancePage: {"trace", "profile"},
	} {
		b, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := between(string(b), name, ""); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	got, err := between("a\n<!-- figures: x -->\nold\n<!-- end of figures -->\nb\n", "x", "new\n")
	if want := "a\n<!-- figures: x -->\nnew\n<!-- end of figures -->\nb\n"; got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// What pprof prints is put where it belongs.
func TestShares(t *testing.T) {
	t.Parallel()
	got := sharesOf(`File: fedmq
Type: cpu
Duration: 2.30s, Total samples = 100ms ( 4.35%)
Showing nodes accounting for 100ms, 100% of 100ms total
      flat  flat%   sum%        cum   cum%
      50ms 50.00% 50.00%       60ms 60.00%  crypto/internal/fips140/sha256.blockSHANI
      20ms 20.00% 70.00%       20ms 20.00%  internal/runtime/syscall/linux.Syscall6
      20ms 20.00% 90.00%       20ms 20.00%  github.com/fedmq/fedmq/internal/fold.add (inline)
      10ms 10.00%   100%       10ms 10.00%  strings.Index
         0     0%   100%       90ms 90.00%  main.main
`)
	want := map[string]float64{costs[0].name: .5, costs[1].name: .2, costs[5].name: .2, rest: .1}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
