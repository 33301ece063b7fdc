package virtual

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/wire"
)

// buffered is a task of three sites whose rounds close with two updates.
func (w *world) buffered(task aggregator.Task, params strategy.Settings) aggregator.Task {
	task.Rounds, task.Quorum, task.KeepUpdates = 8, 1, aggregator.KeepAll
	task.Strategy, task.StrategyParams = "fedbuff", strategy.Settings{"K": 2.}
	for name, v := range params {
		task.StrategyParams[name] = v
	}
	return task
}

// late starts the sites of a buffered task: two that take 10 s, and one that takes 35.
func (w *world) late() (runs []*atomic.Int32) {
	for i, m := range three {
		runs = append(runs, new(atomic.Int32))
		w.join(m, walker{rows: 10 * (i + 1), takes: []time.Duration{10 * time.Second, 10 * time.Second, 35 * time.Second}[i], runs: runs[i]})
	}
	return runs
}

// trained are the updates that count, as "member round+staleness", and checks of each that it
// counts once.
func (w *world) trained(recs []record.Record) (list []string) {
	w.t.Helper()
	seen := map[string]uint64{}
	for _, r := range recs {
		for _, e := range r.Entries {
			if !r.Trained() || e.Verdict != verdict.Counted {
				continue
			}
			of := fmt.Sprint(e.Member, r.Round-e.Staleness)
			if in, twice := seen[of]; twice {
				w.t.Errorf("the update of %s for round %d counts in round %d and in %d", e.Member, r.Round-e.Staleness, in, r.Round)
			}
			seen[of] = r.Round
			list = append(list, fmt.Sprintf("%c %d+%d", e.Member[0], r.Round-e.Staleness, e.Staleness))
		}
	}
	return list
}

// again makes the models of a finished task anew from its records and updates, which are
// folded in the order that shuffle gives.
func (w *world) again(recs []record.Record, shuffle func([]record.Entry)) {
	w.t.Helper()
	st, err := store.Open(filepath.Join(w.dir, aggregatorName), store.Options{})
	check(w.t, err)
	base, state := w.task().Init, []byte(nil)
	for _, r := range recs {
		if !r.Trained() {
			continue
		}
		s := r.Strategy
		fold, err := strategy.Registry{}.Begin(strategy.Setup{
			Work: r.Work, Strategy: s.Name, Params: strategy.Settings(s.Params), State: state, Guard: s.Guard, Thresholds: s.Thresholds,
			Round: strategy.Round{Base: base, GridB: s.GridB, GridW: s.GridW},
		}, nil)
		check(w.t, err)
		list := slices.DeleteFunc(slices.Clone(r.Entries), func(e record.Entry) bool { return e.Verdict != verdict.Counted })
		shuffle(list)
		for _, e := range list {
			b, err := st.Blob(e.Content)
			check(w.t, err)
			m, err := strategy.Registry{}.Decode(e.Encoding, b, fold.Schema(), nil)
			check(w.t, err)
			u := strategy.Update{Samples: e.Samples, Weight: e.Weight, Tensors: m, Staleness: e.Staleness}
			check(w.t, fold.Check(u))
			fold.Add(u)
		}
		made, err := fold.Result(nil, nil)
		check(w.t, err)
		if base, state = made.Model, made.State; base.ContentID() != r.Model {
			w.t.Fatalf("round %d: another model of the same updates", r.Round)
		}
	}
	check(w.t, st.Close())
}

// A slow site's update counts in a later round than it was made for, and the records say
// how far it was behind; no order stops its training. The recorded sets give the same bits
// in any order, and with another weight of what is late other ones.
func TestFedBuff(t *testing.T) {
	racing.Skip(t, "TestFedBuffRestarts has its goroutines, and more")
	inBubble(t, func(w *world) {
		var last []record.Record
		for _, params := range []strategy.Settings{nil, {"staleness": "none"}} {
			n := newWorld(t)
			n.aggregate(n.buffered(n.task(), params))
			runs := n.late()
			n.finished(20 * time.Minute)
			n.endAll()
			n.settled(three...)
			recs := n.history()
			got := n.trained(recs)
			if !slices.Contains(got, "c 1+3") || !slices.Contains(got, "c 5+3") || len(got) != 16 {
				t.Errorf("%v", got)
			}
			if c := runs[2].Load(); c != 2 {
				t.Errorf("the slow site has trained %d times, and 2 updates of it count", c)
			}
			n.again(recs, slices.Reverse[[]record.Entry])
			n.again(recs, func([]record.Entry) {})
			for i := range last {
				if a, b := last[i], recs[i]; a.Trained() && a.Staleness() == 0 && a.Base == b.Base && a.Model != b.Model || a.Staleness() > 0 && a.Model == b.Model {
					t.Errorf("round %d, %d versions behind: %s and %s", a.Round, a.Staleness(), a.Model, b.Model)
				}
			}
			last = recs
		}
	})
}

// What is further behind than max_staleness is refused by the name of that key, and its
// site goes on with the newest order. Training that cannot count any more is stopped.
func TestFedBuffTooStale(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.buffered(w.task(), strategy.Settings{"max_staleness": 3.})
		task.Rounds = 16
		w.aggregate(task)
		c := w.client("watch", own("event"))
		runs := w.late()
		w.recorded(3, record.Committed, 5*time.Minute)
		time.Sleep(4 * time.Second)
		w.bar(three[2]) // what it makes for round 1 is there, and does not leave it
		w.cut(three[2])
		w.recorded(5, record.Committed, 5*time.Minute)
		w.bar("")
		w.finished(20 * time.Minute)
		w.endAll()
		w.settled(three...)
		got := w.trained(w.history())
		if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "c 1+") }) || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "c ") }) {
			t.Errorf("%v", got)
		}
		refused := slices.ContainsFunc(c.messages(), func(m link.Message) bool {
			return strings.Contains(string(m.Payload), "stale_round") && strings.Contains(string(m.Payload), "max_staleness")
		})
		n := len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, "c ") }))
		if !refused || int(runs[2].Load()) > n+3 { // one refused, one four behind and begun anew, one stopped by the end
			t.Errorf("refused by name: %v; %d trainings, %v", refused, runs[2].Load(), got)
		}
	})
}

// A site whose training takes longer than max_staleness rounds is told so once, stays in the
// cohort of all rounds, and measures at the end: what all measure says which version is best.
func TestFedBuffTooSlow(t *testing.T) {
	racing.Skip(t, "TestFedBuffTooStale has its goroutines, and more")
	inBubble(t, func(w *world) {
		w.aggregate(w.buffered(w.task(), strategy.Settings{"max_staleness": 2.}))
		c := w.client("watch", own("event"))
		for i, m := range three {
			w.join(m, walker{rows: 10, takes: []time.Duration{10 * time.Second, 10 * time.Second, 50 * time.Second}[i]})
		}
		w.finished(20 * time.Minute)
		w.endAll()
		recs := w.history()
		for _, r := range recs {
			if r.Round > 0 && len(r.Entries) != 3 {
				t.Errorf("round %d asked %d sites", r.Round, len(r.Entries))
			}
		}
		last := recs[len(recs)-1]
		if n := len(slices.DeleteFunc(slices.Clone(last.Entries), func(e record.Entry) bool { return e.Verdict != verdict.Counted })); last.Work != wire.WorkEvaluate || n != 3 {
			t.Errorf("the last round is of %s, of %d sites", last.Work, n)
		}
		told := 0
		for _, m := range c.messages() {
			if strings.Contains(string(m.Payload), "no update of it has counted in the last 3 rounds") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

// An upload in parts that takes longer than rounds do goes on over their ends.
func TestFedBuffUploads(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(8 << 10)
		w.network(three[2], &line{rate: 40_000}) // 10 s for the model, and for the update
		task := w.buffered(w.large(), nil)
		if task.Rounds = 12; racing.On {
			task.Rounds = 6
		}
		w.aggregate(task)
		for i, m := range three {
			w.join(m, walker{rows: 10 * (i + 1), takes: []time.Duration{15 * time.Second, 15 * time.Second, 12 * time.Second}[i]})
		}
		w.finished(20 * time.Minute)
		w.endAll()
		w.settled(three...)
		recs := w.history()
		got, up := w.trained(recs), int64(0)
		for _, r := range recs {
			up += r.BytesUp
		}
		if up > int64(len(got))*440_000 {
			t.Errorf("%d bytes of %d updates of 400,000", up, len(got))
		}
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "c ") && !strings.HasSuffix(s, "+0") }) {
			t.Errorf("%v", got)
		}
	})
}

// The aggregator is stopped, or killed, with a late update in the open round: nothing is
// lost, and nothing counts twice.
func TestFedBuffRestarts(t *testing.T) {
	for _, kill := range []bool{false, true} {
		for _, keep := range []aggregator.Keep{aggregator.KeepAll, aggregator.KeepNone} {
			t.Run(fmt.Sprintf("kill %v keep %s", kill, keep), func(t *testing.T) {
				if kill || keep == aggregator.KeepNone {
					racing.Skip(t, "the same goroutines on another disk")
				}
				inBubble(t, func(w *world) {
					task := w.buffered(w.task(), nil)
					task.KeepUpdates = keep
					w.aggregate(task)
					w.late()
					w.recorded(3, record.Committed, 5*time.Minute)
					time.Sleep(7 * time.Second) // the late update is in round 4
					dir := filepath.Join(w.dir, aggregatorName)
					before := filepath.Join(t.TempDir(), "before")
					check(t, os.CopyFS(before, os.DirFS(dir)))
					w.end(aggregatorName)
					if kill {
						check(t, os.RemoveAll(dir))
						check(t, os.Rename(before, dir))
					}
					w.aggregate(task)
					w.finished(20 * time.Minute)
					w.endAll()
					w.settled(three...)
					if got := w.trained(w.history()); !slices.Contains(got, "c 1+3") || len(got) != 16 {
						t.Errorf("%v", got)
					}
				})
			})
		}
	}
}
