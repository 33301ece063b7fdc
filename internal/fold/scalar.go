package fold

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// maxScalars is the largest number of members of a scalar: 2^14 values below
// 2^112 steps stay below 2^126.
const maxScalars = 1 << 14

// Scalar is an exact sum of reals over members: 128-bit two's complement in
// steps of 2^step (F-13). Make one with [NewScalar].
type Scalar struct {
	hi, lo  uint64
	step    int
	members int
}

// CoefficientStep is the step of coefficients, up to 2^48.
const CoefficientStep = -64

// NewScalar returns the sum 0 in steps of 2^stepExp, from -900 to 900; it
// panics outside. Values up to 2^(stepExp+112) can be added.
func NewScalar(stepExp int) *Scalar {
	if stepExp < -900 || stepExp > 900 {
		panic(fmt.Sprintf("fold: a scalar with the step 2^%d", stepExp))
	}
	return &Scalar{step: stepExp}
}

// Add adds x truncated toward zero to a step. [ErrNotFinite], [ErrOutOfRange]
// or, from the 2^14th member on, [ErrFull] leave the sum unchanged.
func (s *Scalar) Add(x float64) error {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return ErrNotFinite
	case math.Abs(x) > pow2(s.step+112):
		return ErrOutOfRange
	case s.members == maxScalars:
		return ErrFull
	}
	hi, lo := magnitude(x, s.step)
	if x < 0 {
		hi, lo = negate(hi, lo)
	}
	s.plus(hi, lo)
	s.members++
	return nil
}

// Merge adds the partial sum o; [ErrGrid] or [ErrFull] leave s unchanged.
func (s *Scalar) Merge(o *Scalar) error {
	if s.step != o.step {
		return fmt.Errorf("%w: scalars in steps of 2^%d and 2^%d", ErrGrid, s.step, o.step)
	}
	if s.members+o.members > maxScalars {
		return ErrFull
	}
	s.plus(o.hi, o.lo)
	s.members += o.members
	return nil
}

// Members returns how many values are in the sum.
func (s *Scalar) Members() int { return s.members }

// Append appends the sum and its members to b, 24 little-endian bytes.
func (s *Scalar) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, s.hi), s.lo)
	return binary.LittleEndian.AppendUint64(b, uint64(s.members)) // a count
}

// ScalarOf reads what Append of a sum with this step has written. Errors wrap
// [ErrOutOfRange]: another length, or more members than there may be.
func ScalarOf(stepExp int, b []byte) (*Scalar, error) {
	s := NewScalar(stepExp)
	if len(b) != 24 {
		return nil, fmt.Errorf("%w: a scalar of %d bytes, want 24", ErrOutOfRange, len(b))
	}
	n := binary.LittleEndian.Uint64(b[16:])
	if n > maxScalars {
		return nil, fmt.Errorf("%w: a scalar of %d members, at most %d", ErrOutOfRange, n, maxScalars)
	}
	s.hi, s.lo, s.members = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), int(n)
	return s, nil
}

// Float64 returns the sum rounded once, half to even.
func (s *Scalar) Float64() float64 {
	hi, lo := s.hi, s.lo
	negative := hi>>63 == 1
	if negative {
		hi, lo = negate(hi, lo)
	}
	shift := s.step
	if n := bits.Len64(hi); n > 0 {
		// The upper 64 bits; what is cut off survives as the last bit, which
		// is all that rounding to 53 bits needs to know.
		rest := lo << (64 - n)
		lo = hi<<(64-n) | lo>>n
		if rest != 0 {
			lo |= 1
		}
		shift += n
	}
	v := math.Ldexp(float64(lo), shift)
	if negative {
		return -v
	}
	return v
}

func (s *Scalar) plus(hi, lo uint64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// magnitude returns |x| in steps of 2^step, truncated; |x| <= 2^(step+112).
func magnitude(x float64, step int) (hi, lo uint64) {
	b := math.Float64bits(x)
	exp, frac := int(b>>52&0x7ff), b&(1<<52-1)
	if exp == 0 {
		exp = 1
	} else {
		frac |= 1 << 52
	}
	shift := exp - 1075 - step // |x| = frac * 2^(exp-1075)
	switch {
	case shift <= -64:
		return 0, 0
	case shift < 0:
		return 0, frac >> -shift
	}
	return frac >> (64 - shift), frac << shift // shift <= 60
}

func negate(hi, lo uint64) (uint64, uint64) {
	lo, carry := bits.Add64(^lo, 1, 0)
	hi, _ = bits.Add64(^hi, 0, carry)
	return hi, lo
}
