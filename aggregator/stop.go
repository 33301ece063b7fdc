package aggregator

import (
	"cmp"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// Stop ends a task early: when Patience models in a row, as the sites measure them,
// are not better than the best one before them.
type Stop struct {
	Metric   string  // default: the one that is shown first (see Task.Metric)
	Mode     Mode    // whether less or more is better; needed for numbers that a trainer has named itself
	Patience int     // models measured, 1 to 1000; default 10
	MinDelta float64 // by which a better one must beat the best, 0 and up
}

// Mode says which values of a metric are better.
type Mode string

// The values of Stop.Mode.
const (
	ModeMin Mode = "min"
	ModeMax Mode = "max"
)

const maxPatience = 1000

// rule is what the round machine needs of it.
func (s *Stop) rule() *round.Stop {
	if s == nil {
		return nil
	}
	return &round.Stop{Patience: s.Patience, MinDelta: s.MinDelta}
}

// problem says what of the settings cannot be used; "" if nothing.
func (s *Stop) problem(shown string) string {
	if s == nil {
		return ""
	}
	name := cmp.Or(s.Metric, shown)
	_, known := trainer.Better(name)
	switch {
	case s.Mode != "" && s.Mode != ModeMin && s.Mode != ModeMax:
		return fmt.Sprintf("stop.mode: %q, want min or max", s.Mode)
	case name != "" && !known && s.Mode == "":
		return fmt.Sprintf("stop.mode: missing: %s is a number of the trainer's own; want min or max", name)
	case known && s.Mode != "" && s.Mode != modeOf(name):
		return fmt.Sprintf("stop.mode: %s, but of %s %s is better; leave it out", s.Mode, name, word(modeOf(name)))
	case s.Patience < 1 || s.Patience > maxPatience:
		return fmt.Sprintf("stop.patience: %d, want 1 to %d", s.Patience, maxPatience)
	case !(s.MinDelta >= 0) || math.IsInf(s.MinDelta, 0):
		return fmt.Sprintf("stop.min_delta: %v, want 0 or more", s.MinDelta)
	}
	return ""
}

func modeOf(name string) Mode {
	if better, _ := trainer.Better(name); better(0, 1) {
		return ModeMin
	}
	return ModeMax
}

func word(m Mode) string {
	if m == ModeMin {
		return "less"
	}
	return "more"
}

// score is what decides of a committed record: the value of the metric that the task
// stops by, else of the one that it shows first, with the threshold if the task has one;
// nil if there is none, or it is not known which of two values is the better one.
func (t Task) score(r record.Record) *round.Score {
	name := r.Measured.Shown
	if t.Stop != nil && t.Stop.Metric != "" {
		name = t.Stop.Metric
	}
	v, sites, ok := r.Of(name)
	s := t.scoreBy(name)
	if !ok || s == nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	s.Value, s.Members = v, sites
	return s
}

// scoreBy is how two values of a metric are compared; nil: that is not known.
func (t Task) scoreBy(name string) *round.Score {
	if name == "" {
		return nil
	}
	_, known := trainer.Better(name)
	var mode Mode
	switch {
	case t.Stop != nil && t.Stop.Mode != "":
		mode = t.Stop.Mode
	case known:
		mode = modeOf(name)
	default:
		return nil
	}
	return &round.Score{Metric: name, Less: mode == ModeMin, Near: name == trainer.ScoreBias}
}
