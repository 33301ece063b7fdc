package aggregator

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// What the retained history holds at most.
const (
	curvePoints = 96
	curveBytes  = 15 << 10
	curveNames  = 48
)

// curve is the course of a task's numbers for who comes later: its committed
// rounds, thinned out evenly as they become many. The disk has all of them.
type curve struct {
	drawn drawn
	last  *point // nil before the first round
}

// drawn is what changes only with every step-th round.
type drawn struct {
	Points []point `json:"points"`
	Step   uint64  `json:"step"` // least distance of two rounds in Points
}

// point is one committed round.
type point struct {
	Round   uint64             `json:"round"`
	Attempt uint32             `json:"attempt"`
	Work    string             `json:"work"`
	Counted int                `json:"counted"`
	Members int                `json:"members"`
	Seconds float64            `json:"seconds"`
	Metrics map[string]float64 `json:"metrics"`
	Shown   string             `json:"shown,omitempty"`
}

func pointOf(r record.Record) point {
	s := summarize(r)
	return point{s.Round, s.Attempt, s.Work, s.Counted, s.Members, brief(s.Seconds), s.Metrics, s.Shown}
}

// add takes a committed round in, and reports whether it is drawn.
func (c *curve) add(p point) bool {
	c.last = &p
	d := &c.drawn
	if n := len(d.Points); n > 0 && p.Round < d.Points[n-1].Round+d.Step {
		return false
	}
	d.Points = append(d.Points, p)
	if len(d.Points) > curvePoints {
		for i := range len(d.Points)/2 + 1 {
			d.Points[i] = d.Points[2*i]
		}
		d.Points, d.Step = d.Points[:len(d.Points)/2+1], max(2*d.Step, 2)
	}
	return true
}

// points are those to publish: the last round is always among them.
func (c *curve) points() []point {
	list := c.drawn.Points
	if n := len(list); n == 0 || list[n-1].Round == c.last.Round {
		return list
	}
	return append(slices.Clone(list), *c.last)
}

// history is what is published: below 16 kB, whatever the metrics are called.
func (c *curve) history(task string, now int64) []byte {
	list := c.points()
	v := view.History{Schema: view.HistorySchema, TimestampMS: now, Task: task, Rounds: []uint64{}, Attempts: []uint32{}, Works: []string{}, Counted: []int{}, Members: []int{}, Seconds: []float64{}}
	names := map[string]bool{}
	for _, r := range list {
		v.Rounds, v.Attempts, v.Works = append(v.Rounds, r.Round), append(v.Attempts, r.Attempt), append(v.Works, r.Work)
		v.Counted, v.Members, v.Seconds = append(v.Counted, r.Counted), append(v.Members, r.Members), append(v.Seconds, r.Seconds)
		for name := range r.Metrics {
			names[name] = true
		}
	}
	v.Metrics = map[string][]*float64{}
	room := curveBytes - len(view.JSON(v))
	for _, name := range c.ranked(names) {
		column := make([]*float64, len(list))
		for i, r := range list {
			if x, ok := r.Metrics[name]; ok {
				column[i] = new(brief(x))
			}
		}
		if room -= len(view.JSON(map[string][]*float64{name: column})); room < 0 {
			break
		}
		v.Metrics[name] = column
	}
	return view.JSON(v)
}

// ranked are names of metrics as they are wanted where there is no room for all: the one
// shown first, then those of package trainer, then the trainers' own.
func (c *curve) ranked(names map[string]bool) []string {
	rank := func(name string) int {
		switch _, known := trainer.Better(name); {
		case name == c.last.Shown:
			return 0
		case known || name == trainer.SumN:
			return 1
		}
		return 2
	}
	list := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	return list[:min(len(list), curveNames)]
}

// brief keeps five digits: enough for a curve.
func brief(x float64) float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 5, 64), 64)
	if err != nil {
		return x
	}
	return y
}
