package virtual

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// measured is a walker whose metrics are given.
type measured struct {
	walker
	says trainer.Metrics
}

func (m measured) Evaluate(context.Context, trainer.Job, *model.Model) (trainer.Metrics, error) {
	return m.says, nil
}

// A metric that a site lacks, or has no number for, is pooled over the rows of
// the others; the record says over how many, the site what it left out. A
// weight that the cap lowers is said too.
func TestMetricsOfSome(t *testing.T) {
	inBubble(t, func(w *world) {
		c := w.client("watch", own("round"), namespace+"/b/line-1/_fl_v1/"+taskName+"/status")
		task := w.task()
		task.Cap = 0 // by default ten times the lower median
		w.aggregate(task)
		w.join("a/line-1", measured{walker{rows: 1000}, trainer.Metrics{"n": 10, "correct": 9, "loss": 20}})
		w.join("b/line-1", measured{walker{}, trainer.Metrics{"n": 90, "loss": math.NaN()}})
		w.join("c/line-1", measured{walker{}, nil})
		w.finished(5 * time.Minute)
		w.endAll()
		r := w.history()[1]
		for name, want := range map[string]record.Metric{
			"n":        {Value: 100, Rows: 100, Sites: 2, Best: 90, BestSite: "b/line-1", Worst: 10, WorstSite: "a/line-1"},
			"accuracy": {Value: 0.9, Rows: 10, Sites: 1, Best: 0.9, BestSite: "a/line-1", Worst: 0.9, WorstSite: "a/line-1"},
			"loss":     {Value: 2, Rows: 10, Sites: 1, Best: 2, BestSite: "a/line-1", Worst: 2, WorstSite: "a/line-1"},
		} {
			if r.Metrics[name] != want {
				t.Errorf("%s: %+v, want %+v", name, r.Metrics[name], want)
			}
		}
		const warning = `"warning":"loss is no finite number","metrics":{"n":90}`
		if !c.said(namespace+"/b/line-1/_fl_v1/"+taskName+"/status", warning) {
			t.Errorf("no status of b says %s", warning)
		}
		var keys []string
		for _, x := range r.Remarks() {
			keys = append(keys, x.Key)
		}
		if got := strings.Join(keys, " "); got != "cap accuracy loss" {
			t.Errorf("remarks on %q", got)
		}
		if !c.said(own("round"), `"remarks":["weights are limited to 100, so these`) {
			t.Error("no status of a round has the remarks")
		}
	})
}

// said reports whether a message on a topic had the text.
func (c *client) said(topic, text string) bool {
	for _, m := range c.all(topic) {
		if strings.Contains(string(m.Payload), text) {
			return true
		}
	}
	return false
}
