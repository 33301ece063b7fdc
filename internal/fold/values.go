package fold

import (
	"encoding/binary"
	"math"

	"github.com/fedmq/fedmq/model"
)

// Values decodes len(dst) little-endian values of type d from the start of x;
// the type must be [Summed].
func Values(dst []float64, x []byte, d model.DType) {
	if kernelOf(d); d == model.F64 {
		for i := range dst {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(x[8*i:]))
		}
		return
	}
	for len(dst) >= 4 && len(x) >= 16 { // arrays of fixed size spare every bound check but one
		to, v := (*[4]float64)(dst), (*[16]byte)(x)
		to[0] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v[0:])))
		to[1] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v[4:])))
		to[2] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v[8:])))
		to[3] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v[12:])))
		dst, x = dst[4:], x[16:]
	}
	for i := range dst {
		dst[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(x[4*i:])))
	}
}

// PutValues encodes v at the start of x, rounded half to even where the type is
// narrower (F-10): what [Values] has read keeps its bits.
func PutValues(x []byte, d model.DType, v []float64) {
	if kernelOf(d); d == model.F64 {
		for i := range v {
			binary.LittleEndian.PutUint64(x[8*i:], math.Float64bits(v[i]))
		}
		return
	}
	for len(v) >= 4 && len(x) >= 16 {
		to, from := (*[16]byte)(x), (*[4]float64)(v)
		binary.LittleEndian.PutUint32(to[0:], math.Float32bits(float32(from[0])))
		binary.LittleEndian.PutUint32(to[4:], math.Float32bits(float32(from[1])))
		binary.LittleEndian.PutUint32(to[8:], math.Float32bits(float32(from[2])))
		binary.LittleEndian.PutUint32(to[12:], math.Float32bits(float32(from[3])))
		v, x = v[4:], x[16:]
	}
	for i := range v {
		binary.LittleEndian.PutUint32(x[4*i:], math.Float32bits(float32(v[i])))
	}
}

// FirstNotFinite returns a [*ValueError] for the first NaN or infinity among
// little-endian values of a type that is [Summed], nil if there is none (F-12).
func FirstNotFinite(x []byte, d model.DType) error {
	if kernelOf(d); d == model.F64 {
		if Each(len(x)/8, func(lo, hi int) bool { return within64(x[8*lo:8*hi], inf64-1) }) {
			return nil
		}
		return outside64(x, inf64-1)
	}
	if Each(len(x)/4, func(lo, hi int) bool { return within32(x[4*lo:4*hi], inf32-1) }) {
		return nil
	}
	return outside32(x, inf32-1)
}
