package fold

import (
	"fmt"
	"math"
)

// Moments are the count, mean and sum of squared deviations of d features over
// observed values, each of length d (F-14).
type Moments struct{ N, Mean, M2 []float64 }

// Check reports moments that no data can have: counts that are not whole
// numbers up to 2^53, a mean that is not finite, a negative M2. Errors wrap
// [ErrNotFinite] or [ErrOutOfRange].
func (m Moments) Check() error {
	if len(m.Mean) != len(m.N) || len(m.M2) != len(m.N) {
		return fmt.Errorf("%w: moments of %d, %d and %d features", ErrOutOfRange, len(m.N), len(m.Mean), len(m.M2))
	}
	for i, n := range m.N {
		mean, m2 := m.Mean[i], m.M2[i]
		if !finite(n) || !finite(mean) || !finite(m2) {
			return fmt.Errorf("%w: feature %d has n %g, mean %g, M2 %g", ErrNotFinite, i, n, mean, m2)
		}
		if n < 0 || n > 1<<53 || n != math.Trunc(n) || m2 < 0 {
			return fmt.Errorf("%w: feature %d has n %g, M2 %g; want a count and 0 or more", ErrOutOfRange, i, n, m2)
		}
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Merge takes one more part into m, in place: give them in order of member path. It
// panics unless they have m's length. Formula: Chan, Golub and LeVeque 1979, as pairs.
func (m Moments) Merge(p Moments) {
	if len(p.N) != len(m.N) || len(p.Mean) != len(m.Mean) || len(p.M2) != len(m.M2) {
		panic(fmt.Sprintf("fold: moments of %d features into %d", len(p.N), len(m.N)))
	}
	for i := range p.N {
		m.N[i], m.Mean[i], m.M2[i] = merge(m.N[i], m.Mean[i], m.M2[i], p.N[i], p.Mean[i], p.M2[i])
	}
}

func merge(na, ma, qa, nb, mb, qb float64) (n, m, q float64) {
	switch {
	case nb == 0:
		return na, ma, qa
	case na == 0:
		return nb, mb, qb
	}
	n = na + nb
	d := mb - ma
	m = ma + float64(float64(d*nb)/n)
	q = float64(qa+qb) + float64(float64(float64(float64(d*d)*na)*nb)/n)
	return n, m, q
}

// SD writes the population standard deviations for scaling to z-scores: a
// feature without values, or one that is constant, gets 1 (F-16).
func (m Moments) SD(dst []float64) {
	for i := range m.N {
		dst[i] = 1
		if !m.Constant(i) {
			dst[i] = m.sd(i)
		}
	}
}

// Constant reports a feature that does not vary: none of its values is there,
// or they differ by no more than their rounding (F-16). The bound grows with
// the mean, for units are the plant's: 1e-12 A is a current, and the clock of
// a machine that stood still reads 1.7e9 s.
func (m Moments) Constant(i int) bool { return !(m.sd(i) > 1e-14*math.Abs(m.Mean[i])) }

func (m Moments) sd(i int) float64 {
	if m.N[i] == 0 {
		return 0
	}
	return math.Sqrt(m.M2[i] / m.N[i])
}
