package strategy

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// survey merges what sites tell in a task that gathers statistics (F-36). Like
// statistics it is merged in the order of the members' paths.
type survey struct {
	model.Survey
	schema model.Schema
	lo, hi []float64 // of the histograms, as the base has them
}

func newSurvey(base *model.Model, v model.Survey) (Fold, error) {
	s := &survey{Survey: v, schema: v.Update()}
	var err error
	if s.lo, err = base.Float64s(model.SurveyLo); err != nil {
		return nil, err
	}
	s.hi, err = base.Float64s(model.SurveyHi)
	return s, err
}

func (s *survey) Schema() model.Schema                { return s.schema }
func (s *survey) CheckPart(Update, []byte, int) error { return nil }
func (s *survey) Add(Update)                          {}
func (s *survey) NeedsAll() bool                      { return true }
func (s *survey) ranged(f int) bool                   { return s.lo[f] < s.hi[f] }
func (s *survey) row(x []float64, f int) []float64    { return x[f*(2+s.Bins) : (f+1)*(2+s.Bins)] }
func (s *survey) first(name string) int               { return s.schema[:s.schema.Index(name)].Elements() }

// Check reports what no rows can come to.
func (s *survey) Check(u Update) error {
	if u.Tensors == nil || !u.Tensors.Schema.Equal(s.schema) {
		return fmt.Errorf("%w: statistics of other features or bins than the task's", model.ErrSchema)
	}
	t, err := tensorsOf(u.Tensors)
	if err != nil {
		return err
	}
	m := fold.Moments{N: t[model.StatNName], Mean: t[model.StatMeanName], M2: t[model.StatM2Name]}
	if err := checkMoments(m); err != nil {
		return err
	}
	for _, name := range []string{model.SurveyMissing, model.SurveyHidden, model.SurveyCounts} {
		for i, n := range t[name] {
			if err := checkRows(name, i, n); err != nil {
				return err
			}
		}
	}
	for f, n := range m.N {
		if err := s.checkFeature(f, n, t); err != nil {
			return err
		}
	}
	return nil
}

// checkRows reports a number that counts no rows.
func checkRows(name string, i int, n float64) error {
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return fmt.Errorf("%w: %s of place %d is %g", ErrNotFinite, name, i, n)
	case n < 0 || n > maxClassRows || n != math.Trunc(n):
		return fmt.Errorf("%w: %s of place %d is %g; want a whole number up to 2^31", ErrOutOfRange, name, i, n)
	}
	return nil
}

func (s *survey) checkFeature(f int, n float64, t map[string][]float64) error {
	total := 0.0
	for _, c := range s.row(t[model.SurveyCounts], f) {
		total += c
	}
	if total > n || total > 0 && !s.ranged(f) {
		return fmt.Errorf("%w: feature %d has %g values and %g in a histogram over %g..%g", ErrOutOfRange, f, n, total, s.lo[f], s.hi[f])
	}
	if !s.Extremes {
		return nil
	}
	a, b := t[model.SurveyMin][f], t[model.SurveyMax][f]
	if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return fmt.Errorf("%w: feature %d lies in %g..%g", ErrNotFinite, f, a, b)
	}
	if a == model.NoMin && b == model.NoMax {
		return nil
	}
	if math.Abs(a) > maxMean || math.Abs(b) > maxMean || a > b {
		return fmt.Errorf("%w: feature %d lies in %g..%g; want the least value first, at most %g", ErrOutOfRange, f, a, b, maxMean)
	}
	return nil
}

// tensorsOf are the values of a model of f64 tensors, by name.
func tensorsOf(m *model.Model) (map[string][]float64, error) {
	t := make(map[string][]float64, len(m.Schema))
	for _, spec := range m.Schema {
		v, err := m.Float64s(spec.Name)
		if err != nil {
			return nil, fmt.Errorf("statistics: %w", err)
		}
		t[spec.Name] = v
	}
	return t, nil
}

// Finish writes what all sites together have.
func (s *survey) Finish(all *Updates, out *Output) error {
	next, err := tensorsOf(out.Next)
	if err != nil {
		return err
	}
	for _, spec := range s.schema {
		clear(next[spec.Name])
	}
	clear(next[model.SurveySites])
	if s.Extremes {
		for f := range s.Features {
			next[model.SurveyMin][f], next[model.SurveyMax][f] = model.NoMin, model.NoMax
		}
	}
	step := max(1, readBlock/(2+s.Bins))
	for at := 0; at < s.Features; at += step {
		b := surveyBlock{survey: s, next: next, from: at, to: min(at+step, s.Features)}
		if err := b.finish(all); err != nil {
			return err
		}
	}
	for name, v := range next {
		if err := out.Next.SetFloat64s(name, v); err != nil {
			return err
		}
	}
	return nil
}
