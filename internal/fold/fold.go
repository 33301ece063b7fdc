// Package fold holds the numeric kernels of a round: exact weighted sums of
// updates on a fixed grid, exact scalars, and merged moments. docs/spec/fold.md
// numbers the rules that the comments name.
//
// Start with [NewGrid] and [NewSum]; check every update before adding it. A sum
// of integers has the same bits in any order, over any tree of partial sums and
// on any number of workers.
//
// The kernels work on raw little-endian bytes: nothing is decoded into a second
// copy. They never use a math function whose last bit depends on the CPU.
package fold

import (
	"errors"
	"fmt"
	"math"
)

var (
	// ErrNotFinite means a NaN or an infinity among the values (F-3).
	ErrNotFinite = errors.New("fold: not_finite")
	// ErrOutOfRange means a value, weight or coefficient outside the grid (F-4).
	ErrOutOfRange = errors.New("fold: out_of_range")
	// ErrFull means that the grid has no room for the weight; the update is
	// good and may be counted in another round (F-5).
	ErrFull = errors.New("fold: total weight exceeds the grid")
	// ErrGrid means that two sums do not belong together, or a grid is unusable.
	ErrGrid = errors.New("fold: grid")
)

// MaxWeight is the largest weight of one member: a product of a float32 with an
// integer up to it is exact in float64.
const MaxWeight = 1 << 29

// Grid fixes the arithmetic of a round: values |x| <= 2^B, total weight <= 2^W
// (F-1).
type Grid struct{ B, W int }

// G returns the exponent of the step: the sums count multiples of 2^G.
func (g Grid) G() int { return g.B + g.W - 62 }

// NewGrid returns the grid whose W is the least that holds allowance members of
// weight cap. b is from -16 to 24, cap from 1 to [MaxWeight], allowance from 1
// to 2^24; errors wrap [ErrGrid].
func NewGrid(b int, allowance, cap uint64) (Grid, error) {
	switch {
	case b < -16 || b > 24:
		return Grid{}, fmt.Errorf("%w: b is %d, want -16 to 24", ErrGrid, b)
	case cap < 1 || cap > MaxWeight:
		return Grid{}, fmt.Errorf("%w: the cap is %d, want 1 to %d", ErrGrid, cap, MaxWeight)
	case allowance < 1 || allowance > 1<<24:
		return Grid{}, fmt.Errorf("%w: the allowance is %d, want 1 to %d", ErrGrid, allowance, 1<<24)
	}
	w := 0
	for 1<<w < allowance*cap {
		w++
	}
	return Grid{B: b, W: w}, nil
}

// Check reports a grid on which no sum can be kept. It is wider than what
// [NewGrid] gives, so that sums of others can be read.
func (g Grid) Check() error {
	if g.B < -128 || g.B > 127 || g.W < 0 || g.W > 53 {
		return fmt.Errorf("%w: b %d, w %d", ErrGrid, g.B, g.W)
	}
	return nil
}

// Sum is the exact weighted sum of one tensor's updates, with the weights and
// the number of members in it. It is not safe for concurrent use.
type Sum struct {
	grid    Grid
	acc     []int64
	weight  uint64
	members int
}

// NewSum returns an empty sum of n coordinates. It panics on a grid that does
// not [Grid.Check].
func NewSum(g Grid, n int) *Sum {
	if err := g.Check(); err != nil {
		panic(err)
	}
	return &Sum{grid: g, acc: make([]int64, n)}
}

// Weight returns the total weight in the sum.
func (s *Sum) Weight() uint64 { return s.weight }

// Members returns how many updates are in the sum.
func (s *Sum) Members() int { return s.members }

// Len returns the number of coordinates.
func (s *Sum) Len() int { return len(s.acc) }

// At returns coordinate i in steps of 2^G.
func (s *Sum) At(i int) int64 { return s.acc[i] }

// Reset makes the sum empty and puts it on the grid g, which must [Grid.Check].
func (s *Sum) Reset(g Grid) {
	if err := g.Check(); err != nil {
		panic(err)
	}
	clear(s.acc)
	s.grid, s.weight, s.members = g, 0, 0
}

// Check32 reports whether x, little-endian float32 of weight n and coefficient
// c (float64(n) for a plain mean), can be added: [ErrNotFinite] before
// [ErrOutOfRange] before [ErrFull]; a value to blame is named by a [*ValueError].
// It changes nothing. It panics when x has
// not 4 bytes a coordinate.
func (s *Sum) Check32(x []byte, n uint64, c float64) error {
	s.sized(x, 4)
	return s.CheckSome32(x, n, c)
}

// CheckSome32 is [Sum.Check32] for any whole values of an update, as they
// arrive in parts.
func (s *Sum) CheckSome32(x []byte, n uint64, c float64) error {
	limit := uint32(inf32 - 1) // a weight that is out of range is no fault of the values
	err := s.coefficient(n, c)
	if !errors.Is(err, ErrOutOfRange) {
		limit = limit32(s.grid, n, c)
	}
	if !each(len(x)/4, func(lo, hi int) bool { return within32(x[4*lo:4*hi], limit) }) {
		return outside32(x, limit)
	}
	return err
}

// Check64 is [Sum.Check32] for float64 values, 8 bytes a coordinate.
func (s *Sum) Check64(x []byte, n uint64, c float64) error {
	s.sized(x, 8)
	return s.CheckSome64(x, n, c)
}

// CheckSome64 is [Sum.CheckSome32] for float64 values.
func (s *Sum) CheckSome64(x []byte, n uint64, c float64) error {
	limit := uint64(inf64 - 1) // a weight that is out of range is no fault of the values
	err := s.coefficient(n, c)
	if !errors.Is(err, ErrOutOfRange) {
		limit = limit64(s.grid, n, c)
	}
	if !each(len(x)/8, func(lo, hi int) bool { return within64(x[8*lo:8*hi], limit) }) {
		return outside64(x, limit)
	}
	return err
}

// Add32 adds x with weight n and coefficient c (F-2). The same arguments
// must have passed [Sum.Check32]: values outside the grid would give bits that
// depend on the CPU. It panics when the weight does not fit.
func (s *Sum) Add32(x []byte, n uint64, c float64) {
	s.sized(x, 4)
	k := s.take(n, c)
	each(len(s.acc), func(lo, hi int) bool { add32(s.acc[lo:hi], x[4*lo:4*hi], k); return true })
}

// Add64 is [Sum.Add32] for float64 values. The product with c is rounded once.
func (s *Sum) Add64(x []byte, n uint64, c float64) {
	s.sized(x, 8)
	k := s.take(n, c)
	each(len(s.acc), func(lo, hi int) bool { add64(s.acc[lo:hi], x[8*lo:8*hi], k); return true })
}

// Merge adds the partial sum o, which keeps its value. Errors wrap [ErrGrid] or
// [ErrFull] and leave s unchanged (F-8).
func (s *Sum) Merge(o *Sum) error {
	if s.grid != o.grid || len(s.acc) != len(o.acc) {
		return fmt.Errorf("%w: sums on %v and %v with %d and %d coordinates", ErrGrid, s.grid, o.grid, len(s.acc), len(o.acc))
	}
	if o.weight > 1<<s.grid.W-s.weight {
		return ErrFull
	}
	s.weight += o.weight
	s.members += o.members
	each(len(s.acc), func(lo, hi int) bool {
		from := o.acc[lo:hi]
		for i := range s.acc[lo:hi] {
			s.acc[lo+i] += from[i]
		}
		return true
	})
	return nil
}

// sized panics on a caller's bug.
func (s *Sum) sized(x []byte, size int) {
	if len(x) != size*len(s.acc) {
		panic(fmt.Sprintf("fold: %d bytes for %d coordinates of %d", len(x), len(s.acc), size))
	}
}

// coefficient checks what does not depend on the values.
func (s *Sum) coefficient(n uint64, c float64) error {
	// c * 2^-G must stay finite: it multiplies the values.
	if n < 1 || n > MaxWeight || !(c >= 0) || math.IsInf(s.scaled(c), 0) {
		return fmt.Errorf("%w: the weight %d with the coefficient %g", ErrOutOfRange, n, c)
	}
	if n > 1<<s.grid.W-s.weight {
		return ErrFull
	}
	return nil
}

// scaled returns c * 2^-G. A power of two commutes with rounding, so that
// x * scaled(c) has the bits of (x * c) * 2^-G wherever that is 1 or more, and
// both are truncated to 0 below.
func (s *Sum) scaled(c float64) float64 { return float64(c * pow2(-s.grid.G())) }

func (s *Sum) take(n uint64, c float64) (k float64) {
	if n > 1<<s.grid.W-s.weight {
		panic(ErrFull)
	}
	s.weight += n
	s.members++
	return s.scaled(c)
}

// pow2 returns 2^e for |e| <= 1022.
func pow2(e int) float64 {
	return math.Float64frombits(uint64(e+1023) << 52) // the range is checked by Grid.Check
}
