package fold

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Mean writes sum * 2^G / W for every coordinate (F-9), 0 for an empty
// sum. It panics unless dst has the sum's length.
func (s *Sum) Mean(dst []float64) {
	if len(dst) != len(s.acc) {
		panic(fmt.Sprintf("fold: a mean of %d coordinates into %d", len(s.acc), len(dst)))
	}
	step, weight := s.divisor()
	each(len(s.acc), func(lo, hi int) bool {
		out := dst[lo:hi]
		for i, v := range s.acc[lo:hi] {
			out[i] = float64(float64(float64(v)*step) / weight)
		}
		return true
	})
}

// divisor returns 2^G and W, both as float64; an empty sum is divided by 1.
func (s *Sum) divisor() (step, weight float64) {
	return pow2(s.grid.G()), float64(max(s.weight, 1))
}

// ApplyMean32 writes float32(float64(base) + mean); a coordinate whose sum is 0
// keeps the bits of base, -0 and all (F-10). dst and base hold
// little-endian float32 and may be the same slice.
func (s *Sum) ApplyMean32(dst, base []byte) {
	s.sized(dst, 4)
	s.sized(base, 4)
	step, weight := s.divisor()
	each(len(s.acc), func(lo, hi int) bool {
		to, from := dst[4*lo:4*hi], base[4*lo:4*hi]
		for i, v := range s.acc[lo:hi] {
			bits := binary.LittleEndian.Uint32(from[4*i:])
			if v != 0 {
				mean := float64(float64(float64(v)*step) / weight)
				bits = math.Float32bits(float32(float64(math.Float32frombits(bits)) + mean))
			}
			binary.LittleEndian.PutUint32(to[4*i:], bits)
		}
		return true
	})
}

// ApplyMean64 is [Sum.ApplyMean32] for float64 values.
func (s *Sum) ApplyMean64(dst, base []byte) {
	s.sized(dst, 8)
	s.sized(base, 8)
	step, weight := s.divisor()
	each(len(s.acc), func(lo, hi int) bool {
		to, from := dst[8*lo:8*hi], base[8*lo:8*hi]
		for i, v := range s.acc[lo:hi] {
			bits := binary.LittleEndian.Uint64(from[8*i:])
			if v != 0 {
				mean := float64(float64(float64(v)*step) / weight)
				bits = math.Float64bits(float64(math.Float64frombits(bits) + mean))
			}
			binary.LittleEndian.PutUint64(to[8*i:], bits)
		}
		return true
	})
}

// FirstNotFinite32 returns a [*ValueError] for the first NaN or infinity among
// little-endian values, nil if there is none (F-12).
func FirstNotFinite32(x []byte) error {
	if each(len(x)/4, func(lo, hi int) bool { return within32(x[4*lo:4*hi], inf32-1) }) {
		return nil
	}
	return outside32(x, inf32-1)
}

// FirstNotFinite64 is [FirstNotFinite32] for float64.
func FirstNotFinite64(x []byte) error {
	if each(len(x)/8, func(lo, hi int) bool { return within64(x[8*lo:8*hi], inf64-1) }) {
		return nil
	}
	return outside64(x, inf64-1)
}
