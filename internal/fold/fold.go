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
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
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

// CheckValues reports whether x, whole little-endian values of type d from an
// update of weight n and coefficient c (float64(n) for a plain mean), may be
// added on this grid: [ErrNotFinite] before [ErrOutOfRange]; a value to blame is
// named by a [*ValueError]. It panics on a type that is not summed.
func (g Grid) CheckValues(x []byte, d model.DType, n uint64, c float64) error {
	// A weight that is out of range is no fault of the values: they have to be finite.
	err := g.coefficient(n, c)
	if kernelOf(d); d == model.F64 {
		limit := uint64(inf64 - 1)
		if err == nil {
			limit = limit64(g, n, c)
		}
		if !Each(len(x)/8, func(lo, hi int) bool { return within64(x[8*lo:8*hi], limit) }) {
			return outside64(x, limit)
		}
		return err
	}
	limit := uint32(inf32 - 1)
	if err == nil {
		limit = limit32(g, n, c)
	}
	if !Each(len(x)/4, func(lo, hi int) bool { return within32(x[4*lo:4*hi], limit) }) {
		return outside32(x, limit)
	}
	return err
}

// coefficient checks what does not depend on the values: c * 2^-G must stay
// finite, since it multiplies them.
func (g Grid) coefficient(n uint64, c float64) error {
	if n < 1 || n > MaxWeight || !(c >= 0) || math.IsInf(g.scaled(c), 0) {
		return fmt.Errorf("%w: the weight %d with the coefficient %g", ErrOutOfRange, n, c)
	}
	return nil
}

// scaled returns c * 2^-G. A power of two commutes with rounding, so that
// x * scaled(c) has the bits of (x * c) * 2^-G wherever that is 1 or more, and
// both are truncated to 0 below.
func (g Grid) scaled(c float64) float64 { return float64(c * pow2(-g.G())) }

// Sum is the exact weighted sum of one tensor's updates, with the weights and
// the number of members in it. It is not safe for concurrent use.
type Sum struct {
	grid    Grid
	kernel  kernel
	dtype   model.DType
	acc     []int64
	weight  uint64
	members int
}

// NewSum returns an empty sum of n coordinates of type d. It panics on a grid
// that does not [Grid.Check], and on a type that is not summed: neither f32 nor
// f64.
func NewSum(g Grid, d model.DType, n int) *Sum {
	if err := g.Check(); err != nil {
		panic(err)
	}
	return &Sum{grid: g, kernel: kernelOf(d), dtype: d, acc: make([]int64, n)}
}

// SumOf reads a sum that members of this weight together have made elsewhere:
// its coordinates in steps of 2^G, 8 little-endian bytes each. Errors wrap
// [ErrOutOfRange]: no such members give such a sum (F-7).
func SumOf(g Grid, d model.DType, acc []byte, weight, members uint64) (*Sum, error) {
	s := NewSum(g, d, len(acc)/8)
	if weight > 1<<g.W || members > weight || (weight == 0) != (members == 0) {
		return nil, fmt.Errorf("%w: a sum of %d members with the weight %d, at most 2^%d", ErrOutOfRange, members, weight, g.W)
	}
	s.weight, s.members = weight, int(members) // at most 2^53
	most := int64(weight << (62 - g.W))
	for i := range s.acc {
		s.acc[i] = int64(binary.LittleEndian.Uint64(acc[8*i:])) // its bits
		if s.acc[i] > most || s.acc[i] < -most {
			return nil, fmt.Errorf("%w: coordinate %d of a sum is %d steps, at most %d", ErrOutOfRange, i, s.acc[i], most)
		}
	}
	return s, nil
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

// Check reports whether the values x of an update of weight n and coefficient c
// can be added: what [Grid.CheckValues] says, then [ErrFull]. It changes
// nothing. It panics when x has not the sum's length.
func (s *Sum) Check(x []byte, n uint64, c float64) error {
	s.sized(x)
	if err := s.grid.CheckValues(x, s.dtype, n, c); err != nil {
		return err
	}
	return s.room(n)
}

// room reports a weight that does not fit (F-5).
func (s *Sum) room(n uint64) error {
	if n > 1<<s.grid.W-s.weight {
		return ErrFull
	}
	return nil
}

// Add adds x with weight n and coefficient c (F-2). The same arguments must
// have passed [Sum.Check]: values outside the grid would give bits that depend
// on the CPU. It panics when the weight does not fit.
func (s *Sum) Add(x []byte, n uint64, c float64) {
	s.sized(x)
	s.Count(n)
	k, size := s.grid.scaled(c), s.kernel.size
	Each(len(s.acc), func(lo, hi int) bool { s.kernel.add(s.acc[lo:hi], x[size*lo:size*hi], k); return true })
}

// Merge adds the partial sum o, which keeps its value. Errors wrap [ErrGrid] or
// [ErrFull] and leave s unchanged (F-8).
func (s *Sum) Merge(o *Sum) error {
	if s.grid != o.grid || s.dtype != o.dtype || len(s.acc) != len(o.acc) {
		return fmt.Errorf("%w: sums on %v and %v with %d and %d coordinates of %v and %v", ErrGrid, s.grid, o.grid, len(s.acc), len(o.acc), s.dtype, o.dtype)
	}
	if err := s.room(o.weight); err != nil {
		return err
	}
	s.weight += o.weight
	s.members += o.members
	Each(len(s.acc), func(lo, hi int) bool {
		from := o.acc[lo:hi]
		for i := range s.acc[lo:hi] {
			s.acc[lo+i] += from[i]
		}
		return true
	})
	return nil
}

// Mean writes sum * 2^G / W for the coordinates from at on (F-9), 0 for an empty
// sum. It panics when dst goes beyond the sum.
func (s *Sum) Mean(dst []float64, at int) {
	step, weight := pow2(s.grid.G()), float64(max(s.weight, 1))
	acc := s.acc[at : at+len(dst)]
	for i, v := range acc[:len(dst)] {
		dst[i] = float64(float64(float64(v)*step) / weight)
	}
}

// sized panics on a caller's bug.
func (s *Sum) sized(x []byte) {
	if len(x) != s.kernel.size*len(s.acc) {
		panic(fmt.Sprintf("fold: %d bytes for %d coordinates of %v", len(x), len(s.acc), s.dtype))
	}
}

// pow2 returns 2^e for |e| <= 1022.
func pow2(e int) float64 {
	return math.Float64frombits(uint64(e+1023) << 52) // the range is checked by Grid.Check
}
