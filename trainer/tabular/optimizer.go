package tabular

import "math"

// Values of Settings.Optimizer.
const (
	optimizerSGD      = "sgd"
	optimizerMomentum = "momentum"
	optimizerAdam     = "adam"
)

// The usual constants of Adam, https://arxiv.org/abs/1412.6980.
const (
	adamFirst  = 0.9
	adamSecond = 0.999
	adamTiny   = 1e-8
)

// optimizer follows gradients. Its state lasts for one round: the next one begins on
// another model, the mean of all sites, where the directions of before are not its own.
type optimizer struct {
	velocity      []float64 // momentum, or the mean gradient of adam
	square        []float64 // adam: the mean of its squares
	first, second float64   // adam: powers of the decay, to take the zeros of the start out
}

func newOptimizer(s Settings, n int) optimizer {
	o := optimizer{velocity: make([]float64, n), first: 1, second: 1}
	if s.Optimizer == optimizerAdam {
		o.square = make([]float64, n)
	}
	return o
}

// step follows the gradient: L2, then the limit of the norm, then what the strategy
// adds, then momentum: v = momentum·v − lr·g, w += v; or Adam.
func (r *run) step() {
	s := &r.settings
	r.steps++
	for _, l := range r.layers {
		for j, w := range l.w {
			l.gw[j] += float64(s.L2 * w)
		}
	}
	limit := 1.0
	if s.MaxGradNorm > 0 {
		var square float64
		for _, g := range r.grads {
			square += float64(g * g)
		}
		limit = min(1, s.MaxGradNorm/(math.Sqrt(square)+1e-12))
	}
	if r.base != nil {
		r.add(r.params, r.grads, limit)
		limit = 1
	}
	if r.square != nil {
		r.adam(limit)
		return
	}
	rate := s.LR * limit
	for i, g := range r.grads {
		r.velocity[i] = float64(s.Momentum*r.velocity[i]) - float64(rate*g)
		r.params[i] += r.velocity[i]
	}
}

// adam is the step of Adam, with the gradient times limit.
func (r *run) adam(limit float64) {
	o := &r.optimizer
	o.first, o.second = o.first*adamFirst, o.second*adamSecond
	for i, g := range r.grads {
		g = float64(g * limit)
		o.velocity[i] = float64(adamFirst*o.velocity[i]) + float64((1-adamFirst)*g)
		o.square[i] = float64(adamSecond*o.square[i]) + float64((1-adamSecond)*float64(g*g))
		mean, square := o.velocity[i]/(1-o.first), o.square[i]/(1-o.second)
		r.params[i] -= float64(r.settings.LR*mean) / (math.Sqrt(square) + adamTiny)
	}
}
