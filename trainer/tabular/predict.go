package tabular

import (
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// ErrNoGraph is returned for a model whose contract does not say how its tensors
// become an output: only the program that trained it knows.
var ErrNoGraph = errors.New("tabular: the model's tensors are those of a program of their own, which alone knows how they become an output")

// Predictor applies a model to rows, with the arithmetic by which a site judges
// it. Not safe for concurrent use.
type Predictor struct {
	pipe *pipeline.Pipeline
	net  *network
}

// NewPredictor reads a model of the contract c: layers of f32 or f64, or coef and
// intercept. The error is ErrNoGraph for other tensors.
func NewPredictor(c *pipeline.Contract, m *model.Model) (*Predictor, error) {
	p, err := pipeline.New(*c)
	if err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	if c.Net.Tensors == "" {
		return nil, ErrNoGraph
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	if err := m.Finite(); err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	if err := p.CheckShapes(m.Schema.Shape); err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	n := &network{classes: len(c.Target.Classes), between: activations[c.Net.Activation]}
	if n.scale, err = scalerOf(m, p); err != nil {
		return nil, err
	}
	weights, biases := model.WeightName, model.BiasName
	widths := []int{len(p.Features()), c.Outputs()}
	if c.Net.Tensors == pipeline.TensorsCoef {
		weights, biases = func(int) string { return "coef" }, func(int) string { return "intercept" }
	} else if widths, err = widthsOf(m.Schema, model.F32, model.F64); err != nil {
		return nil, err
	}
	n.alloc(widths, chunkRows)
	for i, l := range n.layers {
		if err := errors.Join(read(l.w, m, weights(i)), read(l.b, m, biases(i))); err != nil {
			return nil, err
		}
	}
	return &Predictor{p, n}, nil
}

// read takes the values of a tensor, f32 or f64.
func read(dst []float64, m *model.Model, name string) error {
	v, err := m.Float64s(name)
	if err != nil {
		f, err32 := m.Float32s(name)
		if err32 != nil {
			return fmt.Errorf("tabular: %w", err)
		}
		v = make([]float64, len(f))
		widen(v, f)
	}
	if len(v) != len(dst) {
		return fmt.Errorf("tabular: %s has %d values, want %d", name, len(v), len(dst))
	}
	copy(dst, v)
	return nil
}

// activations between layers, by the names of pipeline.Net.
var activations = map[string]func(z []float64){
	"": relu, "relu": relu, "identity": func([]float64) {},
	"tanh":     func(z []float64) { each1(z, math.Tanh) },
	"logistic": func(z []float64) { each1(z, logistic) },
}

func each1(z []float64, f func(float64) float64) {
	for i, v := range z {
		z[i] = f(v)
	}
}

func relu(z []float64) {
	for j, v := range z {
		z[j] = max(v, 0)
	}
}

func logistic(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// Pipeline makes the rows that Predict takes.
func (p *Predictor) Pipeline() *pipeline.Pipeline { return p.pipe }

// Deviation is how many standard deviations a value of feature j lies from the mean of
// what the model was trained on; 0 where it does not say.
func (p *Predictor) Deviation(j int, v float64) float64 { return p.net.scale.Deviation(j, v) }

// Width is how many numbers Predict gives for a row: one a class, or the target.
func (p *Predictor) Width() int { return max(1, p.net.classes) }

// Predict appends to dst what the model says of rows of features as Pipeline makes them,
// Width numbers a row: the target in its own unit, or the probability of each class, in the
// order of the contract's (of a margin: its distance; the largest wins either way, the
// first of equals).
func (p *Predictor) Predict(dst, x []float64) []float64 {
	n := p.net
	in, last := n.layers[0].in, len(n.layers)
	outputs := n.layers[last-1].out
	for len(x) >= in {
		rows := min(len(x)/in, chunkRows)
		for i := range rows {
			n.scale.Input(n.act[0][i*in:(i+1)*in], x[i*in:(i+1)*in])
		}
		n.forward(rows)
		for i := range rows {
			dst = p.result(dst, n.act[last][i*outputs:(i+1)*outputs])
		}
		x = x[rows*in:]
	}
	return dst
}

// result appends what one row of outputs means.
func (p *Predictor) result(dst, z []float64) []float64 {
	from := len(dst)
	switch p.pipe.Contract().Net.Output {
	case pipeline.OutputIdentity:
		return append(dst, p.pipe.Target(z[0]))
	case pipeline.OutputLogistic:
		return append(dst, logistic(-z[0]), logistic(z[0]))
	case pipeline.OutputMargin:
		if len(z) == 1 {
			return append(dst, -z[0], z[0])
		}
		return append(dst, z...)
	case pipeline.OutputOVR:
		for _, v := range z {
			dst = append(dst, logistic(v))
		}
	default: // softmax
		highest := z[top(z)]
		for _, v := range z {
			dst = append(dst, math.Exp(v-highest))
		}
	}
	var sum float64
	for _, v := range dst[from:] {
		sum += v
	}
	for i := range dst[from:] {
		if sum == 0 { // no class at all is likely: each as much as the others
			dst[from+i] = 1 / float64(len(z))
		} else {
			dst[from+i] /= sum
		}
	}
	return dst
}
