package aggregator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/wire"
)

// Survey has a task gather statistics of columns, and train nothing. Rounds are
// then those that count; where a column has no range, one more before them finds it.
type Survey struct {
	Columns   []Column
	Bins      int           // of each histogram, 2 to 1000; default 20
	Quantiles []float64     // that are made of each, ascending, 0 to 1; default .05, .5, .95; at most 20
	Extremes  bool          // least and greatest values too: each is of one row
	AllowFew  bool          // histograms of fewer than 3 sites; default: those of no column that fewer have told of
	Every     time.Duration // from one round to the next; default 0, at once
}

// Column is one of them, in the words of the task: a site whose data calls it otherwise,
// or has it in another unit, says so itself.
type Column struct {
	Name   string
	Unit   string   // default: none, and sites must have none
	Lo, Hi *float64 // of its histogram; nil: 4 standard deviations to both sides of the mean, as the first round finds them
}

// Limits of a survey.
const (
	fewSites        = 3       // that a histogram needs
	maxSurveyBins   = 1000    // of a column
	maxSurveyCounts = 1 << 20 // of all columns
	maxQuantiles    = 20
	maxRange        = 1e100
)

func (s Survey) withDefaults() *Survey {
	setDefault(&s.Bins, 20)
	if s.Quantiles == nil {
		s.Quantiles = []float64{.05, .5, .95}
	}
	return &s
}

// First is version 0 of what is gathered, and the contract of its columns.
func (s Survey) First() (*model.Model, *pipeline.Contract, error) {
	s = *s.withDefaults()
	if errs := s.problems(); len(errs) > 0 {
		return nil, nil, errors.Join(errs...)
	}
	lo, hi := make([]float64, len(s.Columns)), make([]float64, len(s.Columns))
	for i, c := range s.Columns {
		if c.Lo != nil {
			lo[i], hi[i] = *c.Lo, *c.Hi
		}
	}
	least := []float64{fewSites}
	if s.AllowFew {
		least[0] = 1
	}
	m := model.New(model.Survey{Features: len(s.Columns), Bins: s.Bins, Quantiles: len(s.Quantiles), Extremes: s.Extremes}.Model())
	err := errors.Join(m.SetFloat64s(model.SurveyLo, lo), m.SetFloat64s(model.SurveyHi, hi), m.SetFloat64s(model.SurveyLevels, s.Quantiles), m.SetFloat64s(model.SurveyLeast, least))
	return m, s.contract(), err
}

func (s Survey) contract() *pipeline.Contract {
	c := &pipeline.Contract{Net: pipeline.Net{Output: pipeline.OutputNone}}
	for _, col := range s.Columns {
		c.Inputs = append(c.Inputs, pipeline.Input{Name: col.Name, Unit: pipeline.CanonicalUnit(col.Unit)})
	}
	return c
}

// finds reports that the first round has a range to find.
func (s Survey) finds() bool {
	return slices.ContainsFunc(s.Columns, func(c Column) bool { return c.Lo == nil })
}

func (s Survey) problems() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("statistics."+format, args...)) }
	if len(s.Columns) == 0 {
		bad("columns: want one or more: their names, or mappings such as {name: flow, unit: l/s}")
	} else if err := s.contract().Validate(); err != nil {
		bad("columns: %w", err)
	}
	for _, c := range s.Columns {
		switch {
		case (c.Lo == nil) != (c.Hi == nil):
			bad("columns: %s: want both lo and hi, or neither: then the first round finds the range", c.Name)
		case c.Lo != nil && !(*c.Lo < *c.Hi && math.Abs(*c.Lo) <= maxRange && math.Abs(*c.Hi) <= maxRange):
			bad("columns: %s: lo %v, hi %v: want lo below hi, up to %g", c.Name, *c.Lo, *c.Hi, maxRange)
		}
	}
	if s.Bins < 2 || s.Bins > maxSurveyBins {
		bad("bins: %d, want 2 to %d", s.Bins, maxSurveyBins)
	}
	if n := len(s.Columns) * (s.Bins + 2); n > maxSurveyCounts {
		bad("bins: %d columns of %d bins are %d counts, at most %d travel", len(s.Columns), s.Bins, n, maxSurveyCounts)
	}
	if len(s.Quantiles) > maxQuantiles || slices.ContainsFunc(s.Quantiles, func(p float64) bool { return !(p >= 0 && p <= 1) }) ||
		!slices.IsSorted(s.Quantiles) || len(slices.Compact(slices.Clone(s.Quantiles))) < len(s.Quantiles) {
		bad("quantiles: %v, want at most %d, ascending, 0 to 1", s.Quantiles, maxQuantiles)
	}
	if s.Every < 0 || s.Every > maxDeadline {
		bad("every: %s, want 0 to %s", s.Every, maxDeadline)
	}
	return errs
}

// surveyProblems are what a task of statistics cannot have.
func (t Task) surveyProblems() (errs []error) {
	for name, has := range map[string]bool{
		"stop": t.Stop != nil, "release": t.Release != nil, "schedule": len(t.Schedule) > 0, "threshold": t.Threshold != "", "metric": t.Metric != "", "strategy.root": t.Root != nil,
		"statistics: zscore": t.Statistics, "strategy.keep_local": !t.Locals.IsZero(),
	} {
		if has {
			errs = append(errs, fmt.Errorf("%s has no effect: the task gathers statistics, and trains nothing", name))
		}
	}
	if t.Survey.Every > 0 && t.Rounds == 1 {
		errs = append(errs, errors.New("statistics.every has no effect with one round: want rounds: 2 or more"))
	}
	return append(errs, t.Survey.problems()...)
}

// contractFits reports a contract that finds no room beside the survey's model, or the list of its
// parts: sites know by it what they are to count.
func (t Task) contractFits(partSize int) error {
	if t.Init == nil || t.Contract == nil || partSize < minPartSize || partSize > maxPartSize {
		return nil
	}
	size, need := t.Init.Schema.Bytes(), len(t.Contract.JSON())+inlineOverhead(t.Init.Schema)
	if !fitsInline(t.Init.Schema, partSize) {
		size = (size/wire.PartData(partSize) + 1) * wire.PartHash
	}
	if size+need > partSize {
		return fmt.Errorf("statistics: the names of %d columns do not fit beside what is gathered (%d bytes and %d) into part_size: %d; a larger one, other bins or fewer columns do", len(t.Survey.Columns), need, size, partSize)
	}
	return nil
}

// total is how many rounds a task has, of those that it counts.
func (t Task) total() uint64 {
	if t.Survey != nil && t.Survey.finds() {
		return t.Rounds + 1
	}
	return t.Rounds
}
