package strategy

import (
	"encoding/binary"
	"math"

	"github.com/fedmq/fedmq/model"
)

// Norm is the L2 norm of an update over all its f32 and f64 tensors together,
// in schema order, one accumulator: the norm of an entry in the record.
func Norm(m *model.Model) float64 {
	sum := 0.0
	rest := m.Blob
	for _, spec := range m.Schema {
		b := rest[:spec.Bytes()]
		rest = rest[len(b):]
		switch spec.DType {
		case model.F32:
			for ; len(b) >= 4; b = b[4:] {
				x := float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
				sum += float64(x * x)
			}
		case model.F64:
			for ; len(b) >= 8; b = b[8:] {
				x := math.Float64frombits(binary.LittleEndian.Uint64(b))
				sum += float64(x * x)
			}
		}
	}
	return math.Sqrt(sum)
}
