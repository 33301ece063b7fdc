package virtual

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/racing"
	views "github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
)

// census is a walker that can count the values of one column.
type census struct {
	walker
	values []float64
}

func (c census) Samples() int { return len(c.values) }

func (c census) Survey(_ context.Context, _ trainer.Job, base *model.Model) (*model.Model, error) {
	v, _ := model.SurveyOf(base.Schema)
	lo, err := base.Float64s(model.SurveyLo)
	if err != nil {
		return nil, err
	}
	hi, err := base.Float64s(model.SurveyHi)
	if err != nil {
		return nil, err
	}
	all, counts := fold.Moments{N: []float64{0}, Mean: []float64{0}, M2: []float64{0}}, make([]float64, 2+v.Bins)
	for _, x := range c.values {
		all.Merge(fold.Moments{N: []float64{1}, Mean: []float64{x}, M2: []float64{0}})
		if lo[0] < hi[0] {
			counts[fold.Bin(x, lo[0], hi[0], v.Bins)]++
		}
	}
	m := model.New(v.Update())
	for name, x := range map[string][]float64{model.StatNName: all.N, model.StatMeanName: all.Mean, model.StatM2Name: all.M2, model.SurveyCounts: counts} {
		if err := m.SetFloat64s(name, x); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// spread are n values around a middle.
func spread(n int, middle float64) (x []float64) {
	for i := range n {
		x = append(x, middle+float64(i%7)-3)
	}
	return x
}

func (w *world) statistics() (v views.Statistics) {
	w.t.Helper()
	if raw := w.retained(own("statistics")); raw != nil {
		check(w.t, json.Unmarshal(raw, &v))
	}
	return v
}

// The first round finds the range, the second counts, and the third comes an hour later,
// when one site has changed: a restart in between forgets nothing, and what the records
// say can be made again. Too few rows of a site stay there.
func TestSurvey(t *testing.T) {
	every := brief(time.Hour)
	inBubble(t, func(w *world) {
		task := w.task()
		task.Init, task.Quorum, task.StartWhen, task.Rounds, task.KeepUpdates = nil, 3, 3, 2, aggregator.KeepAll
		task.Survey = &aggregator.Survey{Columns: []aggregator.Column{{Name: "flow", Unit: "l/s"}}, Bins: 10, Every: every}
		w.aggregate(task)
		w.tune = func(c *site.Config) { c.Tasks[0].MinCount = 5 }
		began := time.Now()
		for i, m := range three {
			w.join(m, census{values: spread(70, float64(10+i))})
		}
		w.recorded(2, record.Committed, 10*time.Minute)
		v := w.statistics()
		if len(v.Columns) != 1 || v.Version != 2 {
			t.Fatalf("%+v", v)
		}
		c := v.Columns[0]
		if c.Name != "flow" || c.Unit != "l/s" || c.Sites != 3 || c.Count != 210 || math.Abs(*c.Mean-11) > 1e-12 || c.Drift != nil || c.Histogram == nil || c.WorstSite == "" || len(c.Quantiles) != 3 {
			t.Errorf("%+v", c)
		}
		if h := c.Histogram; h.Under != 0 || h.Over != 0 || sumOf(h.Counts) != 210 || c.Quantiles[1].Value == nil || !(*c.Quantiles[1].Value > 10 && *c.Quantiles[1].Value < 12) {
			t.Errorf("%+v, quantiles %v", h, c.Quantiles)
		}
		w.end(aggregatorName)
		w.end(three[2])
		w.aggregate(task)
		w.join(three[2], census{values: slices.Concat(spread(70, 18), []float64{-1000})})
		r := w.recorded(3, record.Committed, every+10*time.Minute)
		if opened := time.UnixMilli(r.OpenedMS).Sub(began); opened < every || opened > every+10*time.Minute {
			t.Errorf("the third round opened after %s", opened)
		}
		w.finished(time.Minute)
		c = w.statistics().Columns[0]
		if c.Drift == nil || !(*c.Drift > .25) || c.WorstSite != three[2] || c.Histogram.Under != 0 || c.Hidden != 1 {
			t.Errorf("%+v, %+v", c, c.Histogram)
		}
		if w.retained(own("released")) != nil {
			t.Error("statistics were released")
		}
		if err := w.leave(three[0]); err != nil {
			t.Error(err)
		}
		w.endAll()
		if !racing.On && w.published[topics.Statistics] == 0 {
			t.Error("nothing on statistics")
		}
		for _, r := range w.history() {
			if r.Round > 0 && r.Work != "statistics" {
				t.Errorf("round %d is of %s", r.Round, r.Work)
			}
		}
	})
}

func sumOf(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// A trainer that counts the z-score alone says that it cannot, and the others go on.
func TestSurveyOfOthers(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		lo, hi := 0.0, 20.0
		task.Init, task.Quorum, task.StartWhen, task.Rounds = nil, 2, 3, 1
		task.Survey = &aggregator.Survey{Columns: []aggregator.Column{{Name: "flow", Lo: &lo, Hi: &hi}}, AllowFew: true}
		w.aggregate(task)
		w.join(three[0], census{values: spread(70, 10)})
		w.join(three[1], census{values: spread(70, 11)})
		w.join(three[2], counter{data: []float64{1, 2}})
		r := w.recorded(1, record.Committed, 10*time.Minute)
		if e := r.Entries[2]; e.Verdict.String() != "declined" || e.Detail == "" {
			t.Errorf("%+v", e)
		}
		w.finished(time.Minute)
		if c := w.statistics().Columns[0]; c.Sites != 2 || c.Histogram == nil {
			t.Errorf("%+v", c)
		}
	})
}
