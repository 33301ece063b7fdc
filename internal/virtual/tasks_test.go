package virtual

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// sick is a trainer that panics.
type sick struct{ walker }

func (sick) Train(context.Context, trainer.Job, *model.Model) (*model.Model, error) { panic("sick") }

// differing are tasks with a strategy each.
func differing(w *world) (list []aggregator.Task) {
	for i, name := range []string{"plain", "adam", "median"} {
		task := w.task()
		task.Name, task.Quorum, task.Seed = name, 3, uint64(i)
		switch name {
		case "adam":
			task.Server = name
		case "median":
			task.Strategy = name
		}
		list = append(list, task)
	}
	return list
}

// attend starts sites with a trainer for each task; that of a task called
// sick is.
func (w *world) attend(tasks []aggregator.Task, members ...string) {
	for i, m := range three {
		if !slices.Contains(members, m) {
			continue
		}
		w.tune = func(cfg *site.Config) {
			cfg.Tasks = nil
			for _, t := range tasks {
				tr := trainer.Trainer(walker{rows: 10 * (i + 1)})
				if t.Name == "sick" {
					tr = sick{}
				}
				cfg.Tasks = append(cfg.Tasks, site.Task{Name: t.Name, Trainer: tr})
			}
		}
		w.join(m, nil)
	}
}

// ended returns the last model of each task that all rounds of were trained.
func (w *world) ended(tasks ...aggregator.Task) map[string]model.Hash {
	w.t.Helper()
	out := map[string]model.Hash{}
	w.until("the end of all", time.Hour, func() bool {
		for _, r := range w.all() {
			if r.Work == "evaluate" && r.Verdict == record.Committed {
				out[r.Task] = r.Model
			}
		}
		return !slices.ContainsFunc(tasks, func(t aggregator.Task) bool { return t.Name != "sick" && out[t.Name].IsZero() })
	})
	return out
}

// offline ends a task alone, without a broker.
func (w *world) offline(task aggregator.Task) model.Hash {
	w.t.Helper()
	var members []aggregator.OfflineMember
	for i, m := range three {
		tr := walker{rows: 10 * (i + 1)}
		members = append(members, aggregator.OfflineMember{Path: m, Samples: uint64(tr.rows), Do: func(ctx context.Context, o aggregator.OfflineOrder) (wire.Update, error) {
			return site.Do(ctx, tr, site.Order{
				Task: o.Task, Member: m, Work: o.Work, Round: o.Round, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed, Base: o.Base, Local: o.Local,
			})
		}})
	}
	last, _, err := aggregator.Offline(w.t.Context(), aggregator.Config{Namespace: namespace, Tasks: []aggregator.Task{task}}, members)
	check(w.t, err)
	return last.ContentID()
}

// Several tasks on one aggregator and at the same sites, with a strategy each, beside one
// whose trainers panic, and over restarts, end with the bits of each alone.
func TestTasksEndAsAlone(t *testing.T) {
	inBubble(t, func(w *world) {
		alone := map[string]model.Hash{}
		for _, task := range differing(w) {
			alone[task.Name] = w.offline(task)
		}
		if alone["plain"] == alone["median"] || alone["plain"] == alone["adam"] {
			t.Fatalf("strategies that make no difference: %v", alone)
		}
		ill := w.task()
		ill.Name = "sick"
		tasks := append(differing(w), ill)
		w.aggregate(tasks...)
		w.attend(tasks, three...)
		w.until("a round of some task", time.Hour, func() bool {
			return slices.ContainsFunc(w.all(), func(r record.Record) bool { return r.Work == "train" && r.Verdict == record.Committed })
		})
		w.end(aggregatorName)
		w.aggregate(tasks...)
		w.end(three[0])
		w.attend(tasks, three[0])
		for name, id := range w.ended(tasks...) {
			if id != alone[name] {
				t.Errorf("%s ends with %s, alone with %s", name, id, alone[name])
			}
		}
	})
}

// A quick task waits for a slow one at the same sites: its rounds come to something
// between those, and the sites say why others did not.
func TestQuickTaskBesideSlow(t *testing.T) {
	inBubble(t, func(w *world) {
		var said bytes.Buffer
		w.log = zerolog.New(zerolog.SyncWriter(&said))
		slow, quick := w.task(), w.task()
		slow.Name, slow.Deadline, quick.Name = "slow", time.Hour, "quick"
		w.aggregate(slow, quick)
		for _, m := range three {
			w.tune = func(cfg *site.Config) {
				cfg.Tasks = []site.Task{{Name: "slow", Trainer: walker{takes: brief(10 * time.Minute)}}, {Name: "quick", Trainer: walker{}}}
			}
			w.join(m, nil)
		}
		w.ended(slow, quick)
		w.endAll()
		if want := `"behind":"slow","waited_s":`; !strings.Contains(said.String(), want) {
			t.Errorf("no site says %s in\n%s", want, said.String())
		}
		for _, r := range w.all() {
			if r.Task == "slow" && r.Verdict == record.Abandoned {
				t.Errorf("round %d of the slow task: %s", r.Round, r.Verdict)
			}
		}
	})
}
