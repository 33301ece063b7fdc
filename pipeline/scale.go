package pipeline

import (
	"fmt"
	"math"
)

// Scaler brings features to the scale of a model: (x − mean) / sd, limited to
// ±zclip, missing to 0.
type Scaler struct {
	mean, inv []float64 // nil: no scaling
	clip      float64
}

// Scaler returns that of a model with the mean and standard deviation of each feature
// given; both nil for a model that reads features as they are. A deviation of 0 counts as 1.
func (p *Pipeline) Scaler(mean, sd []float64) (*Scaler, error) {
	s := &Scaler{mean: mean, clip: math.Inf(1)}
	if p.contract.ZClip > 0 {
		s.clip = p.contract.ZClip
	}
	if mean == nil && sd == nil {
		if p.contract.ZClip > 0 {
			return nil, p.unscaled()
		}
		return s, nil
	}
	if n := len(p.names); len(mean) != n || len(sd) != n {
		return nil, fmt.Errorf("%d means and %d deviations, want %d each, one per input of the model", len(mean), len(sd), n)
	}
	s.inv = make([]float64, len(sd))
	for j, v := range sd {
		s.inv[j] = 1
		if v > 0 {
			s.inv[j] = 1 / v
		}
	}
	return s, nil
}

// unscaled refuses a limit of what nothing has scaled.
func (p *Pipeline) unscaled() error {
	return fmt.Errorf("zclip: %v would cut values in the data's own units: it limits what a z-score has scaled; "+
		"set statistics: zscore at the aggregator, or clip of the features", p.contract.ZClip)
}

// Deviation is how many standard deviations a value of feature j lies from its mean,
// before any limit; 0 without scaling.
func (s *Scaler) Deviation(j int, v float64) float64 {
	if s.mean == nil {
		return 0
	}
	return (v - s.mean[j]) * s.inv[j]
}

// Input puts the features x into dst, scaled.
func (s *Scaler) Input(dst, x []float64) {
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
