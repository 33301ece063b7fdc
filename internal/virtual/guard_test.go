package virtual

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// monster is a trainer that is as far off as anybody can be.
type monster struct{ walker }

func (monster) Train(_ context.Context, _ trainer.Job, global *model.Model) (*model.Model, error) {
	local := global.Clone()
	p, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range p {
		p[i] += 50
	}
	return local, local.SetFloat32s("w", p)
}

// A site that sends a monster each round is refused in each, by name, and the others go
// on: with clipping, which shortens some, and with a restart of the aggregator in an open
// round, they have the same models, verdicts and thresholds, which a replay makes again.
// Without a guard the monster counts.
func TestGuard(t *testing.T) {
	inBubble(t, func(w *world) {
		both := &strategy.Guard{Zero: strategy.DefaultZeroing(), Clip: strategy.DefaultClipping()}
		again := w.besideMonster(both, true)
		if racing.On { // the others have some of its goroutines
			return
		}
		plain := w.besideMonster(both, false)
		clipped := 0
		for i, r := range plain {
			if !r.Trained() {
				continue
			}
			if e := r.Entries[len(r.Entries)-1]; e.Member != "zoo/line-1" || e.Verdict != verdict.NormOutlier || r.Counts()["counted"] != 3 {
				t.Errorf("round %d: %v", r.Round, r.Counts())
			}
			if th := r.Strategy.Thresholds; th["z"] > 21 || th["Z"] >= 50 || r.Round == 4 && th["beta"] != 3./4 {
				t.Errorf("round %d: thresholds %v", r.Round, th)
			}
			for _, e := range r.Entries {
				if c, is := r.Strategy.Thresholds["C"]; is && e.Verdict == verdict.Counted && float64(e.Norm) > c {
					clipped++
				}
			}
			same := slices.ContainsFunc(again, func(o record.Record) bool {
				return o.Trained() && o.Round == r.Round && o.Model == r.Model && o.State == r.State
			})
			if !same {
				t.Errorf("round %d, record %d: another model or state after a restart", r.Round, i)
			}
		}
		if clipped == 0 {
			t.Error("nothing is clipped")
		}
		off := w.besideMonster(&strategy.Guard{}, false)
		for _, r := range off {
			if r.Trained() && (r.Counts()["counted"] != 4 || !r.State.IsZero() || r.Strategy.Guard != nil || r.Strategy.Thresholds != nil) {
				t.Errorf("without a guard, round %d: %v, state %v, thresholds %v", r.Round, r.Counts(), r.State, r.Strategy.Thresholds)
			}
		}
	})
}

// besideMonster runs a federation of three and a monster, and returns its records.
func (w *world) besideMonster(g *strategy.Guard, restart bool) []record.Record {
	n := newWorld(w.t)
	c := n.client("watch", own("round"), own("order"), memberTopic("zoo/line-1", "status"))
	task := n.task()
	task.Rounds, task.StartWhen, task.Quorum, task.Guard, task.KeepUpdates = 5, 4, 3, g, aggregator.KeepAll
	n.aggregate(task)
	for i, m := range three {
		n.join(m, walker{rows: 10 * (i + 1), takes: 20 * time.Second})
	}
	n.join("zoo/line-1", monster{})
	if restart {
		n.recorded(2, record.Committed, 2*time.Minute)
		time.Sleep(10 * time.Second) // round 3 is open, and the monster refused
		n.end(aggregatorName)
		n.aggregate(task)
	}
	n.finished(10 * time.Minute)
	n.endAll()
	if g.Zero != nil {
		for _, msg := range c.all(own("order")) {
			if _, o := openOrder(n, msg.Payload); (o.Work == wire.WorkTrain) != (o.Thresholds["Z"] >= 21 && o.Thresholds["z"] >= 10) {
				n.t.Errorf("an order for %s has the thresholds %v", o.Work, o.Thresholds)
			}
		}
		if !c.said(own("round"), `the guard has refused updates with a value beyond 21: zoo/line-1`) || !c.said(memberTopic("zoo/line-1", "status"), "norm_outlier") {
			n.t.Error("nobody says whom the guard refuses")
		}
		th := n.recorded(2, record.Committed, time.Minute).Strategy.Thresholds
		if math.Abs(th["z"]-10*math.Pow(10, 0.23)) > 1e-9 { // three of four are within
			n.t.Errorf("round 2: %v", th)
		}
	}
	return n.history()
}
