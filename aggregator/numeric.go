package aggregator

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// The tensors of the federated z-score: those that a statistics update
// carries, and those that the model carries afterwards.
const (
	statN, statMean, statM2 = "n", "mean", "m2"
	modelMean, modelSD      = model.ZMeanName, model.ZSDName
)

// minSD is the standard deviation below which a feature counts as constant.
const minSD = 1e-9

// statisticsSchema is the schema of a statistics update: f64 tensors n, mean
// and m2 of the shape of the model's fedmq.mean.
func (t *task) statisticsSchema() model.Schema {
	i := t.base.Schema.Index(modelMean)
	if i < 0 {
		return model.Schema{}
	}
	shape := t.base.Schema[i].Shape
	s, err := model.NewSchema(
		model.Spec{Name: statN, DType: model.F64, Shape: shape},
		model.Spec{Name: statMean, DType: model.F64, Shape: shape},
		model.Spec{Name: statM2, DType: model.F64, Shape: shape})
	if err != nil {
		panic(err) // the names and the shape are those of a valid schema
	}
	return s
}

func momentsOf(m *model.Model) (fold.Moments, error) {
	var out fold.Moments
	for _, v := range []struct {
		name string
		dst  *[]float64
	}{{statN, &out.N}, {statMean, &out.Mean}, {statM2, &out.M2}} {
		x, err := m.Float64s(v.name)
		if err != nil {
			return fold.Moments{}, fmt.Errorf("statistics: %w", err)
		}
		*v.dst = x
	}
	return out, nil
}

// withZScore returns base with the pooled mean and standard deviation of the
// members' moments, merged in the order given (algorithms section 10).
func withZScore(base *model.Model, parts []fold.Moments) (*model.Model, error) {
	d := base.Schema[base.Schema.Index(modelMean)].Elements()
	sum := fold.Moments{N: make([]float64, d), Mean: make([]float64, d), M2: make([]float64, d)}
	fold.MergeMoments(sum, parts...)
	sd := make([]float64, d)
	sum.SD(sd)
	for i := range sd {
		if sd[i] < minSD {
			sd[i] = 1
		}
	}
	next := base.Clone()
	if err := next.SetFloat64s(modelMean, sum.Mean); err != nil {
		return nil, err
	}
	return next, next.SetFloat64s(modelSD, sd)
}

// l2 is the L2 norm over all float tensors together, in schema order, one
// accumulator (algorithms A1).
func l2(m *model.Model) float64 {
	sum := 0.0
	for i, spec := range m.Schema {
		b := m.Blob[m.Schema.Offset(i) : m.Schema.Offset(i)+spec.Bytes()]
		switch spec.DType {
		case model.F32:
			for ; len(b) >= 4; b = b[4:] {
				x := float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
				sum += float64(x * x)
			}
		case model.F64:
			for ; len(b) >= 8; b = b[8:] {
				x := math.Float64frombits(binary.LittleEndian.Uint64(b))
				sum += float64(x * x)
			}
		}
	}
	return math.Sqrt(sum)
}

// poolSums adds the members' metric sums exactly (algorithms A6): the same
// bits in any order. A name whose sum is out of range is left out.
func poolSums(members []map[string]float64) map[string]float64 {
	sums := map[string]*fold.Scalar{}
	var names []string
	bad := map[string]bool{}
	for _, m := range members {
		for name, v := range m {
			if sums[name] == nil {
				sums[name] = fold.NewScalar(fold.MetricStep)
				names = append(names, name)
			}
			if sums[name].Add(v) != nil {
				bad[name] = true
			}
		}
	}
	slices.Sort(names)
	out := map[string]float64{}
	for _, name := range names {
		if !bad[name] {
			out[name] = sums[name].Float64()
		}
	}
	return out
}
