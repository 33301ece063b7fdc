package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

const defaultMinCount = 10

// errCannotCount: the trainer has no such statistics.
var errCannotCount = errors.New("the trainer of this site cannot count what the order asks for")

// survey answers an order of a task that gathers statistics (S-66).
func (r *result) survey(ctx context.Context, j job, tj trainer.Job) error {
	s, ok := j.trainer.(trainer.Surveyor)
	if !ok {
		return fmt.Errorf("%w: histograms; want the trainer tabular, or a trainer.Surveyor", errCannotCount)
	}
	base, err := j.global()
	if err != nil {
		return err
	}
	v, ok := model.SurveyOf(base.Schema)
	if !ok {
		return fmt.Errorf("%w: %w: the model of the task is no survey", errCannotCount, model.ErrSchema)
	}
	told, err := s.Survey(ctx, tj, base)
	if err != nil {
		return err
	}
	if told == nil || !told.Schema.Equal(v.Update()) || told.Check() != nil {
		return errors.New("statistics: the trainer returned other tensors than those of the survey")
	}
	held, err := cleanse(told, v, float64(j.minCount), j.minMax)
	if err != nil {
		return err
	}
	r.tensors = told
	r.say(j, v, held)
	return nil
}

// say is for log and status: what of a survey leaves the site, and what does not.
func (r *result) say(j job, v model.Survey, held []int) {
	var notes []string
	if len(held) > 0 {
		notes = append(notes, fmt.Sprintf("not told, as fewer than %d rows have a value (min_count): %s", j.minCount, featuresBy(held, j.contract)))
	}
	if v.Extremes && !j.minMax {
		notes = append(notes, "the task asks for the least and the greatest value of each column, and this site does not tell them (minmax: true does)")
	}
	r.note = strings.Join(notes, "; ")
	var told []int
	for f := range v.Features {
		if !slices.Contains(held, f) {
			told = append(told, f)
		}
	}
	what := "no column"
	if len(told) > 0 {
		what = "count, mean, deviation and histogram of " + featuresBy(told, j.contract)
	}
	if len(told) > 0 && v.Extremes && j.minMax {
		what += ", with the least and the greatest value"
	}
	r.told = "told to the task: " + what
}

// featuresBy are features by their names.
func featuresBy(features []int, c *pipeline.Contract) string {
	var all []string
	if p, err := pipeline.New(*c); err == nil {
		all = p.Features()
	}
	names := make([]string, len(features))
	for i, f := range features {
		if names[i] = fmt.Sprintf("feature %d", f); f < len(all) {
			names[i] = all[f]
		}
	}
	return pipeline.List(names)
}

// cleanse takes out what tells of fewer rows than least, and says in the survey how many
// bins of each feature that were, and the extremes unless they may be told. It returns the
// features of which nothing is left.
func cleanse(told *model.Model, v model.Survey, least float64, extremes bool) (held []int, err error) {
	t := map[string][]float64{}
	for _, spec := range told.Schema {
		if t[spec.Name], err = told.Float64s(spec.Name); err != nil {
			return nil, err
		}
	}
	for f := range v.Features {
		row := t[model.SurveyCounts][f*(2+v.Bins) : (f+1)*(2+v.Bins)]
		if t[model.StatNName][f] < least {
			held = append(held, f)
			clear(row)
			for name, x := range t {
				if name != model.SurveyCounts {
					x[f] = 0
				}
			}
			continue
		}
		if v.Extremes && !extremes {
			t[model.SurveyMin][f], t[model.SurveyMax][f] = model.NoMin, model.NoMax
		}
		for i, c := range row {
			if c > 0 && c < least {
				row[i] = 0
				t[model.SurveyHidden][f]++
			}
		}
	}
	for name, x := range t {
		if err := told.SetFloat64s(name, x); err != nil {
			return nil, err
		}
	}
	return held, nil
}
