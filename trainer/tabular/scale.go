package tabular

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
)

// scaler brings features to the scale of the model: (x − mean) / sd, limited
// to ±clip, missing to 0.
type scaler struct {
	mean, inv []float64 // nil: no scaling
	clip      float64
}

// read takes fedmq.mean and fedmq.sd, f64 [inputs], from m if it has them.
func (s *scaler) read(m *model.Model, inputs int, clip float64) error {
	s.clip = math.Inf(1)
	if clip > 0 {
		s.clip = clip
	}
	if m.Schema.Index(model.ZMeanName) < 0 && m.Schema.Index(model.ZSDName) < 0 {
		if clip > 0 {
			return fmt.Errorf("tabular: zclip: %v would cut values in the data's own units: it limits what a z-score has scaled; "+
				"set statistics: zscore at the aggregator, or clip of the features", clip)
		}
		return nil
	}
	var err error
	if s.mean, err = m.Float64s(model.ZMeanName); err != nil {
		return fmt.Errorf("tabular: %w", err)
	}
	if s.inv, err = m.Float64s(model.ZSDName); err != nil {
		return fmt.Errorf("tabular: %w", err)
	}
	if len(s.mean) != inputs || len(s.inv) != inputs {
		return fmt.Errorf("tabular: %s and %s: want %d values each, one per input", model.ZMeanName, model.ZSDName, inputs)
	}
	for j, sd := range s.inv {
		s.inv[j] = 1
		if sd > 0 {
			s.inv[j] = 1 / sd
		}
	}
	return nil
}

// input puts row x into dst.
func (s *scaler) input(dst, x []float64) {
	for j, v := range x {
		if s.mean != nil {
			v = (v - s.mean[j]) * s.inv[j]
		}
		if math.IsNaN(v) {
			v = 0
		}
		dst[j] = min(max(v, -s.clip), s.clip)
	}
}
