package round_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
)

// at commits the open round at a moment, with the score of its base and what the gate says.
func at(m *round.Machine, now int64, value float64, passed bool) {
	rnd := m.State().Round
	for _, who := range []string{"a", "b"} {
		m.Step(now, of(m, who, fmt.Sprint(who, rnd)))
	}
	m.Step(now, round.Committed{Base: id(fmt.Sprint("m", rnd)), Score: &round.Score{
		Metric: "accuracy", Value: value, Members: 2, Tried: &round.Tried{Passed: passed, Why: "because"},
	}})
	m.Ready()
}

func released(m *round.Machine) uint64 {
	if r := m.State().Released; r != nil {
		return r.Version
	}
	return 0
}

// What fails the gate is never released, and neither is what has not held: so many
// evaluations in a row, and for so long. Of a row the best one is. A crash in between
// forgets nothing.
func TestGate(t *testing.T) {
	t.Parallel()
	gate := round.Gate{Hold: 2, HoldMS: 1000, Auto: true}
	m, d := seam(t, func(c *round.Config) { c.Rounds, c.Gate = 20, &gate })
	at(m, 1, .1, true) // the first model, which nobody has trained
	at(m, 1, .5, true) // version 1
	at(m, 1, .9, false)
	at(m, 1, .6, true) // version 3, a row begins
	at(m, 1, .7, true)
	at(m, 1, .65, true)
	if s := m.State(); released(m) != 0 || s.Row == nil || s.Row.Version != 4 || s.Row.Passed != 3 {
		t.Fatalf("before the time has gone by %+v is released, the row is %+v", s.Released, s.Row)
	}
	raw, _ := json.Marshal(m.State())
	d.state, d.members = raw, m.Members()
	m = d.machine(t, round.Config{Members: filters(t, "+"), Rounds: 20, Quorum: 2, Base: id("m0"), Gate: &gate})
	m.Step(3, round.Started{Instance: inst("2")})
	m.Step(3, round.Connected{})
	if wake := m.Ready().Wake; wake != 1001 {
		t.Errorf("it wants to be woken at %d, want 1001", wake)
	}
	m.Step(1000, round.Tick{})
	if released(m) != 0 {
		t.Error("released too early")
	}
	m.Step(1001, round.Tick{})
	if s := m.State(); released(m) != 4 || s.Released.Model != id("m4") || s.Row != nil {
		t.Errorf("released is %+v, the row %+v", s.Released, s.Row)
	}
}

// An operator releases what has passed, the best or not, and nothing else, also after a crash;
// what is newer has to pass beside what is released then.
func TestGateByHand(t *testing.T) {
	t.Parallel()
	gate := round.Gate{Hold: 2, Keep: 6}
	m, d := seam(t, func(c *round.Config) { c.Rounds, c.Gate = 40, &gate })
	n := 0
	release := func(version uint64, want string) {
		t.Helper()
		n++
		m.Step(1, round.Command{ID: fmt.Sprint(n), Op: round.OpRelease, Version: version, Model: id(fmt.Sprint("m", version))})
		said := ""
		for _, msg := range m.Ready().Send {
			if ev, ok := msg.(round.SendEvent); ok && ev.Fact.Kind == round.FactCommand {
				said = ev.Fact.Detail
			}
		}
		if said != "release: "+want {
			t.Errorf("release %d: %q, want %q", version, said, want)
		}
	}
	at(m, 1, .1, true) // the first model, which nobody has trained
	release(1, "refused, version 1 has not passed the gate, none has")
	at(m, 1, .5, true) // version 1
	release(1, "refused, version 1 has passed, but its row of evaluations has not held yet (hold, hold_for), none has")
	at(m, 1, .2, false) // a poisoned round: version 2
	release(1, "refused, version 1 has not passed the gate, none has")
	at(m, 1, .6, true) // version 3, a row
	at(m, 1, .7, true)
	if s := m.State(); released(m) != 0 || s.Ready == nil || s.Ready.Version != 4 {
		t.Fatalf("%+v is released, %+v waits", s.Released, s.Ready)
	}
	at(m, 1, .65, true)
	at(m, 1, .2, false)
	at(m, 1, .9, true) // version 7, a row that does not hold
	release(7, "refused, version 7 has passed, but its row of evaluations has not held yet (hold, hold_for), versions 3, 4, 5 have, of which 4 is the best")
	at(m, 1, .2, false)
	raw, _ := json.Marshal(m.State())
	d.state, d.members = raw, m.Members()
	m = d.machine(t, round.Config{Members: filters(t, "+"), Rounds: 40, Quorum: 2, Base: id("m0"), Gate: &gate})
	m.Step(1, round.Started{Instance: inst("2")})
	m.Step(1, round.Connected{})
	m.Ready()
	release(6, "refused, version 6 has not passed the gate, versions 3, 4, 5 have, of which 4 is the best")
	release(3, "done")
	release(3, "refused, released already")
	release(0, "refused, version 0 is older than 3, which is released: rollback makes a new version of it")
	release(5, "refused, version 5 has not passed the gate beside version 3, which is released, none has")
	if s := m.State(); released(m) != 3 || s.Ready != nil || len(s.Passed)+len(s.InRow) > 0 {
		t.Errorf("%+v is released, %+v waits, %v have passed", s.Released, s.Ready, s.Passed)
	}
}

// Of versions that have passed so many are remembered as are kept.
func TestPassedIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keep, hold, first, rows int }{{4, 1, 26, 5}, {4, 100, 26, 5}, {-1, 1, 1, 30}} {
		m, _ := seam(t, func(cfg *round.Config) { cfg.Rounds, cfg.Gate = 200, &round.Gate{Hold: c.hold, Keep: c.keep} })
		for range 31 {
			at(m, 1, .5, true)
		}
		s := m.State()
		if got := slices.Concat(s.Passed, s.InRow); len(got) != c.rows || got[0] != uint64(c.first) || got[len(got)-1] != 30 {
			t.Errorf("keep %d, hold %d: %v", c.keep, c.hold, got)
		}
	}
	m, _ := seam(t, func(cfg *round.Config) { cfg.Rounds, cfg.Gate = 200, &round.Gate{Hold: 1, Keep: -1} })
	for range 121 {
		at(m, 1, .5, true)
	}
	if got := m.State().Passed; len(got) != 100 || got[0] != 21 {
		t.Errorf("%d of all: %v", len(got), got)
	}
	m, _ = seam(t, func(cfg *round.Config) { cfg.Rounds, cfg.Gate = 500, &round.Gate{Hold: 1, Keep: 150} })
	for i := range 200 { // one of ten
		at(m, 1, .5, i%10 == 0)
	}
	first := uint64(0)
	if got := m.State().Passed; len(got) > 0 {
		first = got[0]
	}
	if want := m.State().Version - 150; first < want-10 || first > want+10 {
		t.Errorf("the first of 150 versions on the disk that has passed is %d of %v, version %d", first, m.State().Passed, m.State().Version)
	}
}

// What an operator goes back to is asked for until it counts: a crash before the round that
// does it is committed forgets nothing, and what was accepted in the open round lapses.
func TestRollback(t *testing.T) {
	t.Parallel()
	m, d := seam(t, func(c *round.Config) { c.Rounds = 20 })
	for range 3 {
		lap(m, &round.Score{Metric: "accuracy", Value: float64(m.State().Round), Members: 2})
	}
	m.Step(1, of(m, "a", "a4"))
	m.Step(1, round.Command{ID: "r", Op: round.OpRollback, Version: 1, Model: id("m1")})
	rd := m.Ready()
	if c := rd.Commit; c == nil || c.Work != round.WorkRollback || c.To == nil || c.To.Version != 1 || len(c.Accepted) != 0 || len(rd.Save.Records) != 1 || rd.Save.Records[0].Entries[0].Verdict.String() != "lapsed" {
		t.Fatalf("%+v", rd)
	}
	m.Step(1, round.Command{ID: "again", Op: round.OpRollback, Version: 2, Model: id("m2")})
	if s := m.State(); s.Rollback.Version != 1 || s.Best != nil {
		t.Errorf("while it closes: back to %+v, the best %+v", s.Rollback, s.Best)
	}
	raw, _ := json.Marshal(m.State())
	d.state, d.members = raw, m.Members()
	m = d.machine(t, round.Config{Members: filters(t, "+"), Rounds: 20, Quorum: 2, Base: id("m0")})
	m.Step(3, round.Started{Instance: inst("2")})
	m.Step(3, round.Connected{})
	if c := m.Ready().Commit; c == nil || c.Work != round.WorkRollback || c.To.Version != 1 {
		t.Fatalf("after a crash: %+v", c)
	}
	m.Step(3, round.Committed{Base: id("m1")})
	if s := m.State(); s.Version != 4 || s.Base != id("m1") || s.Trained != 3 || s.Rollback != nil || works(m) != "train" {
		t.Errorf("then: %+v, order of %s", s, works(m))
	}
}
