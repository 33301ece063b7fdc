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
	arrive := func(member string, samples uint64, memory int, w ...float32) (owner.Fold, found) {
		m := vector(t, w...)
		st := &staged{content: m.ContentID(), samples: samples, schema: m.Schema, stage: s.store.NewStaging(memory, nil).Stage(len(m.Blob))}
		if err := st.stage.WriteAt(m.Blob, 0); err != nil {
			t.Fatal(err)
		}
		s.hold(member, st)
		f, err := s.look(st)
		if err != nil {
			t.Fatal(err)
		}
		return owner.Fold{Key: owner.Key{Member: member, Content: st.content}, Weight: samples}, f
	}
	drop := func(list ...owner.Fold) {
		t.Helper()
		for _, f := range list {
			if err := s.drop([]owner.Key{f.Key}); err != nil || s.early != nil {
				t.Errorf("%v, early %v", err, s.early)
			}
		}
	}
	add := func(f owner.Fold) {
		t.Helper()
		if err := s.add(f, nil); err != nil || s.early != nil {
			t.Fatalf("%v, early %v", err, s.early)
		}
	}
	want := func(m *model.Model) {
		t.Helper()
		r, err := s.finish(nil, nil)
		if err != nil || r.Model.ContentID() != m.ContentID() {
			t.Errorf("%v, %v, want %v", r.Model, err, m)
		}
	}
	for _, memory := range []int{8, 0} { // in memory, in a file
		lost, f := arrive("a", 2, memory, 3, 4)
		if f.norm != 5 || s.early == nil {
			t.Errorf("%+v, early %v", f, s.early)
		}
		drop(lost)
		if r, err := s.finish(nil, nil); err == nil {
			t.Errorf("what was dropped is in the sum: %v", r.Model)
		}
		bad, f := arrive("b", 2, memory, 65, 0)
		if f.problem != verdict.OutOfRange || s.early != nil {
			t.Errorf("%+v, early %v", f, s.early)
		}
		drop(bad)
		c, _ := arrive("c", 2, memory, 6, 8)
		add(c)
		want(vector(t, 7, 9))
		d, _ := arrive("d", 1, memory, 0, 2)
		s.forget()
		if err := s.begin(base, p, 0); err != nil {
			t.Fatal(err)
		}
		drop(c, d)
	}
}
