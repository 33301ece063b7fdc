package round

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/fedmq/fedmq/wire"
)

// params fixes what all attempts of the round share, from its first cohort
//
func (m *Machine) params(cohort []uint32) *Params {
	p := &Params{Work: m.work(), Weights: WeightUniform, Allowance: m.cfg.Allowance, From: m.s.Attempt + 1}
	if p.Allowance == 0 {
		n := uint64(len(cohort))
		p.Allowance = min(uint64(1)<<bits.Len64(2*n-1), MaxAllowance)
	}
	if p.Work != wire.WorkTrain {
		return p
	}
	p.Weights, p.GridB, p.Cap = m.cfg.Weights, *m.cfg.GridB, m.cfg.Cap
	if p.Folding = m.cfg.Folding; p.Local.Corrects() {
		p.Enrolled = len(m.members)
	}
	switch {
	case p.Weights == WeightUniform:
		p.Cap = 1
	case p.Cap == 0:
		announced := make([]uint64, len(cohort))
		for k, i := range cohort {
			announced[k] = p.Weights.of(m.members[i].Samples)
		}
		p.Cap = autoCap(announced, m.cfg.CapFactor)
	}
	p.GridW = bits.Len64(p.Allowance*p.Cap - 1) // at most 2^24 x 2^29
	return p
}

// work returns what the current round is for; it is fixed with the round's
// first attempt.
func (m *Machine) work() string {
	if m.s.Params != nil {
		return m.s.Params.Work
	}
	switch {
	case m.cfg.Survey && m.s.Version < m.cfg.Rounds, m.cfg.Statistics && m.s.Version == 0:
		return wire.WorkStatistics
	case m.cfg.Survey:
		return wire.WorkNone
	case m.s.Trained < m.cfg.Rounds && !m.s.Enough:
		return wire.WorkTrain
	case m.s.Worked == wire.WorkTrain && (m.s.Enough || m.s.Trained <= m.cfg.Rounds):
		return wire.WorkEvaluate
	}
	return wire.WorkNone
}

// autoCap returns factor x the lower median of the announced weights, within
// 1..MaxCap (R-31; algorithms, section 2).
func autoCap(announced []uint64, factor uint64) uint64 {
	slices.Sort(announced)
	median := announced[(len(announced)-1)/2]
	if median > MaxCap/factor {
		return MaxCap
	}
	return max(1, median*factor)
}

// of returns the weight of n samples before the cap.
func (w Weights) of(n uint64) uint64 {
	switch w {
	case WeightUniform:
		return min(n, 1)
	case WeightSqrt:
		return rootHalfEven(n)
	}
	return n
}

// weigh returns the weight of an update of n samples, 0 for one that cannot
// count. Only train rounds weigh.
func (p *Params) weigh(n uint64) uint64 {
	if p.Work != wire.WorkTrain {
		return 1
	}
	return p.Weights.Weigh(n, p.Cap)
}

// Weigh returns the weight of an update of n samples under a cap, 0 for one
// that cannot count.
func (w Weights) Weigh(n, limit uint64) uint64 { return min(w.of(n), limit) }

// rootHalfEven returns the square root of n rounded to the nearest integer. A
// tie cannot happen: (k + 1/2)^2 is no integer. Integers keep it exact where a
// float64 would not hold n.
func rootHalfEven(n uint64) uint64 {
	r := uint64(math.Sqrt(float64(n)))
	r = min(r, math.MaxUint32)
	for r > 0 && r*r > n {
		r--
	}
	for r < math.MaxUint32 && (r+1)*(r+1) <= n {
		r++
	}
	if n-r*r > r { // n > (r + 1/2)^2
		r++
	}
	return r
}

// tooMany says why a number of samples is refused.
func (m *Machine) tooMany(n uint64) string {
	return fmt.Sprintf("%d samples, want at most %d (max_samples)", n, m.cfg.MaxSamples)
}
