package aggregator

import (
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// The gate compares what the same sites measured on as many rows, pools it as records do,
// and names who loses too much.
func TestGateHolds(t *testing.T) {
	t.Parallel()
	of := func(rows, loss float64) measured {
		return measured{Metrics: trainer.Metrics{trainer.SumN: rows, trainer.SumLoss: rows * loss}}
	}
	base := evaluations{"a": of(10, 2), "b": of(30, 4), "c": of(10, 2)} // pooled over all: 3.2
	for name, c := range map[string]struct {
		gate Release
		now  evaluations
		want string // "": it passes
	}{
		"better":                    {Release{}, evaluations{"a": of(10, 2), "b": of(30, 3), "c": of(10, 2)}, ""},
		"as good":                   {Release{}, base, "loss 3.2 after 3.2, want it better by 0"},
		"better by too little":      {Release{MinGain: .7}, evaluations{"a": of(10, 2), "b": of(30, 3), "c": of(10, 2)}, "loss 2.6 after 3.2, want it better by 0.7"},
		"one loses":                 {Release{}, evaluations{"a": of(10, 2.2), "b": of(30, 3), "c": of(10, 2)}, "a loses 10 % of its loss, max_site_loss is 5 %"},
		"one may lose so much":      {Release{MaxSiteLoss: new(.1001)}, evaluations{"a": of(10, 2.2), "b": of(30, 3), "c": of(10, 2)}, ""},
		"other rows do not count":   {Release{}, evaluations{"a": of(11, 9), "b": of(30, 3), "c": of(10, 2)}, ""},
		"too many have other rows":  {Release{}, evaluations{"a": of(11, 1), "b": of(30, 1), "c": of(9, 1)}, "1 of 3 sites have measured both on as many rows, want half"},
		"who is new does not count": {Release{}, evaluations{"d": of(10, 9), "b": of(30, 3), "c": of(10, 2)}, ""},
	} {
		task := &task{cfg: Task{Release: c.gate.withDefaults()}, state: &round.State{Cohort: []uint32{0, 1, 2}}}
		passed, why := task.holds(&round.Score{Metric: "loss", Less: true}, 3, c.now, base)
		if passed != (c.want == "") || !passed && !strings.HasSuffix(why, c.want) {
			t.Errorf("%s: %v, %s", name, passed, why)
		}
	}
}

// With a threshold versions are compared as rows will be taken.
func TestGateAtTheThreshold(t *testing.T) {
	t.Parallel()
	of := func(probabilities ...float64) evaluations {
		c := trainer.NewCounts(2, true)
		for i, p := range probabilities { // the first one is of class 1
			c.Add(map[bool]int{true: 1}[i == 0], map[bool]int{true: 1}[p >= .5], []float64{1 - p, p})
		}
		e := trainer.Metrics{trainer.SumN: float64(c.Rows()), trainer.SumCorrect: float64(c.Correct())}
		return evaluations{"a": {Metrics: e, Counts: wire.PackCounts(c.Confusion, c.Scores)}}
	}
	before, now := of(.3, .4, .1, .1), of(.4, .3, .1, .1) // at one half both take no row for class 1
	task := &task{cfg: Task{Release: (&Release{}).withDefaults(), Threshold: "f1"}, state: &round.State{Cohort: []uint32{0}}}
	if passed, why := task.holds(&round.Score{Metric: trainer.ScoreMacroF1}, 1, now, before); !passed {
		t.Error(why)
	}
	task.cfg.Threshold = ""
	if passed, why := task.holds(&round.Score{Metric: trainer.ScoreMacroF1}, 1, now, before); passed {
		t.Error(why)
	}
}
