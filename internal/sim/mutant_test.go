package sim

import (
	"testing"
)

// mutants are the mistakes of a driver, each with what finds it.
var mutants = []struct {
	name string
	bugs Bugs
}{
	{"receipts and orders leave before their transaction", Bugs{SendFirst: true}},
	{"a commit is published before its transaction", Bugs{PublishFirst: true}},
	{"the epoch is not stored", Bugs{EpochForgotten: true}},
	{"an abandoned attempt is not recorded", Bugs{AbandonUnrecorded: true}},
	{"the next model is not synced", Bugs{ModelUnsynced: true}},
	{"a kept update is not held against its hash", Bugs{KeptUnchecked: true}},
	{"who asks about a closed round hears nothing", Bugs{SettledSilent: true}},
	{"need is ignored", Bugs{NeedIgnored: true}},
	{"own topics are not watched", Bugs{TopicsUnwatched: true}},
	{"an entry comes before its bytes", Bugs{EntryFirst: true}},
	{"a stored model is not held against its hash", Bugs{LoadUnchecked: true}},
	{"a site stays subscribed to parts", Bugs{KeepSubscribed: true}},
}

// TestMutants: the checker finds every mistake of a driver.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("a few thousand rounds for each mistake")
	}
	killed := 0
	for _, m := range mutants {
		sum := search(1, 40_000, m.bugs)
		if sum.failed == 0 {
			t.Errorf("survived %d rounds: %s", sum.rounds, m.name)
			continue
		}
		killed++
		out := Run(NewPlan(sum.failed), m.bugs)
		t.Logf("%-50s seed %d: %s: %.90s", m.name, sum.failed, out.Failure.Invariant, out.Failure.What)
	}
	t.Logf("%d of %d driver mutants killed", killed, len(mutants))
}
