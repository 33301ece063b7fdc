package record

import (
	"strings"
	"testing"
)

// What a record says of canaries is bounded, and of versions before it.
func TestCanaries(t *testing.T) {
	t.Parallel()
	good := Canary{Version: 3, To: []string{"a/#"}, State: CanaryStopped, Why: "because"}
	r := Record{Round: 4, Verdict: Committed, Canaries: []Canary{good}}
	if err := r.checkCanaries(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(c *Canary){
		"has version 4": func(c *Canary) { c.Version = 4 },
		"0 filters":     func(c *Canary) { c.To = nil },
		"state is":      func(c *Canary) { c.State = "flies" },
		"reason is no":  func(c *Canary) { c.Why = "" },
		"filter is no":  func(c *Canary) { c.To = []string{strings.Repeat("a", 201)} },
	} {
		c := good
		change(&c)
		r.Canaries = []Canary{c}
		if err := r.checkCanaries(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if r.Verdict, r.Canaries = Abandoned, []Canary{good}; r.checkCanaries() == nil {
		t.Error("an abandoned attempt has a canary")
	}
}
