package fold

import (
	"math"

	"github.com/fedmq/fedmq/internal/exact"
)

// Bin is the place of x in a histogram of bins of one width from lo to hi, which are
// finite and lo below hi: 0 for a value below, bins + 1 for one above, hi itself in the
// last bin (F-36).
func Bin(x, lo, hi float64, bins int) int {
	switch {
	case x < lo:
		return 0
	case x > hi:
		return bins + 1
	}
	return 1 + min(int(math.Floor(float64((x-lo)/(hi-lo))*float64(bins))), bins-1)
}

// Quantile returns the p-quantile of a histogram with the counts below lo, of each bin,
// and above hi. It is off by one bin at most, and lo or hi where it lies beyond them; lo
// of a histogram without a value.
func Quantile(p float64, counts []float64, lo, hi float64) float64 {
	total := 0.0
	for _, c := range counts {
		total += c // whole numbers
	}
	bins := counts[1 : len(counts)-1]
	target, before := float64(p*total), counts[0]
	if total == 0 || target <= before {
		return lo
	}
	width := (hi - lo) / float64(len(bins))
	for i, c := range bins {
		if c > 0 && before+c >= target {
			start := lo + float64(float64(i)*width)
			return start + float64(float64(width*(target-before))/c)
		}
		before += c
	}
	return hi
}

// leastShare is the share that an empty bin is taken to have.
const leastShare = 1e-4

// PSI is the population stability index of counts against a reference over the same bins,
// the sum of (p - q) ln(p / q) of their shares; 0 where one of them has no value.
func PSI(counts, reference []float64) float64 {
	n, m, psi := 0.0, 0.0, 0.0
	for i := range counts {
		n, m = n+counts[i], m+reference[i]
	}
	if n == 0 || m == 0 {
		return 0
	}
	for i := range counts {
		p, q := max(counts[i]/n, leastShare), max(reference[i]/m, leastShare)
		psi += float64((p - q) * exact.Log(p/q))
	}
	return psi
}
