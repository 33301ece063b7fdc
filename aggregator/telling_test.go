package aggregator

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
)

// listener hears what a task tells, at a time that the test sets.
type listener struct {
	msgs  []link.Message
	now   int64
	audit func(Audited)
	off   bool
}

func (l *listener) post(m link.Message)       { l.msgs = append(l.msgs, m) }
func (l *listener) nowMS() int64              { return l.now }
func (l *listener) connected() bool           { return !l.off }
func (l *listener) live() bool                { return !l.off }
func (l *listener) audits() func(Audited)     { return l.audit }
func (l *listener) security() string          { return record.Unsigned }
func (l *listener) operatorOf([8]byte) string { return "" }

// topics are those of the messages since the last call, in order.
func (l *listener) topics() (list []string) {
	for _, m := range l.msgs {
		list = append(list, strings.TrimPrefix(m.Topic, "acme/_fl_v1/t/"))
	}
	l.msgs = nil
	return list
}

// subject is a task that is looked at.
type subject struct {
	state   round.State
	members int
}

func (s *subject) roundView(int64) view.Round {
	return view.Round{Round: s.state.Round, Pause: s.state.Pause}
}
func (s *subject) current() *round.State { return &s.state }
func (s *subject) welcomed() int         { return s.members }

func someTelling(t *testing.T) (*telling, *subject) {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	o, err := ns.Owner("", "t")
	if err != nil {
		t.Fatal(err)
	}
	of := &subject{members: 3}
	tell := newTelling(of, &listener{now: 1e6}, "t", o, zerolog.Nop())
	return &tell, of
}

// Up to a hundred members every fact is an event; of more, facts about members
// are counted, and the counts go out with the next view. Commands are always told.
func TestManyMembersAreCounted(t *testing.T) {
	t.Parallel()
	tell, of := someTelling(t)
	l := tell.by.(*listener)
	facts := []round.Fact{{Kind: round.FactAccepted, Member: "a"}, {Kind: round.FactAccepted, Member: "b"}, {Kind: round.FactCommand, Member: "id"}, {Kind: round.FactOpened}}
	for _, f := range facts {
		tell.event(f)
	}
	if got := l.topics(); len(got) != 4 || slices.Contains(got, "round") || tell.viewDue {
		t.Errorf("of three members: %q", got)
	}
	of.members = loud + 1
	for _, f := range facts {
		tell.event(f)
	}
	if got := l.topics(); len(got) != 2 || !tell.viewDue {
		t.Errorf("of many: %q, view due: %v", got, tell.viewDue)
	}
	tell.view(l.now)
	var sum struct{ Counts map[string]int }
	if err := json.Unmarshal(l.msgs[1].Payload, &sum); err != nil || sum.Counts["accepted"] != 2 || len(sum.Counts) != 1 {
		t.Errorf("%s, %v", l.msgs[1].Payload, err)
	}
	l.msgs = nil
	tell.view(l.now)
	if got := l.topics(); !slices.Equal(got, []string{"round"}) || tell.viewDue {
		t.Errorf("told again: %q", got)
	}
}

// Who has the answer to a pause resumes by what the view shows: it is out before
// the answer.
func TestViewBeforeAnswer(t *testing.T) {
	t.Parallel()
	tell, of := someTelling(t)
	l := tell.by.(*listener)
	of.state.Pause = "p1"
	for _, want := range [][]string{{"round", "event"}, {"event"}} {
		tell.event(round.Fact{Kind: round.FactCommand, Member: "id"})
		if got := l.topics(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}

// The numbers of a record are topics of their own, but those that are none; what
// they do not show is said once, and the silent members every time.
func TestRecordIsTold(t *testing.T) {
	t.Parallel()
	tell, _ := someTelling(t)
	l := tell.by.(*listener)
	var said bytes.Buffer
	tell.log = zerolog.New(&said)
	r := record.Sealed{Record: record.Record{
		Round: 4, Attempt: 1, Verdict: record.Committed, Work: "train", OpenedMS: 1000, CommittedMS: 3500,
		Strategy: record.Strategy{Cap: 5},
		Metrics:  record.Metrics{"loss": {Value: 0.5}, "nan": {Value: record.Number(math.NaN())}, "inf": {Value: record.Number(math.Inf(1))}},
		Entries:  record.Entries{{Member: "a", Samples: 9, Weight: 5, Verdict: verdict.Counted}, {Member: "b", Verdict: verdict.Missing}},
	}}
	for range 2 {
		tell.recorded(r)
	}
	got := l.topics()
	slices.Sort(got)
	want := []string{"kpi/bytes_down", "kpi/bytes_up", "kpi/loss", "kpi/round", "kpi/round_seconds", "kpi/sites"}
	if got = slices.Compact(got); !slices.Equal(got, want) || tell.last.Seconds != 2.5 || len(tell.last.Remarks) != 1 {
		t.Errorf("told %q, %+v", got, tell.last)
	}
	if caps, silent := strings.Count(said.String(), "a with 9 rows"), strings.Count(said.String(), `"members":["b"]`); caps != 1 || silent != 2 {
		t.Errorf("the cap is said %d times, silence %d: %s", caps, silent, said.String())
	}
	if s := tell.tally; s.committed != 2 || s.abandoned != 0 || s.seconds != 5 {
		t.Errorf("%+v", s)
	}
	l.off = true
	if tell.recorded(r); len(l.msgs) != 0 {
		t.Errorf("told to nobody: %q", l.topics())
	}
}

// The numbers go out with each record, but once a second at most, and at once when the
// task halts.
func TestNumbersAreTold(t *testing.T) {
	t.Parallel()
	tell, of := someTelling(t)
	l := tell.by.(*listener)
	for i, want := range []struct {
		after int64
		phase round.Phase
		told  int
	}{{0, round.Open, 5}, {999, round.Open, 0}, {1, round.Open, 5}, {5, round.Halted, 5}} {
		l.now += want.after
		of.state.Phase = want.phase
		tell.recorded(record.Sealed{Record: record.Record{Verdict: record.Committed, Work: "train", Round: 1}})
		l.msgs = slices.DeleteFunc(l.msgs, func(m link.Message) bool { return !strings.Contains(m.Topic, "/kpi/") })
		if got := l.topics(); len(got) != want.told {
			t.Errorf("%d: told %q", i, got)
		}
	}
	l.now += 1e6
	if tell.publishKPIs(l.now); len(l.msgs) != 0 || tell.kpisDue() != 0 {
		t.Error("told again without a new record")
	}
}

// The curve goes out every ten seconds at most, but at once when the task halts.
func TestCurveIsTold(t *testing.T) {
	t.Parallel()
	tell, of := someTelling(t)
	l := tell.by.(*listener)
	var c curve
	c.add(point{Round: 1})
	for i, want := range []struct {
		after int64
		phase round.Phase
		told  int
	}{{0, round.Open, 1}, {9_999, round.Open, 0}, {1, round.Open, 1}, {5, round.Halted, 1}} {
		l.now += want.after
		of.state.Phase, tell.curve.due = want.phase, true
		tell.publishCurve(&c, l.now)
		if got := l.topics(); len(got) != want.told {
			t.Errorf("%d: told %q", i, got)
		}
	}
	if tell.publishCurve(&c, l.now+1e6); len(l.msgs) != 0 || tell.curveDue() != 0 {
		t.Error("told again without a new round")
	}
}

// Whoever sends what is refused provokes a line of the log a second.
func TestMayLog(t *testing.T) {
	t.Parallel()
	tell, _ := someTelling(t)
	l := tell.by.(*listener)
	n := 0
	for range 5000 {
		l.now++
		if tell.mayLog() {
			n++
		}
	}
	if n != 5 {
		t.Errorf("%d lines in five seconds", n)
	}
	tell.count(verdict.Malformed)
	if tell.counts.refused["malformed"] != 1 || tell.tally.refused["malformed"] != 1 || !tell.viewDue {
		t.Errorf("%+v, %+v", tell.counts, tell.tally)
	}
}
