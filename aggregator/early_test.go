package aggregator

import (
	"testing"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// A large update is in the sum with the look that checks it. The machine's verdict leaves
// it there, and adds nothing twice, or takes it out again; a sum that begins anew knows
// nothing of it. It is looked at where it lies.
func TestInTheSumAheadOfItsVerdict(t *testing.T) {
	t.Parallel()
	p := round.Params{Work: strategy.Train, Weights: round.WeightSamples, Cap: 9, GridB: 6, GridW: 10}
	base := vector(t, 1, 1)
	s := sumOf(t, strategy.Registry{}, "fedavg", base, p)
	staging := s.store.NewStaging(8)
	arrive := func(member string, samples uint64, w ...float32) (owner.Fold, found) {
		m := vector(t, w...)
		st := &staged{content: m.ContentID(), samples: samples, stage: staging.Stage(len(m.Blob))}
		if err := st.stage.WriteAt(m.Blob, 0); err != nil {
			t.Fatal(err)
		}
		s.hold(member, st)
		if err := s.borrow(st, m.Schema); err != nil {
			t.Fatal(err)
		}
		if st.stage.Bytes() != nil && &st.raw[0] != &st.stage.Bytes()[0] {
			t.Error("what is in memory was copied")
		}
		f, err := s.checkIn(st)
		if err != nil {
			t.Fatal(err)
		}
		return owner.Fold{Key: owner.Key{Member: member, Content: st.content}, Weight: samples}, f
	}
	add := func(f owner.Fold) {
		t.Helper()
		if err := s.add(f); err != nil || s.early != nil {
			t.Fatalf("%v, early %v", err, s.early)
		}
	}
	want := func(m *model.Model) {
		t.Helper()
		r, err := s.finish(nil)
		if err != nil || r.Model.ContentID() != m.ContentID() {
			t.Errorf("%v, %v, want %v", r.Model, err, m)
		}
	}
	lost, f := arrive("a", 2, 3, 4)
	if f.norm != 5 || s.early == nil {
		t.Errorf("%+v, early %v", f, s.early)
	}
	s.drop([]owner.Key{lost.Key})
	if _, err := s.finish(nil); err == nil || s.early != nil {
		t.Error("what was dropped is in the sum")
	}
	if _, f = arrive("b", 2, 65, 0); f.problem != verdict.OutOfRange || s.early != nil {
		t.Errorf("%+v, early %v", f, s.early)
	}
	f1, _ := arrive("c", 2, 6, 8)
	add(f1)
	want(vector(t, 7, 9))
	f2, _ := arrive("d", 1, 0, 2)
	s.forget()
	if err := s.begin(base, p); err != nil {
		t.Fatal(err)
	}
	s.drop([]owner.Key{f1.Key, f2.Key})
	f1, _ = arrive("c", 2, 6, 8)
	add(f1)
	want(vector(t, 7, 9))
}
