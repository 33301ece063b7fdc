package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
)

// plus is m + e, in f32.
func plus(m *model.Model, e []byte) (*model.Model, error) {
	if e != nil && len(e) != 4*floats(m.Schema) {
		return nil, fmt.Errorf("codec: %d bytes are left over from before, want %d", len(e), 4*floats(m.Schema))
	}
	sum := m.Clone()
	return sum, each(sum, func(spec model.Spec, b []byte, from int) error {
		for i := 0; float(spec) && i < spec.Elements(); i++ {
			a := float32(value(spec, b, i))
			if e != nil {
				a += math.Float32frombits(binary.LittleEndian.Uint32(e[4*(from+i):]))
			}
			if a-a != 0 {
				return rangeError(spec, i, float64(a))
			}
			put(spec, b, i, a)
		}
		return nil
	})
}

// left is a - decoded, in f32.
func left(a, decoded *model.Model) ([]byte, error) {
	rest := make([]byte, 4*floats(a.Schema))
	return rest, each(a, func(spec model.Spec, b []byte, from int) error {
		d := decoded.Bytes(spec.Name)
		for i := 0; float(spec) && i < spec.Elements(); i++ {
			x := float32(value(spec, b, i)) - float32(value(spec, d, i))
			if x-x != 0 {
				return rangeError(spec, i, float64(x))
			}
			binary.LittleEndian.PutUint32(rest[4*(from+i):], math.Float32bits(x))
		}
		return nil
	})
}
