package virtual

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// measured is a walker whose metrics are given.
type measured struct {
	walker
	says trainer.Evaluation
}

func (m measured) Evaluate(context.Context, trainer.Job, *model.Model) (trainer.Evaluation, error) {
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
		w.join("a/line-1", measured{walker{rows: 1000}, trainer.Evaluation{Metrics: trainer.Metrics{"n": 10, "correct": 9, "loss": 20}}})
		w.join("b/line-1", measured{walker{}, trainer.Evaluation{Metrics: trainer.Metrics{"n": 90, "loss": math.NaN()}}})
		w.join("c/line-1", measured{walker{}, trainer.Evaluation{}})
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
		if got := strings.Join(keys, " "); got != "cap accuracy" {
			t.Errorf("remarks on %q", got)
		}
		if !c.said(own("round"), `"remarks":["weights are limited to 100, so these`) {
			t.Error("no status of a round has the remarks")
		}
	})
}

// A site whose rows are all of one class is neither the best nor the worst by a mean over the
// classes, but counts.
func TestMetricsOfOneClass(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		w.join("a/line-1", measured{walker{}, trainer.Evaluation{Metrics: trainer.Metrics{"n": 4, "correct": 4, "confusion.0.0": 4}}})
		w.join("b/line-1", measured{walker{}, trainer.Evaluation{Metrics: trainer.Metrics{"n": 4, "correct": 3, "confusion.0.0": 2, "confusion.0.1": 1, "confusion.1.1": 1}}})
		w.join("c/line-1", measured{walker{}, trainer.Evaluation{Metrics: trainer.Metrics{"n": 4, "correct": 0, "confusion.0.1": 4}}})
		w.finished(5 * time.Minute)
		w.endAll()
		r := w.history()[1]
		for name, want := range map[string][2]string{"macro_f1": {"b/line-1", "b/line-1"}, "balanced_accuracy": {"b/line-1", "b/line-1"}, "accuracy": {"a/line-1", "c/line-1"}} {
			if m := r.Metrics[name]; m.BestSite != want[0] || m.WorstSite != want[1] || m.Sites != 3 {
				t.Errorf("%s: %+v, want %s", name, m, want)
			}
		}
		if v := r.Entries[0].Metrics["macro_f1"]; v != 1 {
			t.Errorf("a has %v", v)
		}
	})
}

// What sites count of classes is added exactly, whatever comes in between: the record of
// an evaluation says the same when the aggregator was started anew between two of them,
// and of a site that tells nothing but numbers.
func TestCountsInTheRecord(t *testing.T) {
	inBubble(t, func(parent *world) {
		told := func(restart bool) record.Record {
			w := newWorld(parent.t)
			task := w.task()
			task.Rounds, task.StartWhen, task.Quorum, task.KeepUpdates, task.Metric = 1, 3, 3, aggregator.KeepRound, "roc_auc"
			w.aggregate(task)
			c := w.client("members", own("order"), own("round"))
			c.awaitView("the start", time.Minute, func(view) bool { return true })
			members := []string{"a/line-1", "b/line-1", "c/line-1"}
			for _, m := range members {
				c.signUp(m, 1000, nil)
			}
			say := func(i int, h wire.Header, u wire.Update) {
				c.say(memberTopic(members[i], "update"), w.seal(members[i], wire.KindUpdate, header(h), u, nil), false)
				synctest.Wait()
			}
			c.awaitView("round 1", time.Minute, func(v view) bool { return v.Round == 1 && v.Phase == "open" })
			h, _ := c.order()
			for i := range members {
				say(i, h, wire.Update{Samples: 1, Tensors: w.delta(1, 2)})
			}
			c.awaitView("the evaluation", time.Minute, func(v view) bool { return v.Round == 2 && v.Phase == "open" })
			h, _ = c.order()
			e := trainer.NewCounts(2, true)
			e.Add(0, 0, []float64{0.9, 0.1})
			e.Add(0, 1, []float64{0.4, 0.6})
			e.Add(1, 1, []float64{0.3, 0.7})
			u := wire.Update{Samples: 1, Metrics: map[string]float64{"n": 3, "correct": 2}}
			u.Counts = wire.PackCounts(e.Confusion, e.Scores)
			say(0, h, u)
			if restart {
				w.end(aggregatorName)
				time.Sleep(time.Second)
				w.aggregate(task)
				c.awaitView("the next attempt", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Phase == "open" })
				h, _ = c.order()
			}
			say(1, h, wire.Update{Samples: 1, Metrics: map[string]float64{"n": 2, "correct": 1, "confusion.0.0": 1, "confusion.1.0": 1}})
			e.Add(1, 0, []float64{0.8, 0.2})
			u.Metrics = map[string]float64{"n": 4, "correct": 2, "drift": 3}
			u.Counts = wire.PackCounts(e.Confusion, e.Scores)
			say(2, h, u)
			r := w.recorded(2, record.Committed, time.Minute)
			time.Sleep(2 * time.Second) // the view of the round comes once a second
			if !c.said(own("round"), `"shown":"roc_auc","guess":{"accuracy":`) || !strings.Contains(string(w.retained(own("kpi/drift"))), `"value":3}`) {
				t.Error("round and kpi do not show it")
			}
			w.endAll()
			return r
		}
		r, again := told(false), told(true)
		if diff := cmp.Diff(r.Measured, again.Measured) + cmp.Diff(r.Metrics, again.Metrics); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(record.Matrix{{3, 2}, {2, 2}}, r.Confusion); diff != "" {
			t.Error(diff)
		}
		if m := r.Metrics["roc_auc"]; r.Shown != "roc_auc" || m.Rows != 7 || m.Sites != 2 || m.BestSite != "a/line-1" || r.Metrics["drift"].Value != 3 || r.Guess["accuracy"] != 5.0/9 {
			t.Errorf("%s first: %+v; %+v; %v", r.Shown, m, r.Metrics["drift"], r.Guess)
		}
		if e := r.Entries[2].Metrics; e["drift"] != 3 || e["roc_auc"] != 0.75 {
			t.Errorf("c says %v", e)
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
