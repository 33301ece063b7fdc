package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
)

// q8 has one byte a value and a scale for each block of values of one tensor (E-3): per
// tensor the scales, then the bytes.
type q8 struct{ block int }

func (q q8) blocks(n int) int { return (n + q.block - 1) / q.block }

func (q q8) size(s model.Schema) int {
	n := others(s)
	for _, spec := range s {
		if float(spec) {
			n += 4*q.blocks(spec.Elements()) + spec.Elements()
		}
	}
	return n
}

func (q q8) encode(dst []byte, m *model.Model) error {
	return each(m, func(spec model.Spec, values []byte, _ int) error {
		if !float(spec) {
			dst = dst[copy(dst, values):]
			return nil
		}
		n := spec.Elements()
		scales, bytes := dst[:4*q.blocks(n)], dst[4*q.blocks(n):]
		for b, lo := 0, 0; lo < n; b, lo = b+1, lo+q.block {
			hi := min(lo+q.block, n)
			scale, bad := scaleOf(spec, values, lo, hi)
			if bad >= 0 {
				return rangeError(spec, bad, value(spec, values, bad))
			}
			binary.LittleEndian.PutUint32(scales[4*b:], math.Float32bits(scale))
			for i := lo; i < hi; i++ {
				bytes[i] = byte(quantum(value(spec, values, i), scale)) // its bits
			}
		}
		dst = bytes[n:]
		return nil
	})
}

// scaleOf is the scale of values lo to hi. Bad is a value that none fits, or -1.
func scaleOf(spec model.Spec, values []byte, lo, hi int) (scale float32, bad int) {
	most, at := 0.0, lo
	for i := lo; i < hi; i++ {
		x := math.Abs(value(spec, values, i))
		if !(x <= math.MaxFloat32/2) { // what is decoded is an f32
			return 0, i
		}
		if x > most {
			most, at = x, i
		}
	}
	if scale = float32(most / 127); scale-scale != 0 {
		return 0, at
	}
	return scale, -1
}

// quantum is the nearest of -127 to 127 steps, half to even.
func quantum(x float64, scale float32) int8 {
	if scale == 0 {
		return 0
	}
	return int8(max(-127, min(127, math.RoundToEven(x/float64(scale)))))
}

func (q q8) decode(m *model.Model, src []byte) error {
	return each(m, func(spec model.Spec, values []byte, _ int) error {
		if !float(spec) {
			src = src[copy(values, src):]
			return nil
		}
		n := spec.Elements()
		scales, bytes := src[:4*q.blocks(n)], src[4*q.blocks(n):]
		for b, lo := 0, 0; lo < n; b, lo = b+1, lo+q.block {
			scale := math.Float32frombits(binary.LittleEndian.Uint32(scales[4*b:]))
			if !(scale >= 0) || scale-scale != 0 || math.Signbit(float64(scale)) {
				return fmt.Errorf("tensor %.80q: the scale of block %d is %v, want 0 or more", spec.Name, b, scale)
			}
			for i := lo; i < min(lo+q.block, n); i++ {
				v := int8(bytes[i]) // its bits
				if v == -128 {
					return fmt.Errorf("tensor %.80q: value %v is -128, want -127 to 127", spec.Name, spec.Place(i))
				}
				put(spec, values, i, float32(float64(v)*float64(scale)))
			}
		}
		src = bytes[n:]
		return nil
	})
}
