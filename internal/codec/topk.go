package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
)

// topK sends the values of largest magnitude, over all float tensors together (E-4):
// their places, ascending, then the values. All others are 0.
type topK struct {
	fraction float64
	half     bool // values are f16
}

func (t topK) width() int {
	if t.half {
		return 2
	}
	return 4
}

func (t topK) size(s model.Schema) int {
	return kept(t.fraction, floats(s))*(4+t.width()) + others(s)
}

func (t topK) encode(dst []byte, m *model.Model) error {
	d := floats(m.Schema)
	if d > math.MaxUint32 {
		return fmt.Errorf("%w: %d values, places are of 32 bits", ErrRange, d)
	}
	k := kept(t.fraction, d)
	least, ties, err := cut(m, d, k)
	if err != nil {
		return err
	}
	places, values, rest := dst[:4*k], dst[4*k:(4+t.width())*k], dst[(4+t.width())*k:]
	return each(m, func(spec model.Spec, b []byte, from int) error {
		if !float(spec) {
			rest = rest[copy(rest, b):]
			return nil
		}
		for i := range spec.Elements() {
			x := float32(value(spec, b, i))
			switch a := magnitude(x); {
			case a < least, a == least && ties == 0:
				continue
			case a == least:
				ties--
			}
			binary.LittleEndian.PutUint32(places, uint32(from+i)) // below d
			if !t.put(values, x) {
				return rangeError(spec, i, float64(x))
			}
			places, values = places[4:], values[t.width():]
		}
		return nil
	})
}

func (t topK) put(dst []byte, x float32) bool {
	if !t.half {
		binary.LittleEndian.PutUint32(dst, math.Float32bits(x))
		return true
	}
	bits, ok := toF16(x)
	binary.LittleEndian.PutUint16(dst, bits)
	return ok
}

// magnitude orders values as their absolute values do.
func magnitude(x float32) uint32 { return math.Float32bits(x) &^ sign32 }

// cut finds the smallest magnitude that is among the k largest of d, and how many that
// have it are: of those the first. It counts them by the upper half of their bits, then
// by the lower.
func cut(m *model.Model, d, k int) (least uint32, ties int, err error) {
	if d == 0 {
		return 0, 0, nil
	}
	count := make([]int, 1<<16)
	tally := func(bin func(a uint32) int) error {
		clear(count)
		return each(m, func(spec model.Spec, b []byte, _ int) error {
			for i := 0; float(spec) && i < spec.Elements(); i++ {
				x := float32(value(spec, b, i))
				if x-x != 0 {
					return rangeError(spec, i, value(spec, b, i))
				}
				if at := bin(magnitude(x)); at >= 0 {
					count[at]++
				}
			}
			return nil
		})
	}
	down := func() uint32 { // the bin with the k-th from above, k counted in it afterwards
		at := len(count) - 1
		for ; k > count[at]; at-- {
			k -= count[at]
		}
		return uint32(at) // a bin
	}
	if err := tally(func(a uint32) int { return int(a >> 16) }); err != nil {
		return 0, 0, err
	}
	upper := down()
	if err := tally(func(a uint32) int {
		if a>>16 != upper {
			return -1
		}
		return int(a & 0xffff)
	}); err != nil {
		return 0, 0, err
	}
	return upper<<16 | down(), k, nil
}

func (t topK) decode(m *model.Model, src []byte) error {
	d := floats(m.Schema)
	k := kept(t.fraction, d)
	places, values, rest := src[:4*k], src[4*k:(4+t.width())*k], src[(4+t.width())*k:]
	for i, before := 0, -1; i < k; i++ {
		at := int(binary.LittleEndian.Uint32(places[4*i:]))
		if at <= before || at >= d {
			return fmt.Errorf("place %d of value %d, want one above %d and below %d", at, i, before, d)
		}
		before = at
	}
	clear(m.Blob)
	return each(m, func(spec model.Spec, b []byte, from int) error {
		if !float(spec) {
			rest = rest[copy(b, rest):]
			return nil
		}
		for ; len(places) > 0; places, values = places[4:], values[t.width():] {
			at := int(binary.LittleEndian.Uint32(places))
			if at >= from+spec.Elements() {
				break
			}
			put(spec, b, at-from, t.get(values))
		}
		return nil
	})
}

func (t topK) get(b []byte) float32 {
	if t.half {
		return fromF16(binary.LittleEndian.Uint16(b))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b))
}
