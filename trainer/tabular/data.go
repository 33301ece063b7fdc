package tabular

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/model"
)

// MaxValues bounds the numbers one Load may hold (1 GiB).
const MaxValues = 1 << 27

// Data is what a site trains and evaluates on, in memory and unscaled: the
// model brings the scaling.
type Data struct {
	Features []string // names of the inputs
	Classes  []string // of a classification; nil for regression
	ZClip    float64  // limit of scaled features, 0 = none
	Train    Rows
	Test     Rows
	unit     unit
}

// Rows is a matrix of inputs with a target per row.
type Rows struct {
	N int
	X []float64 // N x features, row-major; NaN is a missing value
	Y []float64 // class, or target in its own unit
}

// unit relates a regression target to the model's output: y = offset +
// scale·output, with the output limited to 0..1 if limit is set.
type unit struct {
	offset, scale float64
	limit         bool
}

func (u unit) output(y float64) float64 { return (y - u.offset) / u.scale }

func (u unit) target(output float64) float64 {
	if u.limit {
		output = min(max(output, 0), 1)
	}
	return u.offset + u.scale*output
}

// Merge returns the rows of all parts, in the order given: what one site would
// have if it had everything. The parts must agree in features and target.
func Merge(parts ...*Data) (*Data, error) {
	if len(parts) == 0 {
		return nil, errors.New("tabular: nothing to merge")
	}
	first := parts[0]
	all := &Data{Features: first.Features, Classes: first.Classes, ZClip: first.ZClip, unit: first.unit}
	for i, p := range parts {
		if !slices.Equal(p.Features, first.Features) || !slices.Equal(p.Classes, first.Classes) ||
			p.unit != first.unit || p.ZClip != first.ZClip {
			return nil, fmt.Errorf("tabular: part %d differs from part 0 in features, zclip or target", i)
		}
		all.Train.append(p.Train)
		all.Test.append(p.Test)
	}
	return all, nil
}

func (r *Rows) append(o Rows) {
	r.N += o.N
	r.X = append(r.X, o.X...)
	r.Y = append(r.Y, o.Y...)
}

// Moments are, per feature, the number of observed values, their mean and the
// sum of squared deviations from it.
type Moments struct{ N, Mean, M2 []float64 }

// Moments of the training rows, in two passes: sums of squares would lose the
// variance of large values.
func (d *Data) Moments() Moments {
	dim := len(d.Features)
	m := Moments{make([]float64, dim), make([]float64, dim), make([]float64, dim)}
	each(d.Train.X, dim, func(j int, v float64) { m.N[j]++; m.Mean[j] += v })
	for j, n := range m.N {
		if n > 0 {
			m.Mean[j] /= n
		}
	}
	each(d.Train.X, dim, func(j int, v float64) { v -= m.Mean[j]; m.M2[j] += v * v })
	return m
}

// each calls f for every observed value of column j.
func each(x []float64, dim int, f func(j int, v float64)) {
	for len(x) > 0 {
		for j, v := range x[:dim] {
			if !math.IsNaN(v) {
				f(j, v)
			}
		}
		x = x[dim:]
	}
}

// minSD is the standard deviation below which a feature counts as constant
// and is only centred.
const minSD = 1e-9

// ZScore returns mean and population standard deviation per feature, 1 where
// it is below 1e-9 or nothing was observed.
func (m Moments) ZScore() (mean, sd []float64) {
	mean, sd = slices.Clone(m.Mean), make([]float64, len(m.M2))
	for j, m2 := range m.M2 {
		sd[j] = 1
		if s := math.Sqrt(m2 / m.N[j]); s >= minSD {
			sd[j] = s
		}
	}
	return mean, sd
}

// WithZScore returns a copy of m with fedmq.mean and fedmq.sd as given. m must
// have these tensors.
func WithZScore(m *model.Model, mean, sd []float64) (*model.Model, error) {
	out := m.Clone()
	if err := out.SetFloat64s(model.ZMeanName, mean); err != nil {
		return nil, err
	}
	return out, out.SetFloat64s(model.ZSDName, sd)
}
