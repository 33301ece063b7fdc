package tabular

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// scalerOf takes fedmq.mean and fedmq.sd, f64 [inputs], from m if it has them.
func scalerOf(m *model.Model, p *pipeline.Pipeline) (*pipeline.Scaler, error) {
	var mean, sd []float64
	if m.Schema.Index(model.ZMeanName) >= 0 || m.Schema.Index(model.ZSDName) >= 0 {
		var err error
		if mean, err = m.Float64s(model.ZMeanName); err != nil {
			return nil, fmt.Errorf("tabular: %w", err)
		}
		if sd, err = m.Float64s(model.ZSDName); err != nil {
			return nil, fmt.Errorf("tabular: %w", err)
		}
	}
	s, err := p.Scaler(mean, sd)
	if err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	return s, nil
}
