package round_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// What is owed twice is owed in order, the newer state alone, and nothing of a
// sum or a journal that was dropped meanwhile.
func TestMerge(t *testing.T) {
	t.Parallel()
	older, newer := &round.State{Round: 1}, &round.State{Round: 2}
	verdict := func(name string) []round.Verdict { return []round.Verdict{{Member: name}} }
	fold := func(name string) []round.Accepted { return []round.Accepted{{Member: name}} }
	send := func(names ...string) (list []round.Message) {
		for _, n := range names {
			list = append(list, round.SendReply{Member: n})
		}
		return list
	}
	place := func(i uint32, path string) round.Place {
		return round.Place{Index: i, Member: round.Member{Path: path}}
	}
	var rd round.Ready
	rd.Merge(round.Ready{Save: round.Save{State: older, Verdicts: verdict("a"), Members: []round.Place{place(0, "a")}}, Fold: fold("a"), Send: send("a"), Wake: 5})
	rd.Merge(round.Ready{Save: round.Save{Verdicts: verdict("b"), Members: []round.Place{place(1, "b")}}, Fold: fold("b"), Send: send("b"), Commit: &round.Commit{Stamp: wire.Stamp{Round: 1}}})
	want := round.Ready{
		Save:   round.Save{State: older, Verdicts: append(verdict("a"), verdict("b")...), Members: []round.Place{place(0, "a"), place(1, "b")}},
		Fold:   append(fold("a"), fold("b")...),
		Send:   send("a", "b"),
		Commit: &round.Commit{Stamp: wire.Stamp{Round: 1}},
	}
	if d := cmp.Diff(want, rd); d != "" {
		t.Error(d)
	}
	rd.Merge(round.Ready{Save: round.Save{State: newer, DropJournal: true, Verdicts: verdict("c")}, Restart: true, Fold: fold("c"), Wake: 7})
	want.Save.State, want.Save.DropJournal, want.Save.Verdicts = newer, true, verdict("c")
	want.Restart, want.Fold, want.Wake = true, fold("c"), 7
	if d := cmp.Diff(want, rd); d != "" {
		t.Error(d)
	}
	rd.Merge(round.Ready{})
	if !rd.Save.DropJournal || !rd.Restart || rd.Commit == nil || rd.Empty() {
		t.Errorf("merged with nothing: %+v", rd)
	}
}
