package round_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/round"
)

// A task says what it waits for in every phase, for whom, and what helps.
func TestWaiting(t *testing.T) {
	t.Parallel()
	cfg := round.Config{Members: filters(t, "+", "d/line"), Rounds: 2, Quorum: 2, StartWhen: 3, DeadlineMS: 60_000}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	m := round.New(cfg, nil, nil, nil)
	now := int64(1000)
	join := func(member string) {
		m.Step(0, round.Join{Member: member, Samples: 1, Counter: 1, Digest: id(member)})
		m.Ready()
	}
	tick := func(ms int64) {
		now += ms
		m.Step(now, round.Tick{})
		m.Ready()
		if o := m.State().Order; m.State().Phase == round.Open {
			m.Step(now, round.Published{Order: o.Stamp})
			m.Ready()
		}
	}
	want := func(what string, w *round.Wait) {
		t.Helper()
		if diff := cmp.Diff(w, m.Waiting(20)); diff != "" {
			t.Errorf("%s: - want, + got:\n%s", what, diff)
		}
	}
	m.Step(now, round.Connected{})
	m.Step(now, round.Started{})
	m.Ready()
	join("a")
	want("one of three, one of them named in the configuration", &round.Wait{
		Why: round.WhySites, Members: []string{"d/line"}, Here: 1, Want: 3, Do: round.DoSites,
	})
	join("b")
	want("a quorum, but not all", &round.Wait{Why: round.WhySites, Members: []string{"d/line"}, Here: 2, Want: 3, Do: round.DoBegin})
	join("c")
	tick(1)
	want("an order is out", &round.Wait{Why: round.WhyUpdates, Members: []string{"a", "b", "c"}, Want: 2, Do: round.DoNothing})

	o := m.State().Order
	deliver := func(member string) {
		m.Step(0, round.Update{Member: member, Round: o.Round, Attempt: o.Attempt, Base: o.Base, Content: id(member), Samples: 1})
		m.Ready()
	}
	deliver("a")
	want("one update is in", &round.Wait{Why: round.WhyUpdates, Members: []string{"b", "c"}, Here: 1, Want: 2, Do: round.DoNothing})
	tick(61_000)
	want("the second attempt", &round.Wait{Why: round.WhyUpdates, Members: []string{"b", "c"}, Here: 1, Want: 2, Do: round.DoDeliver})
	tick(61_000)
	want("two were silent twice", &round.Wait{Why: round.WhySites, Members: []string{"b", "c", "d/line"}, Here: 1, Want: 2, Do: round.DoSites})
	if got := fmt.Sprint(m.Away(20)); got != "[{b 1000 false false} {c 1000 false false}]" {
		t.Errorf("away: %s", got)
	}
	if n := len(m.Away(1)) + len(m.Waiting(1).Members); n != 2 {
		t.Errorf("%d names, limited to one each", n)
	}

	m.Step(now, round.Command{ID: "1", Op: round.OpPause})
	m.Ready()
	want("paused", &round.Wait{Why: round.WhyPaused, Members: []string{}, Here: 1, Want: 2, Do: round.DoResume})
	m.Step(now, round.Command{ID: "2", Op: round.OpStop, AtRound: 1})
	m.Ready()
	want("stopped", &round.Wait{Why: round.WhyStopped, Members: []string{}, Here: 1, Want: 2, Do: round.DoMendStart})
	m.Step(now, round.Command{ID: "3", Op: round.OpResume, Pause: "1"})
	if got := fmt.Sprint(m.Ready()); !strings.Contains(got, "resume: refused, not paused") {
		t.Errorf("a resume of what is stopped: %s", got)
	}
	m.Step(now, round.Command{ID: "4", Op: round.OpStart, AtRound: 1})
	m.Ready()
	want("started", &round.Wait{Why: round.WhySites, Members: []string{"b", "c", "d/line"}, Here: 1, Want: 2, Do: round.DoSites})
}
