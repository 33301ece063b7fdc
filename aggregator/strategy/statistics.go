package strategy

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// Bounds of moments, so that no merge of 2^14 of them overflows.
const (
	maxMean = 1e100
	maxM2   = 1e250
)

// StatisticsOf returns the schema of a statistics update of a model: moments of
// as many features as its mean has; no tensors for a model without.
func StatisticsOf(s model.Schema) model.Schema {
	i := s.Index(model.ZMeanName)
	if i < 0 {
		return model.Schema{}
	}
	return model.StatisticsSchema(s[i].Elements())
}

// CheckStatistics reports an update of a statistics round that cannot be
// merged. Errors wrap model.ErrTensor, fold.ErrNotFinite or fold.ErrOutOfRange.
func CheckStatistics(update *model.Model) error {
	m, err := momentsOf(update)
	if err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	for i := range m.N {
		if math.Abs(m.Mean[i]) > maxMean || m.M2[i] > maxM2 {
			return fmt.Errorf("%w: feature %d has the mean %g, M2 %g; at most %g and %g", fold.ErrOutOfRange, i, m.Mean[i], m.M2[i], maxMean, maxM2)
		}
	}
	return nil
}

func momentsOf(m *model.Model) (fold.Moments, error) {
	var out fold.Moments
	for _, v := range []struct {
		name string
		dst  *[]float64
	}{{model.StatNName, &out.N}, {model.StatMeanName, &out.Mean}, {model.StatM2Name, &out.M2}} {
		x, err := m.Float64s(v.name)
		if err != nil {
			return fold.Moments{}, fmt.Errorf("statistics: %w", err)
		}
		*v.dst = x
	}
	return out, nil
}

// Statistics merges the updates of a statistics round (rule F-14). It holds one
// set of moments, whatever the number of members.
type Statistics struct {
	base *model.Model
	sum  fold.Moments
}

// NewStatistics begins a statistics round on a base with the tensors of a
// z-score; errors wrap model.ErrTensor.
func NewStatistics(base *model.Model) (*Statistics, error) {
	mean, err := base.Float64s(model.ZMeanName)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	d := len(mean)
	return &Statistics{base: base, sum: fold.Moments{N: make([]float64, d), Mean: make([]float64, d), M2: make([]float64, d)}}, nil
}

// Add merges an update that has passed [CheckStatistics] into what is there:
// updates are added in byte order of member paths. Errors wrap model.ErrTensor
// or model.ErrSchema and change nothing.
func (s *Statistics) Add(update *model.Model) error {
	m, err := momentsOf(update)
	if err != nil {
		return err
	}
	if len(m.N) != len(s.sum.N) || len(m.Mean) != len(s.sum.N) || len(m.M2) != len(s.sum.N) {
		return fmt.Errorf("%w: statistics of %d features, the model has %d", model.ErrSchema, len(m.N), len(s.sum.N))
	}
	s.sum.Merge(m)
	return nil
}

// Constant returns the numbers of the features, from 0, whose values are the
// same at all members, or missing (rule F-16).
func (s *Statistics) Constant() (features []int) {
	for i := range s.sum.N {
		if s.sum.Constant(i) {
			features = append(features, i)
		}
	}
	return features
}

// Result returns the base with the pooled mean and standard deviation of every
// feature (rule F-16).
func (s *Statistics) Result() (*model.Model, error) {
	return s.ResultInto(make([]byte, len(s.base.Blob)))
}

// ResultInto is Result with the next model's bytes in blob, which has the
// length of the base's and is not it.
func (s *Statistics) ResultInto(blob []byte) (*model.Model, error) {
	sd := make([]float64, len(s.sum.N))
	s.sum.SD(sd)
	next := &model.Model{Schema: s.base.Schema, Blob: blob}
	copy(blob, s.base.Blob)
	if err := next.SetFloat64s(model.ZMeanName, s.sum.Mean); err != nil {
		return nil, err
	}
	return next, next.SetFloat64s(model.ZSDName, sd)
}
