package strategy

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// centeredClip begins at the mean update of the round before, and goes to the mean of the
// updates as far as none is farther from there than tau:
// Karimireddy et al. 2020, https://arxiv.org/abs/2012.10333
type centeredClip struct {
	tau        float64
	iterations int
}

func (centeredClip) least() int { return 3 }

// A centre follows from the first one and from what every step clips the rows to, so that
// this is all that is kept of it.
func (c centeredClip) mean(t *table, carried []byte, out *Output) error {
	if len(carried) != 0 && len(carried) != 8*t.d {
		return fmt.Errorf("%w: a centre of %d bytes, want %d", model.ErrSchema, len(carried), 8*t.d)
	}
	var steps [][]float64
	centre := func(v []float64, at int, rows [][]float64) {
		clear(v)
		if carried != nil {
			fold.Values(v, carried[8*at:][:8*len(v)], model.F64)
		}
		for _, s := range steps {
			towards(v, rows, s)
		}
	}
	for range c.iterations {
		far, err := t.fromPoint(centre)
		if err != nil {
			return err
		}
		for k, squared := range far {
			far[k] = min(1, c.tau/math.Sqrt(squared))
		}
		steps = append(steps, far)
	}
	next, mean := make([]byte, 8*t.d), make([]float64, min(readBlock, t.d))
	err := t.blocks(t.every(), func(at int, rows [][]float64) error {
		v := mean[:len(rows[0])]
		centre(v, at, rows)
		out.Mean(at, v)
		fold.PutValues(next[8*at:][:8*len(v)], model.F64, v)
		return nil
	})
	out.Carry(next)
	return err
}

// towards moves a point by the mean of its differences to the rows, with the scale of each.
func towards(v []float64, rows [][]float64, scale []float64) {
	n := float64(len(rows))
	spread(len(v), len(rows), line, func(lo, hi int) {
		add := make([]float64, block)
		for ; lo < hi; lo += block {
			to := min(lo+block, hi)
			p, a := v[lo:to], add[:to-lo]
			clear(a)
			for k, r := range rows {
				s := scale[k]
				for j, x := range r[lo:to] {
					a[j] += float64((x - p[j]) * s)
				}
			}
			for j := range p {
				p[j] += a[j] / n
			}
		}
	})
}
