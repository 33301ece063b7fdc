package pipeline

import (
	"fmt"
	"strconv"
)

// CheckShapes returns an error if tensors of these shapes are not what the contract
// says: inputs unlike the number of features, outputs unlike that of classes. shape
// gives that of a tensor, nil if there is none of the name. Of tensors that only
// their own program knows nothing is asked but the scaling.
func (p *Pipeline) CheckShapes(shape func(name string) []int) error {
	for _, name := range []string{"fedmq.mean", "fedmq.sd"} {
		if s := shape(name); s != nil && (len(s) != 1 || s[0] != len(p.names)) {
			return fmt.Errorf("%s is %v, want [%d]: one for each feature of the contract", name, s, len(p.names))
		}
	}
	first, last, err := p.ends(shape)
	if err != nil || first == nil {
		return err
	}
	if p.contract.ZClip > 0 && shape("fedmq.mean") == nil {
		return p.unscaled()
	}
	if in := first[len(first)-1]; in != len(p.names) {
		return fmt.Errorf("the model has %d inputs, the contract %d features: %s", in, len(p.names), List(p.names))
	}
	out := 1
	if len(last) == 2 {
		out = last[0]
	}
	switch classes := p.contract.Target.Classes; {
	case out == p.contract.Outputs():
		return nil
	case classes == nil:
		return fmt.Errorf("the model has %d outputs, a regression has 1: are the classes of %q missing?", out, p.contract.Target.Name)
	default:
		return fmt.Errorf("the model has %d outputs, the contract %d classes of %q, which want %d: %s", out, len(classes), p.contract.Target.Name, p.contract.Outputs(), List(classes))
	}
}

// ends are the shapes of the tensors that read the features and make the outputs.
func (p *Pipeline) ends(shape func(string) []int) (first, last []int, err error) {
	switch p.contract.Net.Tensors {
	case TensorsLayers:
		layer := func(i int) []int { return shape("layers." + strconv.Itoa(i) + ".weight") }
		if first = layer(0); len(first) != 2 {
			return nil, nil, fmt.Errorf("layers.0.weight is %v, want [outputs, inputs]", first)
		}
		last = first
		for i := 1; len(layer(i)) == 2; i++ {
			last = layer(i)
		}
	case TensorsCoef:
		if first = shape("coef"); len(first) != 1 && len(first) != 2 {
			return nil, nil, fmt.Errorf("coef is %v, want [outputs, inputs] or [inputs]", first)
		}
		last = first
	}
	return first, last, nil
}
