package round_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/round"
)

// What is to be saved twice is saved in order, the newer state alone, and nothing of
// a journal that was dropped meanwhile.
func TestMerge(t *testing.T) {
	t.Parallel()
	older, newer := &round.State{Round: 1}, &round.State{Round: 2}
	verdict := func(name string) []round.Verdict { return []round.Verdict{{Member: name}} }
	place := func(i uint32, path string) []round.Place {
		return []round.Place{{Index: i, Member: round.Member{Path: path}}}
	}
	var s round.Save
	s.Merge(round.Save{State: older, Verdicts: verdict("a"), Members: place(0, "a")})
	s.Merge(round.Save{Verdicts: verdict("b"), Members: place(1, "b"), Records: []round.Record{{Base: id("m")}}})
	want := round.Save{
		State: older, Verdicts: append(verdict("a"), verdict("b")...), Members: append(place(0, "a"), place(1, "b")...),
		Records: []round.Record{{Base: id("m")}},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
	s.Merge(round.Save{State: newer, DropJournal: true, Verdicts: verdict("c")})
	want.State, want.DropJournal, want.Verdicts = newer, true, verdict("c")
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
	s.Merge(round.Save{})
	if !s.DropJournal || s.Empty() {
		t.Errorf("merged with nothing: %+v", s)
	}
}
