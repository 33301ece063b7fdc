package virtual

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// judge is a walker that measures each version as it is told.
type judge struct {
	walker
	losses []float64 // by version
}

func (j judge) Evaluate(_ context.Context, job trainer.Job, _ *model.Model) (trainer.Evaluation, error) {
	n := float64(j.Samples())
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: n, trainer.SumLoss: n * j.losses[min(int(job.Round)-1, len(j.losses)-1)]}}, nil
}

// onLines are the versions that a topic has shown, in order.
func (c *client) onLines(topic string) (versions []uint64) {
	o := wire.Opener{NS: c.w.ns, Limits: wire.Limits{Part: wire.MaxPart}}
	for _, m := range c.all(topic) {
		h, _, err := o.Open(topic, m.Payload, wire.Bound{})
		check(c.w.t, err)
		if n := len(versions); n == 0 || versions[n-1] != h.Round {
			versions = append(versions, h.Round)
		}
	}
	return versions
}

// A poisoned round never reaches the lines, and neither does a version that is better for
// all sites together and costs one of them more than it may: also not after the aggregator
// has started again. Records say what came of each.
func TestPoisonedRoundIsNotReleased(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Release = 8, &aggregator.Release{Approve: aggregator.ApproveAuto}
		w.aggregate(task)
		c := w.client("watch", own("released"))
		// Version         0   1  2   3   4    5    6    7    8
		a := []float64{99, 10, 8, 50, 9, 7.0, 6.0, 6.0, 5.9} // 3 is poisoned, 4 is worse than 2
		b := []float64{99, 10, 8, 50, 9, 7.0, 7.9, 6.8, 5.9} // 6 is better together and costs this one an eighth
		for i, m := range three {
			losses := a
			if i == 1 {
				losses = b
			}
			w.join(m, judge{walker{rows: 10 + i, takes: 5 * time.Second}, losses})
		}
		w.recorded(5, "committed", 5*time.Minute)
		w.end(aggregatorName)
		w.aggregate(task)
		w.finished(5 * time.Minute)
		time.Sleep(time.Second)
		if got, want := c.onLines(own("released")), []uint64{1, 2, 5, 7, 8}; !slices.Equal(got, want) {
			t.Errorf("on the lines were %v, want %v", got, want)
		}
		w.endAll()
		for _, r := range w.history() {
			g := r.Gate
			switch want := map[uint64]string{
				2: "nothing is released before it", 4: "beside version 2: loss 50 after 8, want it better", 7: "beside version 5: " + three[1] + " loses 12.9 % of its loss",
				8: "beside version 5: loss 6.",
			}[r.Round]; {
			case r.Round < 2:
				if g != nil {
					t.Errorf("round %d has a gate: %+v", r.Round, g)
				}
			case g == nil || g.Version != r.Round-1 || !strings.HasPrefix(g.Why, want):
				t.Errorf("round %d: %+v, want %s", r.Round, g, want)
			}
		}
	})
}

// By default nothing is released but by an operator, and of what has passed alone: the best or
// another, also after a start. What comes later is held against what is released then.
func TestReleaseByHand(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Release = 3, &aggregator.Release{}
		w.aggregate(task)
		c := w.client("operator", own("released"), own("round"), own("event"))
		for i, m := range three {
			w.join(m, judge{walker{rows: 10 + i, takes: 5 * time.Second}, []float64{9, 5, 8, 7, 9, 6}})
		}
		w.finished(5 * time.Minute)
		time.Sleep(2 * time.Second)
		if got := c.onLines(own("released")); len(got) > 0 {
			t.Errorf("on the lines were %v before anybody released one", got)
		}
		if !c.said(own("round"), `"candidate":{"version":1,`) {
			t.Error("round does not name the candidate")
		}
		w.end(aggregatorName)
		w.aggregate(task)
		time.Sleep(time.Minute)
		release := func(id, version, want string) {
			t.Helper()
			c.say(own("command"), []byte(`{"schema":"fedmq.command.v1","id":"`+id+`","command":"release","args":{"version":`+version+`}}`), false)
			time.Sleep(2 * time.Second)
			if !c.said(own("event"), want) {
				t.Errorf("release %s: no %q", version, want)
			}
		}
		release("one", "4", "release: refused, version 4 has not passed the gate, versions 1, 2, 3 have, of which 1 is the best")
		release("two", "2", `"detail":"release: done"`)
		if got := c.onLines(own("released")); !slices.Equal(got, []uint64{2}) {
			t.Errorf("on the lines were %v", got)
		}
		release("three", "3", "release: refused, version 3 has not passed the gate beside version 2, which is released, none has")
		w.end(aggregatorName)
		task.Rounds = 5
		w.aggregate(task)
		time.Sleep(time.Second)
		w.finished(5 * time.Minute)
		w.endAll()
		for _, r := range w.history() {
			if g := r.Gate; r.Round >= 5 && (g == nil || g.Passed != (r.Round > 5) || !strings.HasPrefix(g.Why, "beside version 2: loss ")) {
				t.Errorf("round %d: %+v", r.Round, g)
			}
		}
	})
}
