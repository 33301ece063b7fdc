package tabular

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// chunkRows is how many rows go through the network at once. Larger batches
// are summed chunk by chunk, which bounds memory.
const chunkRows = 128

// network is a model in float64 with the buffers to train it. Not safe for
// concurrent use.
type network struct {
	layers  []layer
	classes int // 0 for regression
	scale   *pipeline.Scaler
	between func(z []float64) // activation of all layers but the last
	params  []float64         // all weights and biases
	grads   []float64         // of params
	// act[i] is the input of layer i (rows x in), the last one the output;
	// delta[i] the derivative of the loss by the output of layer i.
	act, delta [][]float64
	balance    []float64 // what a row of each class counts in training; nil: 1
}

// layer is a view of one dense layer: w is out x in.
type layer struct {
	in, out      int
	w, b, gw, gb []float64
}

// newNetwork reads the architecture off the tensors of m, with room for
// batches of rows.
func newNetwork(m *model.Model, d *Data, rows int) (*network, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	widths, err := widthsOf(m.Schema, model.F32)
	if err != nil {
		return nil, err
	}
	depth := len(widths) - 1
	outputs := 1
	if d.Classes != nil {
		outputs = len(d.Classes)
	}
	switch {
	case widths[0] != len(d.Features):
		return nil, fmt.Errorf("tabular: the model has %d inputs, the config gives %d features", widths[0], len(d.Features))
	case widths[depth] != outputs && d.Classes != nil:
		return nil, fmt.Errorf("tabular: the model has %d outputs, the config %d classes", widths[depth], outputs)
	case widths[depth] != outputs:
		return nil, fmt.Errorf("tabular: the model has %d outputs, a regression has 1: is target.classes missing?", widths[depth])
	}
	n := &network{classes: len(d.Classes), between: relu}
	if n.scale, err = scalerOf(m, d.pipe); err != nil {
		return nil, err
	}
	n.alloc(widths, min(max(rows, 1), chunkRows))
	for i, l := range n.layers {
		w, err := m.Float32s(model.WeightName(i))
		if err != nil {
			return nil, err
		}
		b, err := m.Float32s(model.BiasName(i))
		if err != nil {
			return nil, err
		}
		widen(l.w, w)
		widen(l.b, b)
	}
	return n, nil
}

func widen(dst []float64, src []float32) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// alloc makes parameters and buffers.
func (n *network) alloc(widths []int, rows int) {
	total := 0
	for i, out := range widths[1:] {
		total += out * (widths[i] + 1)
	}
	n.params, n.grads = make([]float64, total), make([]float64, total)
	n.act = append(n.act, make([]float64, rows*widths[0]))
	p, g := n.params, n.grads
	take := func(k int) (a, b []float64) {
		a, b = p[:k:k], g[:k:k]
		p, g = p[k:], g[k:]
		return a, b
	}
	for i, out := range widths[1:] {
		l := layer{in: widths[i], out: out}
		l.w, l.gw = take(out * l.in)
		l.b, l.gb = take(out)
		n.layers = append(n.layers, l)
		n.act = append(n.act, make([]float64, rows*out))
		n.delta = append(n.delta, make([]float64, rows*out))
	}
}

// Trains reports whether the trainer knows the model of a schema: its layers are of a
// network that it makes itself.
func Trains(s model.Schema) bool {
	_, err := widthsOf(s, model.F32)
	return err == nil
}

// widthsOf reads the widths of layers.0, layers.1, ... and refuses tensors it
// does not know, and types other than those given.
func widthsOf(s model.Schema, types ...model.DType) ([]int, error) {
	var widths []int
	for i := 0; ; i++ {
		w, b := s.Index(model.WeightName(i)), s.Index(model.BiasName(i))
		if w < 0 {
			break
		}
		shape := s[w].Shape
		switch {
		case len(shape) != 2 || !slices.Contains(types, s[w].DType) || shape[0] < 1 || shape[1] < 1:
			return nil, fmt.Errorf("tabular: %s: want f32 [out, in], not %v %v", s[w].Name, s[w].DType, shape)
		case b < 0 || s[b].DType != s[w].DType || len(s[b].Shape) != 1 || s[b].Shape[0] != shape[0]:
			return nil, fmt.Errorf("tabular: want %s, %v [%d]", model.BiasName(i), s[w].DType, shape[0])
		case i == 0:
			widths = append(widths, shape[1])
		case shape[1] != widths[i]:
			return nil, fmt.Errorf("tabular: %s takes %d inputs, the layer before gives %d", s[w].Name, shape[1], widths[i])
		}
		widths = append(widths, shape[0])
	}
	if len(widths) == 0 {
		return nil, fmt.Errorf("tabular: the model has no %s", model.WeightName(0))
	}
	layers := 0
	for _, t := range s {
		switch {
		case strings.HasPrefix(t.Name, "layers."):
			layers++
		case !model.IsStatistic(t.Name) && !model.IsControl(t.Name):
			return nil, fmt.Errorf("tabular: cannot train the tensor %q", t.Name)
		}
	}
	if layers != 2*(len(widths)-1) {
		return nil, fmt.Errorf("tabular: the model's layers are not numbered from 0, each with weight and bias")
	}
	return widths, nil
}

func matrix(data []float64, rows, cols int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

// forward computes the outputs of the first rows of act[0] into the last act.
func (n *network) forward(rows int) {
	for i, l := range n.layers {
		z := n.act[i+1][:rows*l.out]
		for r := range rows {
			copy(z[r*l.out:], l.b)
		}
		blas64.Gemm(blas.NoTrans, blas.Trans, 1, matrix(n.act[i], rows, l.in), matrix(l.w, l.out, l.in),
			1, matrix(z, rows, l.out))
		if i+1 < len(n.layers) {
			n.between(z)
		}
	}
}

// backward adds to grads the gradient of the rows whose derivatives are in the
// last delta; first sets instead of adding.
func (n *network) backward(rows int, first bool) {
	beta := 1.0
	if first {
		beta = 0
	}
	for i := len(n.layers) - 1; i >= 0; i-- {
		l, d := n.layers[i], n.delta[i][:rows*n.layers[i].out]
		blas64.Gemm(blas.Trans, blas.NoTrans, 1, matrix(d, rows, l.out), matrix(n.act[i], rows, l.in),
			beta, matrix(l.gw, l.out, l.in))
		if first {
			clear(l.gb)
		}
		for r := range rows {
			for j, v := range d[r*l.out : (r+1)*l.out] {
				l.gb[j] += v
			}
		}
		if i == 0 {
			return
		}
		before := n.delta[i-1][:rows*l.in]
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, matrix(d, rows, l.out), matrix(l.w, l.out, l.in),
			0, matrix(before, rows, l.in))
		for j, v := range n.act[i][:len(before)] {
			if v <= 0 {
				before[j] = 0
			}
		}
	}
}
