package round_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
)

// early commits the open round, with what the members that the canary's filters match have
// measured of its base.
func early(m *round.Machine, now int64, passed bool) {
	rnd := m.State().Round
	for _, who := range []string{"a", "b"} {
		m.Step(now, of(m, who, fmt.Sprint(who, rnd)))
	}
	m.Step(now, round.Committed{Base: id(fmt.Sprint("m", rnd)), Score: &round.Score{
		Metric: "accuracy", Members: 2, Canary: &round.Tried{Passed: passed, Why: "because"},
	}})
}

// canary has a version run on a and below, and returns what the machine says to it.
func canary(m *round.Machine, now int64, c round.Command) string {
	c.ID, c.Op = fmt.Sprint("c", len(m.State().Commands)), round.OpRelease
	if c.To == nil {
		c.To = []string{"a/#"}
	}
	if c.Model.IsZero() {
		c.Model = id(fmt.Sprint("m", c.Version))
	}
	m.Step(now, c)
	return said(m, round.FactCommand)
}

func said(m *round.Machine, kind round.FactKind) (last string) {
	for _, msg := range m.Ready().Send {
		if ev, ok := msg.(round.SendEvent); ok && ev.Fact.Kind == kind {
			last = ev.Fact.Detail
		}
	}
	return last
}

func last(m *round.Machine) round.CanaryEnd {
	if all := m.State().Canaries; len(all) > 0 {
		return all[len(all)-1]
	}
	return round.CanaryEnd{}
}

// A canary holds by evaluations in a row and by time, of which a later version that does not
// pass ends the row alone; one of its own that does not pass ends it.
func TestCanary(t *testing.T) {
	t.Parallel()
	m, _ := seam(t, func(c *round.Config) { c.Rounds, c.Gate = 20, &round.Gate{Hold: 2, HoldMS: 1000, Auto: true} })
	early(m, 1, true)
	if why := canary(m, 1, round.Command{Version: 1, Asked: 1}); why != "release: done" {
		t.Fatal(why)
	}
	early(m, 2, true)
	early(m, 2, false) // version 2
	if k := m.State().Canary; k == nil || k.Passed != 0 {
		t.Fatalf("%+v", k)
	}
	early(m, 2, true)
	early(m, 2, true)
	if wake := m.Ready().Wake; wake != 1001 || released(m) != 0 {
		t.Errorf("it wants to be woken at %d, want 1001", wake)
	}
	m.Step(1001, round.Tick{})
	if e := last(m); released(m) != 1 || m.State().Canary != nil || !e.Released || e.Version != 1 || e.Why != "version 1 is released: it has held on a/#" {
		t.Errorf("%d is released, %+v", released(m), e)
	}
	if why := canary(m, 1001, round.Command{Version: m.State().Version, Asked: 1}); why != "release: done" {
		t.Fatal(why)
	}
	in := m.State().Round
	early(m, 1002, false)
	if e := last(m); released(m) != 1 || m.State().Canary != nil || e.Released || e.Round != in || e.Why != "because" {
		t.Errorf("%d is released, %+v", released(m), e)
	}
}

// What cannot be a canary is refused, and says what would help.
func TestCanaryRefused(t *testing.T) {
	t.Parallel()
	m, _ := seam(t, func(c *round.Config) { c.Rounds = 20 })
	early(m, 1, true)
	if why := canary(m, 1, round.Command{Version: 1, Asked: 1}); !strings.Contains(why, "refused, a canary wants the gate") {
		t.Error(why)
	}
	m, _ = seam(t, func(c *round.Config) { c.Rounds, c.Gate = 20, &round.Gate{Hold: 1, HoldMS: 1000} })
	for range 3 {
		early(m, 1, true)
	}
	for want, c := range map[string]round.Command{
		"version 9 is not kept":                         {Version: 9, Model: id("")},
		"version 3 does not pass at the members":        {Version: 3, Asked: 1, Tried: &round.Tried{Why: "because"}},
		"no member matches c/#, so nobody would":        {Version: 3, To: []string{"c/#"}},
		"version 2 was not measured for the gate: want": {Version: 2, Asked: 1},
	} {
		if strings.HasPrefix(want, "version 9") {
			c.Model = [32]byte{}
			c.ID, c.Op, c.To = "none", round.OpRelease, []string{"a/#"}
			m.Step(1, c)
			if why := said(m, round.FactCommand); !strings.Contains(why, want) {
				t.Errorf("%s, want %s", why, want)
			}
			continue
		}
		if why := canary(m, 1, c); !strings.Contains(why, "refused, "+want) {
			t.Errorf("%s, want %s", why, want)
		}
	}
	if why := canary(m, 1, round.Command{Version: 2, Asked: 1, Tried: &round.Tried{Passed: true}}); why != "release: done" {
		t.Error(why)
	}
	if why := canary(m, 1, round.Command{Version: 3, Asked: 1}); !strings.Contains(why, "version 2 on a/# is a canary already") {
		t.Error(why)
	}
}

// A node ends a canary that it cannot take: this one, and only where it is to run it. An
// operator ends it, too.
func TestCanaryEnds(t *testing.T) {
	t.Parallel()
	m, _ := seam(t, func(c *round.Config) { c.Rounds, c.Gate = 20, &round.Gate{Hold: 1, HoldMS: 1000} })
	early(m, 1, true)
	canary(m, 5, round.Command{Version: 1, Asked: 1})
	for _, other := range []round.Untaken{{Path: "b/gw", Version: 1, BeganMS: 5}, {Path: "a/gw", Version: 2, BeganMS: 5}, {Path: "a/gw", Version: 1, BeganMS: 4}} {
		if m.Step(6, other); m.State().Canary == nil {
			t.Fatalf("%+v ended it", other)
		}
	}
	m.Step(6, round.Untaken{Path: "a/gw", Version: 1, BeganMS: 5, Why: "exit status 7"})
	if e := last(m); m.State().Canary != nil || e.Why != "a/gw cannot take it: exit status 7" {
		t.Errorf("%+v", e)
	}
	canary(m, 7, round.Command{Version: 1, Asked: 1})
	m.Step(8, round.Command{ID: "back", Op: round.OpRollback, Back: true})
	if e := last(m); m.State().Canary != nil || e.Why != "an operator has taken it back" || m.State().Rollback != nil {
		t.Errorf("%+v", e)
	}
}
