package strategy

import (
	"runtime"
	"sync"
)

// spread calls fn over [0, n) cut into ranges of whole units, one for each processor where
// n times work is much. What is made in one range does not depend on another, so that the
// cut changes no bit.
func spread(n, work, unit int, fn func(lo, hi int)) {
	workers := runtime.GOMAXPROCS(0)
	if n*work < 1<<16 { // starting them costs more than it gains
		workers = 1
	}
	size := ((n+workers-1)/workers + unit - 1) / unit * unit
	var wg sync.WaitGroup
	for lo := 0; lo < n; lo += size {
		wg.Go(func() { fn(lo, min(lo+size, n)) })
	}
	wg.Wait()
}

// combine makes dst the sum of rows with these coefficients, from the first row on, over
// total: one accumulator for each coordinate.
func combine(dst []float64, rows [][]float64, coefficients []float64, total float64) {
	spread(len(dst), len(rows), line, func(lo, hi int) {
		for ; lo < hi; lo += block {
			to := min(lo+block, hi)
			d := dst[lo:to]
			clear(d)
			for k, r := range rows {
				c := coefficients[k]
				for j, x := range r[lo:to] {
					d[j] += float64(c * x)
				}
			}
			for j := range d {
				d[j] /= total
			}
		}
	})
}

// line is how many values lie on a line of the processors' memory.
const line = 8

// ones is n coefficients that change nothing.
func ones(n int) []float64 {
	c := make([]float64, n)
	for i := range c {
		c[i] = 1
	}
	return c
}

// average makes dst the mean of rows.
func average(dst []float64, rows [][]float64) {
	combine(dst, rows, ones(len(rows)), float64(len(rows)))
}

// sum adds up from the first to the last.
func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// shares is what rows count for: each the same, or by what they weigh in the round.
func (t *table) shares(which []int, bySamples bool) []float64 {
	c := ones(len(which))
	if bySamples {
		for k, i := range which {
			c[k] = float64(t.all.List[i].Weight) // at most 2^29
		}
	}
	return c
}

// meanOf gives the mean of rows to out.
func (t *table) meanOf(which []int, shares []float64, out *Output) error {
	mean := make([]float64, min(readBlock, t.d))
	total := sum(shares)
	return t.blocks(which, func(at int, rows [][]float64) error {
		mean := mean[:len(rows[0])]
		combine(mean, rows, shares, total)
		out.Mean(at, mean)
		return nil
	})
}
