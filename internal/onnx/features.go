package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// lanes are the model's inputs before scaling, side by side, with what is done to
// each of them.
type lanes struct {
	parts []string // tensors, of one column or more
	clip  []float64
	slog  []float64 // 0: none
	log1p []bool
}

func (l *lanes) add(part string, width int, f pipeline.Feature) {
	l.parts = append(l.parts, part)
	clip := math.Inf(1)
	if f.Clip > 0 {
		clip = f.Clip
	}
	for range width {
		l.clip, l.slog, l.log1p = append(l.clip, clip), append(l.slog, f.SLog), append(l.log1p, f.Log1p)
	}
}

// features adds the inputs of the contract and what becomes of them up to the
// scaled inputs of the model: missing is NaN until the end, and 0 then.
func (g *graph) features(p *pipeline.Pipeline, m *model.Model) (string, error) {
	c := p.Contract()
	l := g.lanes(p)
	x := g.columns(l.parts)
	missing := g.node("IsNaN", nil, x)
	x = g.node("Where", nil, missing, g.scalar(0), x)
	x = g.transform(x, l)
	x, err := g.scale(x, p, m)
	if err != nil {
		return "", err
	}
	x = g.node("Where", nil, missing, g.scalar(0), x)
	if c.ZClip > 0 {
		x = g.limit(x, g.scalar(-c.ZClip), g.scalar(c.ZClip))
	}
	return x, nil
}

func (g *graph) lanes(p *pipeline.Pipeline) *lanes {
	var l lanes
	c := p.Contract()
	if c.Window != nil { // its statistics come from outside
		for _, name := range p.Features() {
			l.add(g.input(name, "", typeDouble, 1), 1, pipeline.Feature{})
		}
		return &l
	}
	kinds := map[string]pipeline.Input{}
	for _, in := range c.Inputs {
		kinds[in.Name] = in
		if in.Values == nil {
			g.input(in.Name, in.Unit, typeDouble, 1)
		} else {
			g.input(in.Name, fmt.Sprintf("one of %q", in.Values), typeString, 1)
		}
	}
	features := c.Features
	if len(features) == 0 {
		for _, in := range c.Inputs {
			features = append(features, pipeline.Feature{Of: in.Name})
		}
	}
	for _, f := range features {
		g.lane(&l, kinds[f.Of], f)
	}
	return &l
}

// lane adds one feature, and its flag.
func (g *graph) lane(l *lanes, in pipeline.Input, f pipeline.Feature) {
	var none string // where the input is missing
	if in.Values == nil {
		l.add(in.Name, 1, f)
		none = in.Name
	} else {
		at := g.ml("LabelEncoder", attrs{"keys_strings": in.Values, "values_int64s": upTo(len(in.Values)), "default_int64": -1}, in.Name)
		all := g.initializer(in.Name+"/values", typeInt64, []int{1, len(in.Values)}, ints(upTo(len(in.Values))))
		unknown := g.node("Less", nil, at, g.initializer(in.Name+"/first", typeInt64, nil, ints([]int64{0})))
		hot := g.node("Where", nil, unknown, g.scalar(math.NaN()), g.double(g.node("Equal", nil, at, all)))
		l.add(hot, len(in.Values), pipeline.Feature{})
		none = g.node("Where", nil, unknown, g.scalar(math.NaN()), g.scalar(0))
	}
	if f.MissingFlag {
		l.add(g.double(g.node("IsNaN", nil, none)), 1, pipeline.Feature{})
	}
}

func upTo(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// transform clips, then takes the logarithm of the lanes that have one.
func (g *graph) transform(x string, l *lanes) string {
	if slices.ContainsFunc(l.clip, func(v float64) bool { return !math.IsInf(v, 1) }) {
		low := make([]float64, len(l.clip))
		for i, v := range l.clip {
			low[i] = -v
		}
		x = g.limit(x, g.row(low), g.row(l.clip))
	}
	chosen, by := make([]bool, len(l.slog)), make([]float64, len(l.slog))
	for i, s := range l.slog {
		chosen[i], by[i] = s > 0, 1
		if s > 0 {
			by[i] = s
		}
	}
	if slices.Contains(chosen, true) {
		size := g.node("Log", nil, g.node("Add", nil, g.scalar(1), g.node("Div", nil, g.node("Abs", nil, x), g.row(by))))
		y := g.node("Mul", nil, g.node("Sign", nil, x), g.node("Mul", nil, size, g.scalar(1/math.Ln10)))
		x = g.node("Where", nil, g.flags(chosen), y, x)
	}
	if slices.Contains(l.log1p, true) {
		x = g.node("Where", nil, g.flags(l.log1p), g.node("Log", nil, g.node("Add", nil, g.scalar(1), x)), x)
	}
	return x
}

func (g *graph) limit(x, low, high string) string {
	return g.node("Min", nil, g.node("Max", nil, x, low), high)
}

// scale brings x to the z-scores of the model, if it has some.
func (g *graph) scale(x string, p *pipeline.Pipeline, m *model.Model) (string, error) {
	var mean, sd []float64
	if m.Schema.Index(model.ZMeanName) >= 0 || m.Schema.Index(model.ZSDName) >= 0 {
		var err error
		if mean, err = m.Float64s(model.ZMeanName); err != nil {
			return "", err
		}
		if sd, err = m.Float64s(model.ZSDName); err != nil {
			return "", err
		}
	}
	if _, err := p.Scaler(mean, sd); err != nil || mean == nil {
		return x, err
	}
	inv := make([]float64, len(sd))
	for j, v := range sd {
		inv[j] = 1
		if v > 0 {
			inv[j] = 1 / v
		}
	}
	return g.node("Mul", nil, g.node("Sub", nil, x, g.row(mean)), g.row(inv)), nil
}
