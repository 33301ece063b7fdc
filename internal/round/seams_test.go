package round_test

import (
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// seam is a machine with two members in an open attempt.
func seam(t *testing.T, change func(*round.Config)) (*round.Machine, *disk) {
	t.Helper()
	cfg := round.Config{Members: filters(t, "+"), Rounds: 9, Quorum: 2, Base: id("m0")}
	if change != nil {
		change(&cfg)
	}
	m, d := round.New(cfg, nil, nil, nil), &disk{}
	for _, ev := range []round.Event{round.Started{}, round.Connected{}, joins("a"), joins("b")} {
		m.Step(1, ev)
	}
	d.save(t, m.Ready().Save)
	return m, d
}

func joins(who string) round.Join {
	return round.Join{Member: who, Samples: 5, Counter: 1, Digest: id(who), Instance: inst(who), Disk: inst(who)}
}

func of(m *round.Machine, who, content string) round.Update {
	s := m.State()
	return round.Update{Member: who, Round: s.Round, Attempt: s.Attempt, Base: s.Base, Content: id(content), Samples: 5}
}

// A machine inside an attempt, which must not start over, has it go on after a crash:
// the same round, attempt and cohort under the next epoch.
func TestSameAttemptAfterACrash(t *testing.T) {
	t.Parallel()
	m, d := seam(t, nil)
	m.Step(2, of(m, "a", "A1"))
	d.save(t, m.Ready().Save)
	before := m.State()
	inside := func(at wire.Stamp) bool { return at == before.Stamp() } // the dummy: it holds this attempt
	m = d.machine(t, round.Config{Members: filters(t, "+"), Rounds: 9, Quorum: 2, Base: id("m0")})
	m.Step(3, round.Started{Instance: inst("2"), Same: inside(m.State().Stamp())})
	after := m.State()
	want := wire.Stamp{Epoch: before.Epoch + 1, Round: before.Round, Attempt: before.Attempt}
	if after.Stamp() != want || after.Order.Stamp != want || after.Order.CohortHash != before.Order.CohortHash || after.Order.Instance != inst("2") {
		t.Errorf("order %+v after %+v", after.Order, before.Order)
	}
	if rd := m.Ready(); len(rd.Save.Records) != 0 || !rd.Restart {
		t.Errorf("it was given up, or its sum is not begun: %+v", rd)
	}
	m.Step(4, round.Connected{})
	m.Step(4, of(m, "a", "A1"))
	m.Step(4, of(m, "b", "B1"))
	if rd := m.Ready(); rd.Commit == nil || rd.Commit.Stamp != want || len(rd.Commit.Accepted) != 2 {
		t.Errorf("it does not end: %+v", rd.Commit)
	}
}

// The roster is an event: who is not in it any more is refused, and asked no more.
func TestRoster(t *testing.T) {
	t.Parallel()
	m, _ := seam(t, nil)
	m.Step(2, round.Roster{Members: filters(t, "b", "c")})
	m.Step(2, of(m, "a", "A1"))
	rd := m.Ready()
	if r, ok := rd.Send[0].(round.SendReply); !ok || r.Reply.(wire.RefusalReply).Reason != "unknown_member" {
		t.Errorf("who is struck off: %+v", rd.Send)
	}
	m.Step(3, joins("c"))
	m.Step(3, joins("d"))
	if m.Known("a") || !m.Known("b") || !m.Known("c") || m.Known("d") {
		t.Error("members are not those of the roster")
	}
}
