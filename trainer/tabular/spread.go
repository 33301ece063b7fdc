package tabular

import (
	"math"

	"github.com/fedmq/fedmq/pipeline"
)

// Spread is what the rows of a site have of an input, or of the target, before anything
// becomes of it.
type Spread struct {
	Name, Unit string // the unit that the contract says; "" where it says none
	pipeline.Spread
	Values []string // of an input of texts
	Of     []int    // rows with each of them

	m2 float64
}

// spreads are those of the inputs, without a row.
func spreads(c *pipeline.Contract) []Spread {
	out := make([]Spread, len(c.Inputs))
	for i, in := range c.Inputs {
		out[i] = Spread{Name: in.Name, Unit: in.Unit, Values: in.Values, Of: make([]int, len(in.Values))}
	}
	return out
}

// add counts a value: a number, or the position of a text. NaN is none.
func (s *Spread) add(v float64) {
	switch {
	case math.IsNaN(v):
		return
	case s.Values != nil:
		s.Of[int(v)]++
		s.N++
		return
	}
	if s.N++; s.N == 1 {
		s.Min, s.Max = v, v
	}
	s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	d := v - s.Mean // Welford
	s.Mean += d / float64(s.N)
	s.m2 += d * (v - s.Mean)
	s.SD = math.Sqrt(s.m2 / float64(s.N))
}

// Spreads are those of the inputs over all rows, in the order of the contract, and of a
// regression that of the target behind them.
func (d *Data) Spreads() []Spread {
	out := d.seen
	if d.pipe == nil {
		return nil
	}
	if c := d.pipe.Contract(); c.Predicts() && c.Target.Classes == nil && c.Target.RowsLeft == 0 {
		t := Spread{Name: c.Target.Name, Unit: c.Target.Unit}
		for _, r := range []Rows{d.Train, d.Test} {
			for _, y := range r.Y {
				t.add(y)
			}
		}
		out = append(out[:len(out):len(out)], t)
	}
	return out
}

// Spreads are those of the rows that are there now.
func (t *Trainer) Spreads() []Spread { return t.data.Spreads() }
