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

	maxClassRows = 1 << 31 // of one member, as samples have
)

// StatisticsOf returns the schema of a statistics update of a model: that of its survey,
// or moments of as many features as its mean has, and rows of as many classes as it counts;
// no tensors for a model without a mean.
func StatisticsOf(s model.Schema) model.Schema {
	if v, ok := model.SurveyOf(s); ok {
		return v.Update()
	}
	i := s.Index(model.ZMeanName)
	if i < 0 {
		return model.Schema{}
	}
	classes := 0
	if j := s.Index(model.ClassRowsName); j >= 0 {
		classes = s[j].Elements()
	}
	return model.StatisticsSchema(s[i].Elements(), classes)
}

// statistics merges the moments of a statistics round (F-14). They are merged
// in the order of the members' paths, so it needs all of them.
type statistics struct{ schema model.Schema }

// newStatistics begins a statistics round on a base with the tensors of a
// z-score; errors wrap model.ErrTensor.
func newStatistics(base *model.Model) (Fold, error) {
	if _, err := base.Float64s(model.ZMeanName); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return &statistics{schema: StatisticsOf(base.Schema)}, nil
}

func (s *statistics) Schema() model.Schema { return s.schema }

func (s *statistics) CheckPart(Update, []byte, int) error { return nil }

// Check reports moments that cannot be merged.
func (s *statistics) Check(u Update) error {
	if u.Tensors == nil || !u.Tensors.Schema.Equal(s.schema) {
		return fmt.Errorf("%w: statistics of other features than the model's", model.ErrSchema)
	}
	m, err := momentsOf(u.Tensors)
	if err != nil {
		return err
	}
	if err := checkMoments(m); err != nil {
		return err
	}
	return s.checkClasses(u.Tensors)
}

// checkMoments reports moments that no data can have, or whose merge could overflow.
func checkMoments(m fold.Moments) error {
	if err := m.Check(); err != nil {
		return err
	}
	for i := range m.N {
		if math.Abs(m.Mean[i]) > maxMean || m.M2[i] > maxM2 {
			return fmt.Errorf("%w: feature %d has the mean %g, M2 %g; at most %g and %g", ErrOutOfRange, i, m.Mean[i], m.M2[i], maxMean, maxM2)
		}
	}
	return nil
}

func (s *statistics) Add(Update) {}

func (s *statistics) NeedsAll() bool { return true }

// Finish writes the pooled mean and standard deviation of every feature (F-16).
func (s *statistics) Finish(all *Updates, out *Output) error {
	if err := s.addClasses(all, out); err != nil {
		return err
	}
	sum := moments(s.schema[s.schema.Index(model.StatNName)].Elements())
	for lo := 0; lo < len(sum.N); lo += readBlock {
		if err := s.merge(between(sum, lo, min(lo+readBlock, len(sum.N))), all, lo); err != nil {
			return err
		}
	}
	var constant []int
	for i := range sum.N {
		if sum.Constant(i) {
			constant = append(constant, i)
		}
	}
	if len(constant) > 0 {
		out.Note("the features %v, counted from 0, are the same in every row of every site, or missing: the z-score only centres them. The sites name their columns", constant)
	}
	sd := make([]float64, len(sum.N))
	sum.SD(sd)
	if err := out.Next.SetFloat64s(model.ZMeanName, sum.Mean); err != nil {
		return err
	}
	return out.Next.SetFloat64s(model.ZSDName, sd)
}

// checkClasses reports rows of classes that no data can have.
func (s *statistics) checkClasses(m *model.Model) error {
	if s.schema.Index(model.StatClassesName) < 0 {
		return nil
	}
	rows, err := m.Float64s(model.StatClassesName)
	if err != nil {
		return fmt.Errorf("statistics: %w", err)
	}
	for k, n := range rows {
		switch {
		case math.IsNaN(n) || math.IsInf(n, 0):
			return fmt.Errorf("%w: class %d has %g rows", ErrNotFinite, k, n)
		case n < 0 || n > maxClassRows || n != math.Trunc(n):
			return fmt.Errorf("%w: class %d has %g rows; want a whole number up to 2^31", ErrOutOfRange, k, n)
		}
	}
	return nil
}

// addClasses writes the rows of each class over all sites: whole numbers, so the sum is
// exact.
func (s *statistics) addClasses(all *Updates, out *Output) error {
	i := s.schema.Index(model.StatClassesName)
	if i < 0 {
		return nil
	}
	sum, rows := make([]float64, s.schema[i].Elements()), make([]float64, s.schema[i].Elements())
	for u := range all.List {
		if err := all.Read(rows, u, s.first(model.StatClassesName)); err != nil {
			return err
		}
		for k, n := range rows {
			sum[k] += n
		}
	}
	return out.Next.SetFloat64s(model.ClassRowsName, sum)
}

// merge takes the moments of all updates for the features from lo on into sum.
func (s *statistics) merge(sum fold.Moments, all *Updates, lo int) error {
	m := moments(len(sum.N))
	for i := range all.List {
		for _, v := range []struct {
			name string
			dst  []float64
		}{{model.StatNName, m.N}, {model.StatMeanName, m.Mean}, {model.StatM2Name, m.M2}} {
			if err := all.Read(v.dst, i, s.first(v.name)+lo); err != nil {
				return err
			}
		}
		sum.Merge(m)
	}
	return nil
}

// first is the first coordinate of a tensor.
func (s *statistics) first(name string) (n int) {
	return s.schema[:s.schema.Index(name)].Elements()
}

func moments(d int) fold.Moments {
	return fold.Moments{N: make([]float64, d), Mean: make([]float64, d), M2: make([]float64, d)}
}

func between(m fold.Moments, lo, hi int) fold.Moments {
	return fold.Moments{N: m.N[lo:hi], Mean: m.Mean[lo:hi], M2: m.M2[lo:hi]}
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
