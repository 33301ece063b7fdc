package codec

import (
	"encoding/binary"
	"math"

	"github.com/fedmq/fedmq/model"
)

// half is an encoding of two bytes a value, f16 or bf16 (E-2).
type half struct {
	to   func(float32) (uint16, bool) // false: it does not fit
	from func(uint16) float32
}

func (half) size(s model.Schema) int { return 2*floats(s) + others(s) }

func (h half) encode(dst []byte, m *model.Model) error {
	return each(m, func(spec model.Spec, values []byte, _ int) error {
		if !float(spec) {
			dst = dst[copy(dst, values):]
			return nil
		}
		for i := range spec.Elements() {
			x := value(spec, values, i)
			bits, ok := h.to(float32(x))
			if !ok {
				return rangeError(spec, i, x)
			}
			binary.LittleEndian.PutUint16(dst[2*i:], bits)
		}
		dst = dst[2*spec.Elements():]
		return nil
	})
}

func (h half) decode(m *model.Model, src []byte) error {
	return each(m, func(spec model.Spec, values []byte, _ int) error {
		if !float(spec) {
			src = src[copy(values, src):]
			return nil
		}
		for i := range spec.Elements() {
			put(spec, values, i, h.from(binary.LittleEndian.Uint16(src[2*i:])))
		}
		src = src[2*spec.Elements():]
		return nil
	})
}

// dense has the values as they are: zstd alone.
type dense struct{}

func (dense) size(s model.Schema) int                 { return s.Bytes() }
func (dense) encode(dst []byte, m *model.Model) error { copy(dst, m.Blob); return nil }
func (dense) decode(m *model.Model, src []byte) error { copy(m.Blob, src); return nil }

// Parts of the bits of an f32.
const (
	sign32    = 1 << 31
	below16   = 0x38800000 // 2^-14: smaller values are subnormal in f16
	beyond16  = 0x477ff000 // 65520 rounds to infinity in f16
	bias32To5 = 0x38000000 // (127 - 15) << 23
)

// toF16 rounds half to even; subnormals stay.
func toF16(x float32) (uint16, bool) {
	u := math.Float32bits(x)
	sign, a := uint16(u>>16)&0x8000, u&^sign32
	switch {
	case a >= beyond16: // NaN too
		return 0, false
	case a < below16: // exact in float64, in units of 2^-24
		return sign | uint16(math.RoundToEven(float64(float64(math.Float32frombits(a))*(1<<24)))), true
	}
	a += 0xfff + (a>>13)&1
	return sign | uint16((a-bias32To5)>>13), true
}

func fromF16(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(frac)/(1<<24)))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp<<23 + bias32To5) | frac<<13)
}

// toBF16 is the upper half of the bits, rounded half to even.
func toBF16(x float32) (uint16, bool) {
	u := math.Float32bits(x)
	const infinity = 0x7f80
	h := uint16((uint64(u) + 0x7fff + uint64(u>>16&1)) >> 16)
	return h, x-x == 0 && h&^0x8000 < infinity
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
