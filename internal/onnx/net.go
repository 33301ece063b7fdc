package onnx

import (
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// kinds are the element types of tensors that become initializers.
var kinds = map[model.DType]int64{
	model.F32: typeFloat, model.F64: typeDouble, model.F16: typeHalf, model.BF16: typeBFloat16, model.I64: typeInt64,
}

// tensor adds a tensor of the model as it is, under its own name, and returns it
// in doubles. dims replaces its shape where it is not nil.
func (g *graph) tensor(m *model.Model, name string, dims []int) string {
	s := m.Schema[m.Schema.Index(name)]
	if dims == nil {
		dims = s.Shape
	}
	return g.double(g.initializer(name, kinds[s.DType], dims, m.Bytes(name)))
}

// dense is one layer: weight [out, in] and bias [out].
type dense struct {
	weight, bias string
	in, out      int
}

// layersOf finds the layers that the contract names among the tensors of m.
func layersOf(c *pipeline.Contract, m *model.Model, inputs int) ([]dense, error) {
	var all []dense
	switch c.Net.Tensors {
	case "coef":
		all = []dense{{weight: "coef", bias: "intercept"}}
	case "layers":
		for i := 0; m.Schema.Index(model.WeightName(i)) >= 0; i++ {
			all = append(all, dense{weight: model.WeightName(i), bias: model.BiasName(i)})
		}
	default:
		return nil, fmt.Errorf("%w: only its own program knows the network of this model: %s", ErrNoGraph, tensorNames(m))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no %s in it", ErrModel, model.WeightName(0))
	}
	for i := range all {
		l := &all[i]
		w, b := m.Schema.Index(l.weight), m.Schema.Index(l.bias)
		if w < 0 || b < 0 {
			return nil, fmt.Errorf("%w: want the tensors %s and %s", ErrModel, l.weight, l.bias)
		}
		shape := m.Schema[w].Shape
		if len(shape) == 1 { // a regression of scikit-learn
			shape = []int{1, shape[0]}
		}
		if len(shape) != 2 || shape[1] != inputs || m.Schema[b].Elements() != shape[0] {
			return nil, fmt.Errorf("%w: %s is %v, want [outputs, %d] and as many %s", ErrModel, l.weight, m.Schema[w].Shape, inputs, l.bias)
		}
		l.out, l.in = shape[0], shape[1]
		inputs = l.out
	}
	return all, nil
}

func tensorNames(m *model.Model) string {
	var names []string
	for _, s := range m.Schema[:min(4, len(m.Schema))] {
		names = append(names, s.Name)
	}
	if len(m.Schema) > len(names) {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}

// forward adds the layers, and returns what the last one gives.
func (g *graph) forward(x string, layers []dense, c *pipeline.Contract, m *model.Model) (string, error) {
	activation, ok := map[string]string{"": "Relu", "relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": ""}[c.Net.Activation]
	if !ok {
		return "", fmt.Errorf("%w: activation %q", ErrModel, c.Net.Activation)
	}
	for i, l := range layers {
		weight, bias := g.tensor(m, l.weight, []int{l.out, l.in}), g.tensor(m, l.bias, []int{l.out})
		x = g.node("Gemm", attrs{"transB": 1}, x, weight, bias)
		if i+1 < len(layers) && activation != "" {
			x = g.node(activation, nil, x)
		}
	}
	return x, nil
}

// result adds what users of the graph see.
func (g *graph) result(z string, c *pipeline.Contract, from *Threshold) {
	t := c.Target
	if t.Classes == nil {
		g.value(z, t)
		return
	}
	scores := z // the largest one wins; of equals the first
	var shares string
	switch c.Net.Output {
	case pipeline.OutputSoftmax:
		shares = g.node("Softmax", attrs{"axis": 1}, z)
	case pipeline.OutputLogistic:
		scores = g.columns([]string{g.node("Neg", nil, z), z})
		shares = g.node("Sigmoid", nil, scores)
	case pipeline.OutputOVR:
		p := g.node("Sigmoid", nil, z)
		sum := g.node("ReduceSum", attrs{"keepdims": 1}, p, g.initializer("fedmq/axis", typeInt64, []int{1}, ints([]int64{1})))
		nothing := g.node("Equal", nil, sum, g.scalar(0)) // no class at all is likely: each as much as the others
		shares = g.node("Where", nil, nothing, g.scalar(1/float64(len(t.Classes))), g.node("Div", nil, p, sum))
	case pipeline.OutputMargin:
		if len(t.Classes) == 2 {
			scores = g.columns([]string{g.node("Neg", nil, z), z})
		}
	}
	var at string
	if from != nil && shares != "" && len(t.Classes) == 2 {
		at = g.decide(shares, *from)
	} else {
		at = g.node("ArgMax", attrs{"axis": 1, "keepdims": 0}, scores)
	}
	class := g.ml("LabelEncoder", attrs{"keys_int64s": upTo(len(t.Classes)), "values_strings": t.Classes, "default_string": ""}, at)
	doc := fmt.Sprintf("in the order of %q", t.Classes)
	g.output("class", t.Name, typeString, 0, class)
	if shares != "" {
		g.output("probabilities", doc, typeDouble, len(t.Classes), shares)
	} else {
		g.output("scores", doc, typeDouble, len(t.Classes), scores)
	}
}

// decide gives the class of each row by the probability of one of two.
func (g *graph) decide(shares string, t Threshold) string {
	number := func(hint string, i int) string {
		return g.initializer("fedmq/"+hint, typeInt64, nil, ints([]int64{int64(i)}))
	}
	is, other := number("class", t.Class), number("other", 1-t.Class)
	share := g.node("Gather", attrs{"axis": 1}, shares, is)
	return g.node("Where", nil, g.node("GreaterOrEqual", nil, share, g.scalar(t.From)), is, other)
}

// value brings the output back to the unit of the target.
func (g *graph) value(z string, t pipeline.Target) {
	scale := t.Scale
	if scale == 0 {
		scale = 1
	}
	if t.RowsLeft > 0 {
		z, scale = g.limit(z, g.scalar(0), g.scalar(1)), t.RowsLeft
	}
	if scale != 1 {
		z = g.node("Mul", nil, z, g.scalar(scale))
	}
	if t.Offset != 0 {
		z = g.node("Add", nil, z, g.scalar(t.Offset))
	}
	doc := t.Name
	if t.Unit != "" {
		doc += " in " + t.Unit
	}
	g.output("value", doc, typeDouble, 1, z)
}
