package virtual

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// A rollback is a round: it makes a former version the newest again, with the bits and the
// state of optimiser and guard that it had, whatever the task does just then; training goes
// on from there, and a replay of all records gives the same. The lines go back, too, if
// they had a later version. A start of the aggregator forgets none of it.
func TestRollback(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Server, task.KeepUpdates = 6, "momentum", aggregator.KeepAll
		w.aggregate(task)
		c := w.client("operator", own("event"))
		for i, m := range three {
			w.join(m, peak{walker{rows: 10 * (i + 1), takes: 10 * time.Second}, 4})
		}
		n := 0
		back := func(version uint64, want string) {
			t.Helper()
			n++
			c.say(own("command"), fmt.Appendf(nil, `{"schema":"fedmq.command.v1","id":"r%d","command":"rollback","args":{"version":%d}}`, n, version), false)
			time.Sleep(3 * time.Second)
			if !c.said(own("event"), want) {
				t.Errorf("rollback to %d: no %q", version, want)
			}
		}
		w.recorded(4, record.Committed, 5*time.Minute)
		time.Sleep(2 * time.Second)
		back(4, "rollback: refused, version 4 is not older than 4, which is the newest")
		back(2, `"detail":"rollback: done"`)
		w.end(aggregatorName)
		w.aggregate(task)
		w.finished(5 * time.Minute)
		time.Sleep(5 * time.Second)
		if _, version, _ := w.released(); version != 5 { // 4 was better, and is void
			t.Errorf("version %d is released at the end", version)
		}
		back(3, `"member":"r3","detail":"rollback: done"`)
		if h, version, _ := w.released(); version != 9 || h != w.model(3) {
			t.Errorf("version %d is released after a rollback to version 3", version)
		}
		w.endAll()
		by := map[uint64]record.Record{}
		for _, r := range w.history() {
			if r.Verdict == record.Committed {
				by[r.Round] = r
			}
		}
		for round, to := range map[uint64]uint64{5: 2, 9: 3} {
			r, was := by[round], by[to]
			if r.Work != record.WorkRollback || r.Rollback == nil || *r.Rollback != to || r.Model != was.Model || r.State != was.State || r.State.IsZero() {
				t.Errorf("round %d: %s to %v, model and state of round %d: %v, %v", round, r.Work, r.Rollback, to, r.Model == was.Model, r.State == was.State)
			}
		}
		if r := by[6]; r.Work != "train" || r.Base != by[2].Model || len(by) != 10 {
			t.Errorf("round 6 is of %s on another base: %v; %s", r.Work, r.Base != by[2].Model, w.story())
		}
		if b := by[5].Best; b != nil {
			t.Errorf("after a rollback version %d is the best", b.Version)
		}
	})
}

// A site that was away when the model went back forgets as the others do what its updates
// had left over, and added up to: with the next order that it sees. It trains on as one that
// has lost its disk.
func TestAwayAtARollback(t *testing.T) {
	racing.Skip(t, "TestRollback and TestFeedbackOutlives have the goroutines")
	for name, c := range map[string]struct {
		task  func(*world) aggregator.Task
		start func(n *world, i int)
	}{
		"what is left over": {
			func(n *world) aggregator.Task {
				task := n.large()
				task.Encoding = "topk:.01"
				return task
			},
			func(n *world, i int) { n.join(three[i], walker{rows: 10 * (i + 1), takes: 20 * time.Second}) },
		},
		"control variates": {
			func(n *world) aggregator.Task {
				task := presses(n.t, n)
				task.Strategy, task.Train = "scaffold", []byte(`{"epochs": 1, "lr": 0.2, "batch": 16}`)
				return task
			},
			func(n *world, i int) { n.join(three[i], steady{press(n.t, uint64(i+1), unlike(i))}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				run := func(away, anew bool) (models []model.Hash) {
					n := newWorld(w.t)
					task := c.task(n)
					task.Rounds, task.Quorum, task.StartWhen = 6, 2, 3
					n.aggregate(task)
					for i := range three {
						c.start(n, i)
					}
					n.recorded(3, record.Committed, 5*time.Minute)
					time.Sleep(time.Second)
					if away {
						n.end(three[2])
					}
					op := n.client("operator", own("event"))
					op.say(own("command"), []byte(`{"schema":"fedmq.command.v1","id":"r","command":"rollback","args":{"version":1}}`), false)
					n.recorded(4, record.Committed, 5*time.Minute)
					time.Sleep(time.Second)
					if !away {
						n.end(three[2])
					}
					n.recorded(5, record.Committed, 5*time.Minute)
					if anew {
						check(n.t, os.RemoveAll(n.siteDir(three[2])))
					}
					c.start(n, 2)
					n.finished(20 * time.Minute)
					n.endAll()
					for _, r := range n.history() {
						if r.Verdict == record.Committed {
							models = append(models, r.Model)
						}
					}
					return models
				}
				there, away, anew := run(false, false), run(true, false), run(true, true)
				if !slices.Equal(there, away) || !slices.Equal(there, anew) || len(there) < 8 {
					t.Errorf("models with a site that was there %.8v, that was away %.8v, that has nothing %.8v", there, away, anew)
				}
			})
		})
	}
}
