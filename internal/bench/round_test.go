package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestRound runs a federation in this process and looks at what is told.
func TestRound(t *testing.T) {
	t.Parallel()
	c := &Round{Params: 1000, Sites: 3, Rounds: 2, PartSize: 129024, Seed: 1, Changed: 1, Trace: true, Log: zerolog.Nop(), Talk: io.Discard}
	r, err := c.measure(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if *r.Error != 0 || r.Committed != 2 || r.WarmUp != warmUp {
		t.Errorf("error %v, %d rounds after %d; want 0, 2 after %d", *r.Error, r.Committed, r.WarmUp, warmUp)
	}
	if r.Min <= 0 || r.Median < r.Min || r.Max < r.Median || r.Floor <= 0 || r.Train <= 0 {
		t.Errorf("times: %v to %v, median %v, floor %v, training %v", r.Min, r.Max, r.Median, r.Floor, r.Train)
	}
	if len(r.Times) != 2 || len(r.Laps) < minLaps || r.FloorCPU <= 0 || r.WallOver != r.Median/r.Floor || r.CPUOver != r.CPU/r.FloorCPU {
		t.Errorf("rounds of %v and laps of %v s, %v CPU s a lap, %v and %v of the floor", r.Times, r.Laps, r.FloorCPU, r.WallOver, r.CPUOver)
	}
	// Each of three sites fetches a model and sends an update of 4,000 bytes,
	// and the aggregator sends one model and receives three updates.
	if least := 10 * 4000 / 1e6; r.Wire < least || r.Wire > 3*least {
		t.Errorf("%v MB a round, want %v and a little", r.Wire, least)
	}
	next := 0
	for _, h := range r.Trace {
		for next < len(hops) && h.What != hops[next].what {
			next++
		}
		if next == len(hops) || h.First > h.Median || h.Median > h.Last {
			t.Errorf("out of place: %+v", h)
		}
	}
	if len(r.Trace) < len(hops)-2 { // PUBACKs and answers may come behind the next order
		t.Errorf("%d steps of %d: %+v", len(r.Trace), len(hops), r.Trace)
	}
	// The model of the seed: other bits here are another arithmetic.
	if want := "9bf01b3fc9ee5ed3f40605604c5269a8ef0d5186aa0a36a4f7e4043753cd9118"; r.Model != want {
		t.Errorf("model %s, want %s", r.Model, want)
	}
	if r.CPU <= 0 || r.RSS.Process == nil || *r.RSS.Process <= 0 || r.RSS.Site != nil || r.CPUByRole != nil {
		t.Errorf("one process has cpu %v (%v), memory %v", r.CPU, r.CPUByRole, r.RSS)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"rounds_s", "laps_s", "floor_cpu_s", "floor_rss_mb", "wall_over_floor", "cpu_over_floor", "round_s_median", "round_s_min", "cpu_s_per_round", "rss_mb", "wire_mb_per_round", "floor_s", "max_abs_err", "strategy", "close_s_median",
		"changed", "up_mb_per_round", "down_mb_per_round", "full_mb_per_round",
		"params", "sites", "rounds", "part_size", "trace", "versions", "model_id", "rounds_committed", "cpu_s_by_role",
	} {
		if !bytes.Contains(b, []byte(`"`+key+`":`)) {
			t.Errorf("no %s in %s", key, b)
		}
	}
}

// TestRoundUnchanged: of a model in parts of which a hundredth changes, a site sends and
// receives a few hundredths, and the result is exact (TR-71, TR-72).
func TestRoundUnchanged(t *testing.T) {
	t.Parallel()
	c := &Round{Params: 400_000, Sites: 2, Rounds: 2, PartSize: 8320, Seed: 1, Changed: 0.01, Log: zerolog.Nop(), Talk: io.Discard}
	r, err := c.measure(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if *r.Error != 0 || r.Full != 3.2 {
		t.Errorf("error %v, %v MB whole", *r.Error, r.Full)
	}
	if r.Up < r.Full/100 || r.Up > r.Full/20 || r.Down < r.Full/100 || r.Down > r.Full/20 {
		t.Errorf("%v MB up, %v down, of %v", r.Up, r.Down, r.Full)
	}
}

// TestTurns: whatever the number of rounds, the floor has a turn before every block
// of them, no round after a turn is measured, and as many as were asked for are.
func TestTurns(t *testing.T) {
	t.Parallel()
	for rounds := 1; rounds < 120; rounds++ {
		r := &federation{Round: Round{Rounds: rounds}}
		spec := peerSpec{Rounds: uint64(r.last()), Block: uint64(r.block())}
		turns := 0
		for n := range r.last() + 1 {
			r.records = append(r.records, peerRecord{At: float64(n)})
			if spec.holds(uint64(n)) {
				turns++
				r.records[n].At -= 0.5 // its time shows whether it is measured
			}
		}
		times := r.times()
		if turns != r.turns() || turns > maxTurns || turns*r.laps() < minLaps || len(times) != rounds || slices.Min(times) < 1 {
			t.Errorf("%d rounds: %d turns of %d laps, rounds of %v", rounds, turns, r.laps(), times)
		}
	}
}

func TestRoundRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		c    Round
		want string
	}{
		"params": {Round{Params: 0, Sites: 1, Rounds: 1}, "--params 0"},
		"sites":  {Round{Params: 1, Sites: 20000, Rounds: 1}, "--sites 20000"},
		"rounds": {Round{Params: 1, Sites: 1, Rounds: 0}, "--rounds 0"},
		"none":   {Round{Params: 1, Sites: 1, Rounds: 1}, "--changed 0: want more than 0"},
		"more":   {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1.5}, "--changed 1.5"},
		"part":   {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 4096}, "--part-size 4096: want 4160 to 4194304"},
		"broker": {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 8192, Broker: "wss://example/mqtt"}, "--broker: want tcp://host:port"},
		"dir":    {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 8192, Dir: "round_test.go"}, "--dir: want a directory: open round_test.go: not a directory"},
		"no dir": {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 8192, Profile: "missing"}, "--profile: want a directory: stat missing: no such file"},
		"trains": {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 8192, Strategy: Folding{text: "fednova", name: "fednova"}}, "--strategy fednova wants momentum, steps of its sites"},
		"waits":  {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 8192, Strategy: Folding{text: "fedbuff", name: "fedbuff"}}, "--strategy fedbuff is asynchronous"},
		"rows":   {Round{Params: 1, Sites: 1, Rounds: 1, Changed: 1, PartSize: 8192, Strategy: Folding{text: "fltrust", name: "fltrust"}}, "--strategy fltrust wants rows"},
		"few":    {Round{Params: 1, Sites: 2, Rounds: 1, Changed: 1, PartSize: 8192, Strategy: Folding{text: "median", name: "median"}}, "--strategy median takes 3 updates or more, --sites are 2"},
		"many":   {Round{Params: 1, Sites: 1, Rounds: math.MaxInt}, "want 1 to 2^20"},
	} {
		if err := tc.c.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// TestTellsItsPartysError: what a party says last is the bench's error.
func TestTellsItsPartysError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newCrew(dir, Round{Log: zerolog.Nop()})
	if _, err := c.start(t.Context(), peerSpec{Role: "sender", Name: "sender-1", Address: "127.0.0.1:1", Params: 1, Sites: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.readies(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "sender-1: dial tcp 127.0.0.1:1") {
		t.Errorf("%v, want who could not dial", err)
	}
	if err := c.end(); err != nil {
		t.Error(err)
	}
}

// A model that no party could send is refused before anything starts: its round would
// never come to an end.
func TestRoundOfTooManyParts(t *testing.T) {
	t.Parallel()
	for params, ok := range map[int]bool{126_976_000: true, 126_976_001: false} {
		c := &Round{Params: params, Sites: 1, Rounds: 1, PartSize: 129024, Changed: 1}
		if err := c.Check(); (err == nil) != ok {
			t.Errorf("%d parameters: %v", params, err)
		}
	}
}

// Rounds of other strategies are made again from their records, to the same bits, those
// that keep a state too; with updates of another seed they are not.
func TestRoundOfAStrategy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"multi_krum,f=1": 3, "centered_clip,iterations=2": 3} {
		f, err := ParseFolding(text)
		if err != nil {
			t.Fatal(err)
		}
		c := &Round{Params: 9000, Sites: 5, Rounds: 1, PartSize: 8320, Seed: 1, Changed: 0.5, Strategy: f, Log: zerolog.Nop(), Talk: io.Discard}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		r, err := c.measure(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if r.Error != nil || r.Again != want || r.Strategy != text || r.Close <= 0 {
			t.Errorf("%s: error %v, %d rounds made again of %s, closed in %v s", text, r.Error, r.Again, r.Strategy, r.Close)
		}
		c.Seed = 2
		if _, err := (&federation{Round: *c, dir: dir}).verifyAgain(t.Context()); err == nil || !strings.Contains(err.Error(), "round 1, attempt 1") {
			t.Errorf("%s, another seed: %v", text, err)
		}
	}
}
