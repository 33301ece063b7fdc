package round_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// lap has both members answer the open attempt and commits it with the score of its
// base.
func lap(m *round.Machine, score *round.Score) {
	rnd := m.State().Round
	for _, who := range []string{"a", "b"} {
		m.Step(1, of(m, who, fmt.Sprint(who, rnd)))
	}
	m.Step(1, round.Committed{Base: id(fmt.Sprint("m", rnd)), Score: score})
	m.Ready()
}

func works(m *round.Machine) string {
	if o := m.State().Order; o != nil {
		return o.Work
	}
	return ""
}

// `rounds` counts committed rounds of training: what measures in between, when a
// task that had ended goes on with more, is none of them.
func TestMoreRounds(t *testing.T) {
	t.Parallel()
	m, d := seam(t, func(c *round.Config) { c.Rounds = 2 })
	for range 3 {
		lap(m, nil)
	}
	if s := m.State(); !s.Finished || s.Trained != 2 || s.Version != 3 {
		t.Fatalf("after 2 rounds of training and one that measures: %+v", s)
	}
	raw, _ := json.Marshal(m.State())
	d.state, d.members = raw, m.Members()
	m = d.machine(t, round.Config{Members: filters(t, "+"), Rounds: 4, Quorum: 2, Base: id("m0")})
	m.Step(3, round.Started{Instance: inst("2")})
	m.Step(3, round.Connected{})
	var got []string
	for range 3 {
		got = append(got, works(m))
		lap(m, nil)
	}
	if want := []string{wire.WorkTrain, wire.WorkTrain, wire.WorkEvaluate}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("with 4 rounds: %v, want %v", got, want)
	}
	if s := m.State(); !s.Finished || s.Trained != 4 || s.Version != 6 {
		t.Errorf("at its end: %+v", s)
	}
}

// States of versions that did not count their rounds of training go on where they were.
func TestCountOfOlderStates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version    uint64
		statistics bool
		finished   bool
		trained    uint64
	}{{0, false, false, 0}, {1, true, false, 0}, {3, true, false, 2}, {3, false, false, 3}, {4, true, true, 2}, {3, false, true, 2}} {
		cfg := round.Config{Members: filters(t, "+"), Rounds: 2, Quorum: 2, Base: id("m0"), Statistics: c.statistics}
		s := cfg.First()
		s.Version, s.Round, s.Finished = c.version, c.version+1, c.finished
		if got := round.New(cfg, s, nil, nil).State(); got.Trained != c.trained {
			t.Errorf("version %d, statistics %v, finished %v: %d rounds of training, want %d", c.version, c.statistics, c.finished, got.Trained, c.trained)
		}
	}
}

// Early stop by the vector of algorithms, section 11: an improvement beats the
// best of the last improvement by min_delta, and patience models without one end the
// training.
func TestEarlyStop(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Statistics struct {
			EarlyStop struct {
				Patience int       `json:"patience"`
				MinDelta float64   `json:"min_delta"`
				Values   []float64 `json:"values"`
				Expected struct {
					Best uint64 `json:"best_round"`
					Stop uint64 `json:"stop_after_round"`
				} `json:"expected"`
			} `json:"early_stop"`
		} `json:"statistics"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	v := vectors.Statistics.EarlyStop
	if len(v.Values) == 0 {
		t.Fatal("no vector")
	}
	m, d := seam(t, func(c *round.Config) { c.Rounds, c.Stop = 100, &round.Stop{Patience: v.Patience, MinDelta: v.MinDelta} })
	lap(m, nil) // the first one trains the first version, which nobody has measured
	for i, value := range v.Values {
		if m.State().Enough {
			t.Fatalf("it has ended before value %d", i+1)
		}
		lap(m, &round.Score{Metric: "rmse", Value: value, Less: true, Members: 1})
		if i == 3 { // a crash in between forgets nothing
			raw, _ := json.Marshal(m.State())
			d.state, d.members = raw, m.Members()
			m = d.machine(t, round.Config{Members: filters(t, "+"), Rounds: 100, Quorum: 2, Base: id("m0"), Stop: &round.Stop{Patience: v.Patience, MinDelta: v.MinDelta}})
			m.Step(3, round.Started{Instance: inst("2")})
			m.Step(3, round.Connected{})
		}
		if uint64(i+1) == v.Expected.Stop {
			break
		}
	}
	s := m.State()
	if !s.Enough || s.Best == nil || s.Best.Version != v.Expected.Best || s.Best.Model != id(fmt.Sprint("m", v.Expected.Best)) {
		t.Errorf("best %+v, enough %v, want version %d", s.Best, s.Enough, v.Expected.Best)
	}
	if works(m) != wire.WorkEvaluate {
		t.Errorf("then comes %q, want a round that measures the last model", works(m))
	}
}

// What fewer than half of the cohort have measured decides nothing, and neither does
// another metric than before.
func TestScoresThatDecideNothing(t *testing.T) {
	t.Parallel()
	m, _ := seam(t, func(c *round.Config) { c.Stop = &round.Stop{Patience: 2} })
	lap(m, &round.Score{Metric: "accuracy", Value: .99, Members: 2}) // of the first model, which nobody has trained
	lap(m, &round.Score{Metric: "accuracy", Value: .9, Members: 0})
	if s := m.State(); s.Best != nil {
		t.Errorf("a score of nobody counts: %+v", s.Best)
	}
	lap(m, &round.Score{Metric: "bias", Value: -.9, Near: true, Members: 1})
	lap(m, &round.Score{Metric: "bias", Value: .9, Near: true, Members: 1})
	if s := m.State(); s.Best.Version != 2 || s.Best.Trained != 2 || s.Best.Round != 3 {
		t.Errorf("as far from 0 is no better: %+v", s.Best)
	}
	if s := (&round.Score{Metric: "bias", Value: .1, Near: true, Members: 1}); m.Judge(s).Version != 4 || m.State().Best.Version != 2 {
		t.Errorf("asked what would be the best, it is %+v", m.Judge(s))
	}
	lap(m, &round.Score{Metric: "macro_f1", Value: .2, Members: 2})
	if s := m.State(); s.Best.Metric != "macro_f1" || s.Best.Version != 4 || s.Enough {
		t.Errorf("numbers of two metrics were compared: %+v", s.Best)
	}
}

// Rounds of asynchronous training are mostly measured by the fast members: what not all of the
// cohort have measured is not held against what others have.
func TestBestAsynchronous(t *testing.T) {
	t.Parallel()
	m, _ := seam(t, func(c *round.Config) { c.Rounds, c.Late, c.Stop = 4, 3, &round.Stop{Patience: 1} })
	of := func(v float64, members int) *round.Score {
		return &round.Score{Metric: "rmse", Value: v, Less: true, Members: members}
	}
	for _, x := range []struct {
		score *round.Score
		best  uint64
	}{{of(9, 2), 0}, {of(.1, 1), 0}, {of(.5, 2), 2}, {of(.2, 1), 2}} {
		lap(m, x.score)
		if b := m.State().Best; b == nil && x.best != 0 || b != nil && b.Version != x.best {
			t.Errorf("%v of %d members: the best is %+v, want version %d", x.score.Value, x.score.Members, b, x.best)
		}
	}
	if lap(m, of(.4, 2)); m.State().Best.Version != 4 || m.State().Worked != wire.WorkEvaluate {
		t.Errorf("after all have measured the last: %+v, %s", m.State().Best, m.State().Worked)
	}
}
