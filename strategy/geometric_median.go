package strategy

import "math"

// geometricMedian goes some steps of the smoothed Weiszfeld algorithm towards the point
// whose distances from all updates, as whole vectors, add up to least:
// Pillutla et al. 2019, https://arxiv.org/abs/1912.13445
type geometricMedian struct {
	nu         float64 // distances below it count as it
	iterations int
	zero       bool // begins at 0, not at the mean
	bySamples  bool
}

func (geometricMedian) least() int { return 3 }

// Each point on the way is a weighted mean of the rows, so that its weights are all that
// is kept of it.
func (g geometricMedian) mean(t *table, _ []byte, out *Output) error {
	alpha := t.shares(t.every(), g.bySamples)
	beta, total := alpha, sum(alpha)
	if g.zero {
		beta, total = make([]float64, t.n), 1
	}
	for range g.iterations {
		far, err := t.from(beta, total)
		if err != nil {
			return err
		}
		beta = make([]float64, t.n)
		for k := range beta {
			beta[k] = alpha[k] / max(g.nu, math.Sqrt(far[k]))
		}
		total = sum(beta)
	}
	return t.meanOf(t.every(), beta, out)
}

// from returns the squared distance of every row from their sum with coefficients, over
// total.
func (t *table) from(coefficients []float64, total float64) ([]float64, error) {
	return t.fromPoint(func(point []float64, _ int, rows [][]float64) {
		combine(point, rows, coefficients, total)
	})
}

// fromPoint returns the squared distance of every row from a point, whose coordinates from
// at on fill gives.
func (t *table) fromPoint(fill func(point []float64, at int, rows [][]float64)) ([]float64, error) {
	far, point := make([]float64, t.n), make([]float64, min(readBlock, t.d))
	pairs := make([]pair, t.n)
	for i := range pairs {
		pairs[i] = pair{x: i, y: t.n, sum: &far[i]}
	}
	err := t.blocks(t.every(), func(at int, rows [][]float64) error {
		p := point[:len(rows[0])]
		fill(p, at, rows)
		addSquares(pairs, append(rows[:t.n:t.n], p))
		return nil
	})
	return far, err
}
