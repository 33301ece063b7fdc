package model

import (
	"fmt"
	"math"
)

// Finite returns an error that names the first tensor with a value that is NaN or
// infinite: nothing can be predicted with it.
func (m *Model) Finite() error {
	blob := m.Blob
	for _, spec := range m.Schema {
		values := blob[:spec.Bytes()]
		blob = blob[spec.Bytes():]
		for size := spec.DType.Size(); len(values) > 0; values = values[size:] {
			if v := spec.DType.Element(values); math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("model: tensor %q has the value %v, want finite numbers", spec.Name, v)
			}
		}
	}
	return nil
}
