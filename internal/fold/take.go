package fold

import (
	"encoding/binary"
	"math"
)

// Take checks and adds the values x of the coordinates from at on of an update of weight
// n and coefficient c, both in range, in one pass. To squares it adds
// those of the values, from left to right: it stands in the shadow of the addition, which
// waits for memory. It returns how many values it has added: fewer than there are where
// the next one is not finite or out of range, as [Grid.CheckValues] tells, or beyond most.
// The update is in the sum once all of it is taken, and [Sum.Count] has counted it.
func (s *Sum) Take(x []byte, at int, n uint64, c, most, squares float64) (_ float64, taken int) {
	k, acc := s.grid.scaled(c), s.acc[at:at+len(x)/s.kernel.size]
	if s.kernel.size == 8 {
		return take64(acc, x, k, squares, min(limit64(s.grid, n, c), math.Float64bits(most)))
	}
	return take32(acc, x, k, squares, min(limit32(s.grid, n, c), bits32(most)))
}

// bits32 returns the bits of the largest float32 that is at most x >= 0.
func bits32(x float64) uint32 {
	f := float32(x)
	if float64(f) > x {
		return math.Float32bits(f) - 1
	}
	return math.Float32bits(f)
}

// Back takes out what [Sum.Take] has added: the sum has the bits that it would have
// without. Truncation is toward zero: the terms of -k are those of k with the other sign.
func (s *Sum) Back(x []byte, at int, c float64) {
	s.kernel.add(s.acc[at:at+len(x)/s.kernel.size], x, -s.grid.scaled(c))
}

// Count counts an update that is taken. It panics when the weight does not fit.
func (s *Sum) Count(n uint64) {
	if err := s.room(n); err != nil {
		panic(err)
	}
	s.weight += n
	s.members++
}

// Discount takes back what Count has counted.
func (s *Sum) Discount(n uint64) {
	s.weight -= n
	s.members--
}

// take32 adds terms and squares of the values of x, as far as their absolute bits are at
// most limit, and returns how many it has added. Each square waits for the one before, so
// that the rest costs no time: the check of eight values as in [within32], and then their
// terms as in [add32].
func take32(acc []int64, x []byte, k, squares float64, limit uint32) (_ float64, taken int) {
	const lanes = mask32<<32 | mask32
	top, all := uint64(limit|1<<31)<<32|uint64(limit|1<<31), len(acc)
	for len(acc) >= 8 && len(x) >= 32 {
		a, v := (*[8]int64)(acc), (*[32]byte)(x)
		p, q, r, s := binary.LittleEndian.Uint64(v[0:]), binary.LittleEndian.Uint64(v[8:]), binary.LittleEndian.Uint64(v[16:]), binary.LittleEndian.Uint64(v[24:])
		if (top-p&lanes)&(top-q&lanes)&(top-r&lanes)&(top-s&lanes)|lanes != math.MaxUint64 {
			break
		}
		squares = pair32(a, 0, p, k, squares)
		squares = pair32(a, 2, q, k, squares)
		squares = pair32(a, 4, r, k, squares)
		squares = pair32(a, 6, s, k, squares)
		acc, x = acc[8:], x[32:]
	}
	for len(acc) > 0 && binary.LittleEndian.Uint32(x)&mask32 <= limit {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(x)))
		squares += float64(v * v)
		acc[0] += int64(float64(v * k))
		acc, x = acc[1:], x[4:]
	}
	return squares, all - len(acc)
}

// pair32 takes the two values of w.
func pair32(a *[8]int64, i int, w uint64, k, squares float64) float64 {
	lo, hi := float64(math.Float32frombits(uint32(w))), float64(math.Float32frombits(uint32(w>>32))) // its halves
	a[i] += int64(float64(lo * k))
	a[i+1] += int64(float64(hi * k))
	squares += float64(lo * lo)
	return squares + float64(hi*hi)
}

func take64(acc []int64, x []byte, k, squares float64, limit uint64) (_ float64, taken int) {
	all := len(acc)
	for len(acc) > 0 && binary.LittleEndian.Uint64(x)&mask64 <= limit {
		v := math.Float64frombits(binary.LittleEndian.Uint64(x))
		squares += float64(v * v)
		acc[0] += int64(float64(v * k))
		acc, x = acc[1:], x[8:]
	}
	return squares, all - len(acc)
}
