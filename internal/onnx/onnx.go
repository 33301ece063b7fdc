// Package onnx writes a model as an ONNX file that takes rows as the contract
// names them and gives a class or a value: every step between is in the graph.
//
// [Export] makes the graph of a network that the contract describes, [Fill] puts
// the tensors into a graph that somebody else made. The files are for opset 17
// and ai.onnx.ml 3. The package never reads a graph but for its initializers.
package onnx

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// Keys of the metadata, the same as in a safetensors file.
const (
	MetaContract = "fedmq.contract"
	MetaAbout    = "fedmq.about"
)

var (
	// ErrModel is wrapped by errors about a model that is not as its contract says.
	ErrModel = errors.New("onnx: the model does not fit its contract")
	// ErrNoGraph is wrapped where the contract does not describe a network.
	ErrNoGraph = errors.New("onnx: no graph")
	// ErrSkeleton is wrapped by errors about a graph that cannot be filled.
	ErrSkeleton = errors.New("onnx: bad skeleton")
)

// Threshold is from which probability on a row is of a class, where there are two.
type Threshold struct {
	Class int
	From  float64
}

// Export returns an ONNX file. Its inputs have the names of the contract's, in
// columns [rows, 1]: numbers are doubles with NaN for missing, texts are strings.
// With a window they are its statistics. Outputs are "class" [rows] and
// "probabilities" [rows, classes] ("scores" of a net without probabilities), or
// "value" [rows, 1]; an underscore is added to a name that an input has. The class is
// the likeliest, or what t says, if it is not nil. about is the JSON of the same name in
// the metadata; "" leaves it out.
func Export(c *pipeline.Contract, m *model.Model, about string, t *Threshold) ([]byte, error) {
	p, err := pipeline.New(*c)
	if err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if err := m.Finite(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	if err := p.CheckShapes(m.Schema.Shape); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	g := newGraph()
	x, err := g.features(p, m)
	if err != nil {
		return nil, err
	}
	layers, err := layersOf(c, m, len(p.Features()))
	if err != nil {
		return nil, err
	}
	z, err := g.forward(x, layers, c, m)
	if err != nil {
		return nil, err
	}
	g.result(z, c, t)
	return g.model(c.Target.Name, props(c, about)), nil
}

func props(c *pipeline.Contract, about string) [][2]string {
	out := [][2]string{{MetaContract, string(c.JSON())}}
	if about != "" {
		out = append(out, [2]string{MetaAbout, about})
	}
	return out
}
