package fold

import (
	"encoding/binary"
	"math"
)

// Take is [Sum.Check] and [Sum.Add] in one pass over the values. To squares it adds
// those of the values, from left to right: it stands in the shadow of the addition, which
// waits for memory. It reports whether the update is in the sum; if not, that is as it
// was, and [Sum.Check] tells why.
func (s *Sum) Take(x []byte, n uint64, c, squares float64) (float64, bool) {
	s.sized(x)
	if s.grid.coefficient(n, c) != nil || s.room(n) != nil {
		return squares, false
	}
	k := s.grid.scaled(c)
	var taken int
	if s.kernel.size == 8 {
		squares, taken = take64(s.acc, x, k, squares, limit64(s.grid, n, c))
	} else {
		squares, taken = take32(s.acc, x, k, squares, limit32(s.grid, n, c))
	}
	if taken < len(s.acc) {
		s.back(x, taken, k)
		return squares, false
	}
	s.weight += n
	s.members++
	return squares, true
}

// Back takes out what [Sum.Take] or [Sum.Add] has added with the same arguments: the sum
// has the bits that it would have without.
func (s *Sum) Back(x []byte, n uint64, c float64) {
	s.sized(x)
	s.weight -= n
	s.members--
	s.back(x, len(s.acc), s.grid.scaled(c))
}

// back takes out the terms of the first coordinates. Truncation is toward zero: the terms
// of -k are those of k with the other sign.
func (s *Sum) back(x []byte, coordinates int, k float64) {
	size := s.kernel.size
	Each(coordinates, func(lo, hi int) bool { s.kernel.add(s.acc[lo:hi], x[size*lo:size*hi], -k); return true })
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
