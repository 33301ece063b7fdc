package aggregator

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// The tensors of the federated z-score: those that a statistics update
// carries, and those that the model carries afterwards.
const (
	statN, statMean, statM2 = "n", "mean", "m2"
	modelMean, modelSD      = model.ZMeanName, model.ZSDName
)

// statisticsSchema is the schema of a model's statistics update: f64 tensors n,
// mean and m2 of the shape of its fedmq.mean.
func statisticsSchema(of model.Schema) model.Schema {
	i := of.Index(modelMean)
	if i < 0 {
		return model.Schema{}
	}
	shape := of[i].Shape
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

// Bounds of moments, so that no merge of 2^14 of them overflows.
const (
	maxMean = 1e100
	maxM2   = 1e250
)

// checkMoments reports moments that cannot be merged; errors wrap
// fold.ErrNotFinite or fold.ErrOutOfRange.
func checkMoments(m fold.Moments) error {
	if err := m.Check(); err != nil {
		return err
	}
	for i := range m.N {
		if math.Abs(m.Mean[i]) > maxMean || m.M2[i] > maxM2 {
			return fmt.Errorf("%w: feature %d has the mean %g, M2 %g", fold.ErrOutOfRange, i, m.Mean[i], m.M2[i])
		}
	}
	return nil
}

func newMoments(d int) fold.Moments {
	return fold.Moments{N: make([]float64, d), Mean: make([]float64, d), M2: make([]float64, d)}
}

// withZScore returns base, in blob, with the mean and standard deviation of
// pooled moments (algorithms section 10).
func withZScore(base *model.Model, sum fold.Moments, blob []byte) (*model.Model, error) {
	sd := make([]float64, len(sum.N))
	sum.SD(sd) // below 1e-9: 1
	next := &model.Model{Schema: base.Schema, Blob: blob}
	copy(blob, base.Blob)
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
