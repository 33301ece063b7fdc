package wire

import (
	"encoding/binary"
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

// viewTensors describes the tensors of a model, which may be nil; rules says
// whether the message carried their rules.
func viewTensors(m *model.Model, rules bool) []TensorView {
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
		x := element(d, b)
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

// element is the first value of b as a float64 (an i64 is rounded).
func element(d model.DType, b []byte) float64 {
	switch d {
	case model.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case model.F16:
		return float16(binary.LittleEndian.Uint16(b))
	case model.BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	case model.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case model.I64:
		return float64(int64(binary.LittleEndian.Uint64(b))) // #nosec G115 -- two's complement
	}
	return math.NaN()
}

// float16 is the value of an IEEE-754 binary16.
func float16(bits uint16) float64 {
	exp, frac := int(bits>>10&0x1f), float64(bits&0x3ff)
	x := math.Ldexp(1024+frac, exp-25)
	switch {
	case exp == 0:
		x = math.Ldexp(frac, -24)
	case exp == 0x1f && frac == 0:
		x = math.Inf(1)
	case exp == 0x1f:
		x = math.NaN()
	}
	if bits>>15 != 0 {
		return -x
	}
	return x
}
