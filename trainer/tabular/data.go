package tabular

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// MaxValues bounds the numbers one Load may hold (1 GiB).
const MaxValues = 1 << 27

// Data is what a site trains and evaluates on, in memory and unscaled: the
// model brings the scaling.
type Data struct {
	Features []string // names of the inputs
	Classes  []string // of a classification; nil for regression
	Train    Rows
	Test     Rows
	Notes    []string // what may not be meant so, for a person
	Files    []File   // that were read
	Read     time.Time
	pipe     *pipeline.Pipeline
	found    []found
	seen     []Spread
}

// Rows is a matrix of inputs with a target per row.
type Rows struct {
	N int
	X []float64 // N x features, row-major; NaN is a missing value
	Y []float64 // class, or target in its own unit

	group []int // by row: what it belongs to; nil: to nothing
}

// Merge returns the rows of all parts, in the order given: what one site would
// have if it had everything. The parts must agree in features and target.
func Merge(parts ...*Data) (*Data, error) {
	if len(parts) == 0 {
		return nil, errors.New("tabular: nothing to merge")
	}
	first := parts[0]
	all := &Data{Features: first.Features, Classes: first.Classes, pipe: first.pipe}
	for i, p := range parts {
		if !p.pipe.Contract().Equal(first.pipe.Contract()) {
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

// Moments of the training rows.
func (d *Data) Moments() Moments { return momentsOf(d.Train.X, len(d.Features)) }

// momentsOf the columns of a matrix, in two passes over the distances from each
// column's first value: sums of squares would lose the variance of large
// values, sums of large values the exact mean of equal ones.
func momentsOf(x []float64, dim int) Moments {
	m := Moments{make([]float64, dim), make([]float64, dim), make([]float64, dim)}
	first := make([]float64, dim)
	each(x, dim, func(j int, v float64) {
		if m.N[j] == 0 {
			first[j] = v
		}
		m.N[j]++
		m.Mean[j] += v - first[j]
	})
	for j, n := range m.N {
		if n > 0 {
			m.Mean[j] /= n
		}
	}
	each(x, dim, func(j int, v float64) { v -= first[j] + m.Mean[j]; m.M2[j] += float64(v * v) })
	for j := range m.Mean {
		m.Mean[j] += first[j]
	}
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

// ZScore returns mean and population standard deviation per feature, 1 where
// nothing was observed or all values are the same but for rounding (rule F-16
// of docs/spec/fold.md): such a feature is only centred.
func (m Moments) ZScore() (mean, sd []float64) {
	sd = make([]float64, len(m.M2))
	fold.Moments(m).SD(sd)
	return slices.Clone(m.Mean), sd
}

// Constant names the features that tell the training rows apart in nothing:
// their values are all the same, or missing.
func (d *Data) Constant() (names []string) {
	m := fold.Moments(d.Moments())
	for j, name := range d.Features {
		if m.Constant(j) {
			names = append(names, name)
		}
	}
	return names
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
