package wire

import (
	"math"

	"github.com/fedmq/fedmq/model"
)

// TensorView describes one tensor for people. Min, Max and Mean are over its
// finite values, absent if there are none (or, for the mean, if it overflows).
type TensorView struct {
	Name      string   `json:"name"`
	DType     string   `json:"dtype"`
	Shape     []int    `json:"shape"`
	Rule      string   `json:"rule,omitempty"` // of a model; updates carry none
	Bytes     int      `json:"bytes"`
	Min       *float64 `json:"min,omitempty"`
	Max       *float64 `json:"max,omitempty"`
	Mean      *float64 `json:"mean,omitempty"`
	NotFinite int      `json:"not_finite,omitempty"` // NaN and infinite values
}

// ViewTensors describes the tensors of a model, which may be nil; rules says
// whether their rules are known.
func ViewTensors(m *model.Model, rules bool) []TensorView {
	s, blob := tensors(m)
	views := make([]TensorView, 0, len(s))
	for _, spec := range s {
		v := viewSpec(spec, rules)
		v.measure(spec.DType, blob[:v.Bytes])
		blob = blob[v.Bytes:]
		views = append(views, v)
	}
	return views
}

// viewSchema describes tensors whose values are not here.
func viewSchema(s model.Schema, rules bool) []TensorView {
	views := make([]TensorView, 0, len(s))
	for _, spec := range s {
		views = append(views, viewSpec(spec, rules))
	}
	return views
}

func viewSpec(spec model.Spec, rules bool) TensorView {
	v := TensorView{Name: spec.Name, DType: spec.DType.String(), Shape: spec.Shape, Bytes: spec.Bytes()}
	if rules {
		v.Rule = spec.Rule.String()
	}
	return v
}

func (v *TensorView) measure(d model.DType, b []byte) {
	lo, hi, mean, n := math.Inf(1), math.Inf(-1), 0.0, 0
	for size := d.Size(); len(b) > 0; b = b[size:] {
		x := d.Element(b)
		if !finite(x) {
			v.NotFinite++
			continue
		}
		n++
		lo, hi = min(lo, x), max(hi, x)
		mean += (x - mean) / float64(n)
	}
	if n == 0 {
		return
	}
	v.Min, v.Max = &lo, &hi
	if finite(mean) {
		v.Mean = &mean
	}
}
