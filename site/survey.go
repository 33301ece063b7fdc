package site

import (
	"context"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

const defaultMinCount = 10

// errCannotCount: the trainer has no such statistics.
var errCannotCount = errors.New("the trainer of this site cannot count what the order asks for:")

// survey answers an order of a task that gathers statistics (S-66).
func (r *result) survey(ctx context.Context, j job, tj trainer.Job) error {
	s, ok := j.trainer.(trainer.Surveyor)
	if !ok {
		return fmt.Errorf("%w histograms; want the trainer tabular, or a trainer.Surveyor", errCannotCount)
	}
	base, err := j.global()
	if err != nil {
		return err
	}
	v, ok := model.SurveyOf(base.Schema)
	if !ok {
		return fmt.Errorf("%w %w: the model of the task is no survey", errCannotCount, model.ErrSchema)
	}
	told, err := s.Survey(ctx, tj, base)
	if err != nil {
		return err
	}
	if told == nil || !told.Schema.Equal(v.Update()) || told.Check() != nil {
		return errors.New("statistics: the trainer returned other tensors than those of the survey")
	}
	held, err := cleanse(told, v, float64(j.minCount))
	if err != nil {
		return err
	}
	if len(held) > 0 {
		r.note = fmt.Sprintf("not told, as fewer than %d rows have a value (min_count): %s", j.minCount, featuresBy(held, j.contract))
	}
	r.tensors = told
	return nil
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
// bins of each feature that were. It returns the features of which nothing is left.
func cleanse(told *model.Model, v model.Survey, least float64) (held []int, err error) {
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
