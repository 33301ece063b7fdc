package tabular

import (
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// steering is what a strategy adds to every gradient: mu times the way from the model
// that was received, and a correction. Without either base is nil.
type steering struct {
	mu               float64
	base, correction []float64 // like params
}

// steer reads what a job asks for.
func steer(n *network, job trainer.Job) (s steering, err error) {
	if job.Mu == 0 && job.Correction == nil {
		return s, nil
	}
	s.mu, s.base = job.Mu, slices.Clone(n.params)
	s.correction = make([]float64, len(n.params))
	if job.Correction == nil {
		return s, nil
	}
	rest := s.correction
	for i, l := range n.layers {
		for _, part := range []struct {
			name string
			n    int
		}{{model.WeightName(i), len(l.w)}, {model.BiasName(i), len(l.b)}} {
			if err := wide(rest[:part.n], job.Correction, part.name); err != nil {
				return s, err
			}
			rest = rest[part.n:]
		}
	}
	return s, nil
}

// wide reads a tensor of a correction.
func wide(dst []float64, m *model.Model, name string) error {
	x, err := m.Float32s(name)
	if err != nil {
		return fmt.Errorf("tabular: correction: %w", err)
	}
	if len(x) != len(dst) {
		return fmt.Errorf("tabular: correction: %s has %d values, want %d", name, len(x), len(dst))
	}
	widen(dst, x)
	return nil
}

// add takes the gradient times limit to limit·g + mu·(w − base) + correction.
func (s *steering) add(w, g []float64, limit float64) {
	for i := range g {
		g[i] = float64(g[i]*limit) + float64(s.mu*(w[i]-s.base[i])) + s.correction[i]
	}
}
