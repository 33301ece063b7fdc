package federation

import (
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// TestNoOp: sites that learn nothing leave the model as it is, to the bit,
// negative zeros and denormals included.
func TestNoOp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.aggregate(w.config(nil))
	sites := []*party{w.site("a", same{}), w.site("b", same{}), w.site("c", same{})}
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	recs := w.recorded()
	if len(recs) != 6 { // the initial model, 4 rounds of training, one of evaluation
		t.Fatalf("%d records, want 6", len(recs))
	}
	for _, r := range recs[1:] {
		if r.Model != w.initial.ContentID() || r.Verdict != record.Committed || r.Counts()["counted"] != 3 {
			t.Errorf("round %d: %s with model %s and %v, want %s, committed by 3", r.Round, r.Verdict, r.Model, r.Counts(), w.initial.ContentID())
		}
	}
}

// undisturbed runs a federation without faults and returns its records.
func undisturbed(t *testing.T) []record.Record {
	t.Helper()
	w := newWorld(t)
	a := w.aggregate(w.config(nil))
	sites := []*party{w.site("c", seeded{samples: 30}), w.site("b", seeded{samples: 20}), w.site("a", seeded{samples: 10})}
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	return w.recorded()
}

// sameModels compares the committed rounds of two federations.
func sameModels(t *testing.T, got, want []record.Record) {
	t.Helper()
	got, want = committed(got), committed(want)
	if len(got) != len(want) {
		t.Fatalf("%d committed rounds, want %d", len(got), len(want))
	}
	for i, r := range got {
		if r.Model != want[i].Model || r.Round != want[i].Round {
			t.Errorf("round %d: model %s, want %s of round %d", r.Round, r.Model, want[i].Model, want[i].Round)
		}
		if len(r.Metrics) > 0 && r.Metrics["rmse"].Value != want[i].Metrics["rmse"].Value {
			t.Errorf("round %d: metric %v, want %v", r.Round, r.Metrics["rmse"], want[i].Metrics["rmse"])
		}
	}
}

func committed(recs []record.Record) (out []record.Record) {
	for _, r := range recs {
		if r.Verdict == record.Committed {
			out = append(out, r)
		}
	}
	return out
}

// TestRestartOfTheAggregator: the aggregator is stopped after one of three
// updates of a round was accepted. The next process opens the next attempt,
// nobody trains twice, and every model has the bits of the undisturbed run.
func TestRestartOfTheAggregator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := make(chan struct{}, 10)
	trained := 0
	sites := []*party{
		w.site("a", seeded{samples: 10, trained: &trained}),
		w.site("b", seeded{samples: 20}),
		w.site("c", seeded{samples: 30, gate: gate}),
	}
	a := w.aggregate(w.config(nil))
	gate <- struct{}{}
	first := a.until(t, 1)
	if n := first.Counts()["counted"]; n != 3 {
		t.Fatalf("round 1 counted %d, want 3", n)
	}
	waitFor(t, w, "a and b are accepted in round 2", func(v view) bool { return v.Round == 2 && v.Accepted == 2 })
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	close(gate)
	a = w.aggregate(w.config(nil))
	second := a.until(t, 2)
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	if second.Attempt < 2 || second.Epoch != 2 {
		t.Errorf("round 2 committed in attempt %d of epoch %d, want a later attempt in epoch 2", second.Attempt, second.Epoch)
	}
	if trained != 4 {
		t.Errorf("site a trained %d times in 4 rounds", trained)
	}
	sameModels(t, w.recorded(), undisturbed(t))
}

// TestRestartOfASite: a site is stopped while its update waits for the others.
// It does not train again, and its update counts once.
func TestRestartOfASite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := make(chan struct{}, 10)
	trained := 0
	a := w.aggregate(w.config(nil))
	one := w.site("a", seeded{samples: 10, trained: &trained})
	rest := []*party{w.site("b", seeded{samples: 20}), w.site("c", seeded{samples: 30, gate: gate})}
	waitFor(t, w, "a and b are accepted in round 1", func(v view) bool { return v.Round == 1 && v.Accepted == 2 })
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	one = w.site("a", seeded{samples: 10, trained: &trained})
	close(gate)
	a.finish(t)
	w.stopAll(append(rest, one, a.party)...)
	if trained != 4 {
		t.Errorf("the site trained %d times in 4 rounds", trained)
	}
	sameModels(t, w.recorded(), undisturbed(t))
}

// TestBrokerForgets: the broker is replaced by one that has lost every
// retained message, in the middle of a round. The round goes on.
func TestBrokerForgets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := make(chan struct{}, 10)
	a := w.aggregate(w.config(nil))
	sites := []*party{w.site("a", seeded{samples: 10}), w.site("b", seeded{samples: 20}), w.site("c", seeded{samples: 30, gate: gate})}
	waitFor(t, w, "a and b are accepted in round 1", func(v view) bool { return v.Round == 1 && v.Accepted == 2 })
	w.stopBroker()
	w.startBroker("")
	close(gate)
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	// Everybody has left: the model is still there for who comes late.
	late := w.watch(t, "acme/_fl_v1/"+task+"/model")
	opener := wire.Opener{NS: namespace(t)}
	h, body, err := opener.Open(late.topic, late.payload, wire.Bound{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := wire.DecodeModel(body, wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, ok := d.(wire.Model)
	recs := w.recorded()
	if last := recs[len(recs)-1]; !ok || m.Matches(h) != nil || h.Base != last.Model || m.Version != last.Round {
		t.Errorf("version %d, %s is retained, want version %d, %s", m.Version, h.Base, last.Round, last.Model)
	}
	sameModels(t, recs, undisturbed(t))
}

func namespace(t *testing.T) topics.Namespace {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// TestDeadline: with one of three sites silent each round ends at its deadline
// with the other two; without a quorum it is abandoned and recorded.
func TestDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	never := make(chan struct{})
	a := w.aggregate(w.config(func(t *aggregator.Task) { t.Rounds, t.Deadline = 1, time.Second }))
	sites := []*party{w.site("a", seeded{samples: 10}), w.site("b", seeded{samples: 20}), w.site("c", seeded{samples: 30, gate: never})}
	r := a.until(t, 1)
	if r.Verdict != record.Committed || r.Counts()["counted"] != 2 || r.Reason != "deadline" {
		t.Errorf("round 1: %s, %v, %s; want committed by 2 at the deadline", r.Verdict, r.Counts(), r.Reason)
	}
	for _, e := range r.Entries {
		if want := map[string]verdict.Reason{"a": verdict.Counted, "b": verdict.Counted, "c": verdict.Missing}[e.Member]; e.Verdict != want {
			t.Errorf("%s: %s, want %s", e.Member, e.Verdict, want)
		}
	}
	w.stopAll(append(sites, a.party)...)
}

// TestBelowQuorum: an attempt below the quorum is abandoned and recorded, the
// same round opens again, and what was accepted stays accepted.
func TestBelowQuorum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := make(chan struct{}, 10)
	trained := 0
	a := w.aggregate(w.config(func(t *aggregator.Task) { t.Rounds, t.Quorum, t.Deadline = 1, 3, time.Second }))
	sites := []*party{
		w.site("a", seeded{samples: 10, trained: &trained}), w.site("b", seeded{samples: 20}),
		w.site("c", seeded{samples: 30, gate: gate}),
	}
	r := a.until(t, 1)
	if r.Verdict != record.Abandoned {
		t.Fatalf("attempt %d of round 1: %s, want abandoned", r.Attempt, r.Verdict)
	}
	close(gate)
	for r.Verdict == record.Abandoned {
		r = a.until(t, 1)
	}
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	if r.Counts()["counted"] != 3 || r.Attempt < 2 || trained != 1 {
		t.Errorf("round 1: %v in attempt %d, site a trained %d times; want 3 counted in a later attempt, one training", r.Counts(), r.Attempt, trained)
	}
	w.recorded()
}
