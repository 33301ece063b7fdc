package site

import "testing"

// An aggregator is known by the process that was heard last, at whatever address.
func TestKnowsTheAggregator(t *testing.T) {
	t.Parallel()
	s := &site{}
	state := func(instance string) []byte {
		return []byte(`{"schema":"` + StateSchema + `","online":true,"instance":"` + instance + `","timestamp_ms":1}`)
	}
	if s.knows(state("a")) {
		t.Error("nobody was heard, and somebody is known")
	}
	heard := "a"
	s.lastOwner.Store(&heard)
	for text, want := range map[string]bool{string(state("a")): true, string(state("b")): false, string(state("")): false, "{": false} {
		if got := s.knows([]byte(text)); got != want {
			t.Errorf("%s: known %t, want %t", text, got, want)
		}
	}
	none := ""
	s.lastOwner.Store(&none)
	if s.knows(state("")) {
		t.Error("no instance is known")
	}
}
