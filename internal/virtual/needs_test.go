package virtual

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
)

// able is a trainer that can what a strategy needs, and tells what it was asked for.
type able struct {
	walker
	can []string
	job *trainer.Job // the last
}

func (a able) Capabilities() []string { return a.can }

func (a able) Scalars() map[string]float64 {
	return map[string]float64{"steps": float64(a.rows), "lr": 0.5, "momentum": 0}
}

func (a able) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	*a.job = job
	return a.walker.Train(ctx, job, global)
}

// perStep divides an update by its steps, and wants mu of the sites.
var perStep = steering{strategy.Linear{ID: "per-step", Coefficient: func(u strategy.Update) (float64, error) { return 1 / u.Scalars["steps"], nil }}}

type steering struct{ strategy.Linear }

func (steering) Local() strategy.Local {
	return strategy.Local{Needs: []string{trainer.NeedMu, trainer.NeedSteps}, Mu: 0.25}
}

// A trainer that lacks what the strategy needs is refused by name before round 1, one
// that can is told what it is; what it tells of its training is in record and replay,
// after a restart too.
func TestNeeds(t *testing.T) {
	inBubble(t, func(w *world) {
		w.strategies.Strategies = []strategy.Strategy{perStep}
		task := w.task()
		task.Strategy, task.KeepUpdates, task.Quorum, task.StartWhen = "per-step", aggregator.KeepAll, 2, 2
		w.aggregate(task)
		var jobs [2]trainer.Job
		w.join(three[0], able{walker{rows: 4, takes: 5 * time.Second}, []string{trainer.NeedSteps}, new(trainer.Job)})
		time.Sleep(time.Minute)
		if got := w.all(); len(got) != 1 {
			t.Fatalf("%d records before anybody can train", len(got))
		}
		if want := "its trainer lacks mu, which the strategy per-step needs; strategy: fedavg needs nothing"; !strings.Contains(w.statusError(memberTopic(three[0], "status")), want) {
			t.Errorf("the status says %q, want %q", w.statusError(memberTopic(three[0], "status")), want)
		}
		for i, m := range three[1:] {
			w.join(m, able{walker{rows: 4 + i, takes: 20 * time.Second}, trainer.Needs(), &jobs[i]})
		}
		w.recorded(1, record.Committed, 5*time.Minute)
		w.end(aggregatorName)
		w.aggregate(task)
		w.finished(10 * time.Minute)
		w.endAll()
		for _, r := range w.history() {
			for _, e := range r.Entries {
				if want := map[string]float64{three[1]: 4, three[2]: 5}[e.Member]; r.Work == strategy.Train && (e.Scalars["steps"] != want || len(e.Scalars) != 3) {
					t.Errorf("round %d: %s has the scalars %v, want %v steps", r.Round, e.Member, e.Scalars, want)
				}
			}
		}
		for _, j := range jobs {
			if j.Mu != 0.25 || !slices.Equal(j.Needs, []string{"mu", "steps"}) {
				t.Errorf("the job says mu %v, needs %v", j.Mu, j.Needs)
			}
		}
	})
}
