package strategy

import (
	"math"
	"slices"
)

// median takes the middle value of each coordinate, of an even number the mean of the
// two: Yin et al. 2018, https://arxiv.org/abs/1803.01498
type median struct{}

func (median) least() int { return 3 }

func (median) mean(t *table, _ []byte, out *Output) error {
	return t.byColumn(t.every(), out, middle)
}

// middle is the median of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2 // of an odd number the same twice: exact
}

// byColumn gives out what of makes of the sorted values of each coordinate.
func (t *table) byColumn(which []int, out *Output, of func(sorted []float64) float64) error {
	mean := make([]float64, min(readBlock, t.d))
	return t.blocks(which, func(at int, rows [][]float64) error {
		mean := mean[:len(rows[0])]
		columns(rows, func(j int, column []float64) {
			slices.Sort(column)
			mean[j] = of(column)
		})
		out.Mean(at, mean)
		return nil
	})
}

// trimmedMean leaves the lowest and the highest values of each coordinate out, and takes
// the mean of the rest: Yin et al. 2018, https://arxiv.org/abs/1803.01498
type trimmedMean struct {
	beta  float64 // share at each end
	count int     // if above 0: number at each end
}

func (m trimmedMean) least() int { return max(3, 2*m.count+1) }

// cut is how many of n are left out at each end. The 1e-9 makes .29 of 100 29.
func (m trimmedMean) cut(n int) int {
	if m.count > 0 {
		return m.count
	}
	return int(math.Floor(float64(m.beta*float64(n)) + 1e-9))
}

func (m trimmedMean) mean(t *table, _ []byte, out *Output) error {
	k := m.cut(t.n)
	if t.n < 2*k+1 {
		return t.few("trimmed_mean", 2*k+1)
	}
	return t.byColumn(t.every(), out, func(sorted []float64) float64 {
		rest := sorted[k : t.n-k]
		return sum(rest) / float64(len(rest))
	})
}
