package model

import (
	"encoding/binary"
	"math"
)

// Element returns the first value of the little-endian bytes b as a float64;
// an i64 is rounded. It panics when b is shorter than one element.
func (d DType) Element(b []byte) float64 {
	switch d {
	case F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case F16:
		return float16(binary.LittleEndian.Uint16(b))
	case BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	case F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case I64:
		return float64(int64(binary.LittleEndian.Uint64(b))) // two's complement
	}
	return math.NaN()
}

// float16 is the value of an IEEE-754 binary16.
func float16(bits uint16) float64 {
	exp, frac := int(bits>>10&0x1f), float64(bits&0x3ff)
	x := math.Ldexp(1024+frac, exp-25)
	switch {
	case exp == 0:
		x = math.Ldexp(frac, -24)
	case exp == 0x1f && frac == 0:
		x = math.Inf(1)
	case exp == 0x1f:
		x = math.NaN()
	}
	if bits>>15 != 0 {
		return -x
	}
	return x
}
