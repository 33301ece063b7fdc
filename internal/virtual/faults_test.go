package virtual

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// reference is a federation without faults. It ends the same every time, so it runs once,
// for all tests that compare with it, and they do not change its history.
type reference struct {
	once sync.Once
	recs []record.Record
}

// history returns the records of three sites at the task that set gives.
func (r *reference) history(w *world, set func(calm *world) aggregator.Task) []record.Record {
	w.t.Helper()
	r.once.Do(func() {
		calm := newWorld(w.t)
		calm.aggregate(set(calm))
		for i, m := range three {
			calm.join(m, walker{rows: 10 * (i + 1)})
		}
		calm.finished(5 * time.Minute)
		calm.endAll()
		r.recs = calm.history()
	})
	return r.recs
}

// undisturbed is the history of the small task.
func undisturbed(w *world) []record.Record {
	w.t.Helper()
	return smallModels.history(w, (*world).task)
}

var smallModels reference

// sameModels compares the committed rounds of two histories.
func sameModels(w *world, got, want []record.Record) {
	w.t.Helper()
	commits := func(list []record.Record) (out []record.Record) {
		for _, r := range list {
			if r.Verdict == record.Committed {
				out = append(out, r)
			}
		}
		return out
	}
	got, want = commits(got), commits(want)
	if len(got) != len(want) {
		w.t.Fatalf("%d committed rounds, want %d: %s", len(got), len(want), w.story())
	}
	for i, r := range got {
		if r.Model != want[i].Model {
			w.t.Errorf("round %d: another model than that of the undisturbed run", r.Round)
		}
		if r.Metrics["rmse"].Value != want[i].Metrics["rmse"].Value || r.Metrics["loss"] != want[i].Metrics["loss"] {
			w.t.Errorf("round %d: metrics %v, want %v", r.Round, r.Metrics, want[i].Metrics)
		}
	}
}

// disturb runs the three sites of undisturbed with c slow in round 2, lets
// break do its work when the updates of a and b are in, and compares.
func disturb(t *testing.T, breakIt func(w *world, c *client, runs []*atomic.Int32)) {
	t.Helper()
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		runs := make([]*atomic.Int32, 3)
		for i, m := range three {
			runs[i] = new(atomic.Int32)
			w.join(m, walker{rows: 10 * (i + 1), takes: time.Duration(1+9*(i/2)) * time.Second, runs: runs[i]})
		}
		c := w.client("watch", own("round"), own("event"))
		c.awaitView("two updates of round 2 are in", time.Minute, func(v view) bool { return v.Round == 2 && v.Accepted == 2 })
		breakIt(w, c, runs)
		w.finished(10 * time.Minute)
		w.endAll()
		w.settled(three...)
		sameModels(w, w.history(), undisturbed(w))
		for i, n := range runs[:2] {
			if n.Load() != 3 {
				t.Errorf("%s trained %d times in 3 rounds", three[i], n.Load())
			}
		}
	})
}

// The aggregator is stopped with two updates of a round in its sum. The next
// process opens the next attempt; nobody trains twice; the bits are the same.
func TestAggregatorRestarts(t *testing.T) {
	disturb(t, func(w *world, _ *client, _ []*atomic.Int32) {
		w.end(aggregatorName)
		w.aggregate(w.task())
		r := w.recorded(2, record.Committed, 5*time.Minute)
		if r.Attempt != 2 || r.Epoch != 2 || counted(r) != 3 {
			w.t.Errorf("round 2: attempt %d of epoch %d with %d counted, want 2, 2 and 3", r.Attempt, r.Epoch, counted(r))
		}
	})
}

// The same, again and again, and at other moments.
func TestAggregatorRestartsOften(t *testing.T) {
	disturb(t, func(w *world, _ *client, _ []*atomic.Int32) {
		for i := range 8 {
			w.end(aggregatorName)
			w.aggregate(w.task())
			time.Sleep(time.Duration(700*i) * time.Millisecond)
		}
	})
}

// Two sites are stopped after their receipts, one of them before its outbox
// was settled for good. Nothing is counted twice.
func TestSitesRestart(t *testing.T) {
	disturb(t, func(w *world, _ *client, runs []*atomic.Int32) {
		for i := range 2 {
			w.end(three[i])
			time.Sleep(3 * time.Second)
			w.join(three[i], walker{rows: 10 * (i + 1), runs: runs[i]})
		}
	})
}

// The broker is replaced by one that has forgotten everything. What the owner
// retains is back within 10 s of a working link.
func TestBrokerForgets(t *testing.T) {
	disturb(t, func(w *world, _ *client, _ []*atomic.Int32) {
		topics := []string{namespace + "/_fl_v1/state", own("order"), own("model"), own("record"), own("round"), own("kpi/round")}
		before := map[string]bool{}
		for _, topic := range topics {
			before[topic] = w.retained(topic) != nil
		}
		w.stopBroker()
		time.Sleep(20 * time.Second)
		w.startBroker()
		link := w.client("up", own("order"))
		w.until("the aggregator is back", time.Minute, func() bool { return len(link.all(own("order"))) > 0 })
		time.Sleep(2 * time.Second)
		for _, topic := range topics {
			if !before[topic] || w.retained(topic) == nil {
				w.t.Errorf("%s: retained before %t, after %t", topic, before[topic], w.retained(topic) != nil)
			}
		}
		w.end("up")
	})
}

// Each party in turn loses its connection.
func TestLinksAreCut(t *testing.T) {
	disturb(t, func(w *world, _ *client, _ []*atomic.Int32) {
		for _, name := range append([]string{aggregatorName}, three...) {
			w.cut(name)
			time.Sleep(2 * time.Second)
		}
	})
}

// Without an answer from one site each round ends at its deadline with the
// others; the deadline does not run while the aggregator is off line.
func TestDeadline(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 1
		w.aggregate(task)
		w.join(three[0], walker{})
		w.join(three[1], walker{})
		w.join(three[2], walker{takes: time.Hour})
		c := w.client("watch", own("round"))
		c.awaitView("two are in", time.Minute, func(v view) bool { return v.Accepted == 2 })
		time.Sleep(20 * time.Second)
		w.stopBroker()
		time.Sleep(5 * time.Minute)
		w.startBroker()
		r := w.recorded(1, record.Committed, 2*time.Minute)
		if r.Reason != "deadline" || r.Attempt != 1 || counted(r) != 2 || r.Entries[2].Verdict != verdict.Missing {
			t.Errorf("round 1: %s, attempt %d, %v", r.Reason, r.Attempt, r.Entries)
		}
		if took := time.Duration(r.ClosedMS-r.OpenedMS) * time.Millisecond; took < 6*time.Minute || took > 7*time.Minute {
			t.Errorf("closed after %s, want a minute on line and five off", took)
		}
	})
}

// Below the quorum an attempt is abandoned, recorded, and the same round opens
// again; what was accepted stays.
func TestBelowQuorum(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Quorum = 1, 3
		w.aggregate(task)
		runs := new(atomic.Int32)
		w.join(three[0], walker{runs: runs})
		w.join(three[1], walker{})
		w.join(three[2], walker{takes: 130 * time.Second})
		w.finished(10 * time.Minute)
		w.endAll()
		recs := w.history()
		var hashes []model.Hash
		for _, r := range recs[1:4] {
			hashes = append(hashes, r.OrderHash)
		}
		if recs[1].Verdict != record.Abandoned || recs[2].Verdict != record.Abandoned || recs[3].Verdict != record.Committed {
			t.Fatal(w.story())
		}
		if recs[1].Counts()["kept"] != 2 || recs[1].Counts()["missing"] != 1 || counted(recs[3]) != 3 || recs[3].Round != 1 || recs[3].Attempt != 3 {
			t.Error(w.story())
		}
		slices.SortFunc(hashes, func(a, b model.Hash) int { return slices.Compare(a[:], b[:]) })
		if len(slices.Compact(hashes)) != 3 {
			t.Error("attempts share an order")
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("the first site trained %d times for one round", n)
		}
		w.settled(three...)
	})
}

// Who joins while a round is open takes part from the next order on.
func TestLateJoiner(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: 20 * time.Second})
		}
		c := w.client("watch", own("round"))
		c.awaitView("round 1 is open", time.Minute, func(v view) bool { return v.Phase == "open" })
		w.join("d/line-1", walker{})
		w.finished(10 * time.Minute)
		w.endAll()
		recs := w.history()
		if len(recs[1].Entries) != 3 || len(recs[2].Entries) != 4 || counted(recs[2]) != 4 {
			t.Error(w.story())
		}
		w.settled(append(three, "d/line-1")...)
	})
}

// Rounds can be added to a finished task, members can change, and the settings
// of a round that is open do not.
func TestChangedSettings(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Train = []byte(`{"step":1}`)
		w.aggregate(task)
		for i, m := range three {
			w.join(m, walker{takes: time.Duration(1+i*20) * time.Second})
		}
		c := w.client("watch", own("round"), own("order"))
		c.awaitView("one is in", time.Minute, func(v view) bool { return v.Round == 1 && v.Accepted >= 1 })
		w.end(aggregatorName)
		task.Train, task.Rounds, task.Members = []byte(`{"step":2}`), 4, []string{"+/line-1", "+/line-2"}
		w.aggregate(task)
		w.recorded(1, record.Committed, 5*time.Minute)
		w.join("d/line-2", walker{})
		w.finished(10 * time.Minute)
		seen := map[uint64]string{}
		for _, m := range c.all(own("order")) {
			h, o := openOrder(w, m.Payload)
			if old := seen[h.Round]; old != "" && old != string(o.Settings) {
				t.Errorf("round %d: settings %s and %s", h.Round, old, o.Settings)
			}
			seen[h.Round] = string(o.Settings)
		}
		if seen[1] != `{"step":1}` || seen[2] != `{"step":2}` {
			t.Errorf("settings %v", seen)
		}
		w.endAll()
		recs := w.history()
		if len(recs) != 6 || counted(recs[3]) != 4 {
			t.Error(w.story())
		}
	})
}

// A shape that differs is another task, even where the bytes are as many; so
// is another owner.
func TestAnotherModel(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		w.aggregate(task)
		time.Sleep(10 * time.Second)
		w.end(aggregatorName)
		other := task
		other.Init = weights(t, 1, 2, 3)
		w.aggregate(other)
		time.Sleep(time.Second)
		if err := w.leave(aggregatorName); err == nil {
			t.Error("another schema was taken")
		}
		w.aggregate(task)
	})
}
