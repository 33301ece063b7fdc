package watch

import (
	"cmp"
	"strconv"
	"strings"
)

// Standing is how a site is doing, in one word.
type Standing string

// The standings, from good to bad.
const (
	Done   Standing = "done"   // its part in this round is in
	Busy   Standing = "busy"   // it trains, evaluates, sends or fetches the model
	Idle   Standing = "idle"   // nothing is asked of it now
	Late   Standing = "late"   // the round waits for it longer than for the others
	Failed Standing = "failed" // it or the aggregator says that it cannot, and why
	Lost   Standing = "lost"   // offline, or not heard of
)

// Standings lists them, worst first.
var Standings = []Standing{Lost, Failed, Late, Busy, Idle, Done}

// judge finds a site's standing and the reason, and numbers the change if there
// is one.
func (f *Federation) judge(s *site) {
	v := &s.view
	was := *v
	v.Online = !s.node.known || s.node.online
	v.Agent, v.Security = s.node.agent, s.node.security
	v.Standing, v.Why, v.SinceMS = f.standing(s)
	if s.said.personal != "" && (v.Standing == Done || v.Standing == Idle) {
		v.Why += "; " + s.said.personal
	}
	if v.Standing == Done && v.Counted < s.task.view.Round {
		v.Counted = s.task.view.Round
	}
	if s.verdict.kind == "accepted" {
		v.Counted = max(v.Counted, s.verdict.round)
	}
	if v.Standing != was.Standing || v.Why != was.Why || v.SinceMS != was.SinceMS || v.Counted != was.Counted ||
		v.Online != was.Online || v.Agent != was.Agent || v.Security != was.Security || s.seq == 0 {
		s.seq = f.touch()
		s.task.seq = s.seq // its counts have changed
	}
}

// silence is how long a site may say nothing: three heartbeats (max(30 s, 10 ms
// a member), +-20 %).
func (t *task) silence() int64 {
	beat := max(30_000, 10*int64(min(max(t.view.Members, 0), 1_000_000)))
	return 3 * beat * 6 / 5
}

func (f *Federation) standing(s *site) (Standing, string, int64) {
	t, now := s.task, f.at()
	open := t.view.Phase == "open"
	mine := s.verdict.round == t.view.Round && (s.verdict.kind == "accepted" || s.verdict.attempt == t.view.Attempt)
	dropped, since := t.dropped(s.view.Path)
	switch {
	case t.view.Reason == "finished" && s.view.Round+1 >= t.view.Round && s.said.error == "":
		return Done, "it ended with the task", 0
	case s.node.known && !s.node.online:
		return Lost, "offline", s.node.since
	case dropped:
		return Lost, "not responding", since
	case s.heard == 0:
		return Idle, "no status yet", 0
	case now-max(s.heard, f.upSince()) > t.silence():
		return Lost, "nothing heard", s.heard
	case open && mine && s.verdict.kind == "accepted":
		return Done, "accepted", 0
	case mine && (open || s.said.phase == "error") && s.verdict.kind != "" && s.verdict.kind != "accepted":
		return Failed, s.verdict.why, 0
	case s.said.phase == "error":
		return Failed, cmp.Or(s.said.error, s.said.message, "error"), 0
	case s.said.error != "":
		return Failed, s.said.error, 0
	case s.said.phase == "idle", s.said.phase == "joining":
		return Idle, s.doing(), 0
	case s.said.message == "not in this round":
		return Idle, s.said.message, 0
	case s.through():
		if open && s.view.Round == t.view.Round {
			return Done, cmp.Or(s.said.message, "done"), 0
		}
		if !open {
			return Idle, s.doing(), 0
		}
	}
	if open && f.overdue(t) && !s.behind() {
		return Late, s.lateness(), 0
	}
	return Busy, s.doing(), 0
}

// through reports whether a site waits for nothing but the round's end.
func (s *site) through() bool {
	return s.said.phase == "waiting" && s.said.message != "for the model" && s.said.message != "for the trainer"
}

// behind reports whether a site trains for an earlier round, whose update counts in a later
// one: no round waits for it.
func (s *site) behind() bool {
	return s.said.phase == "training" && strings.HasPrefix(s.said.message, "train for round ")
}

// overdue reports whether who has not delivered is late: half the deadline has
// passed, or twice the time that half of the cohort needed.
func (f *Federation) overdue(t *task) bool {
	v := &t.view
	if v.OpenedMS == 0 {
		return false
	}
	passed := f.at() - v.OpenedMS
	return passed > (v.DeadlineMS-v.OpenedMS)/2 || t.half > 0 && passed > max(2*(t.half-v.OpenedMS), 5000)
}

// dropped reports whether the aggregator does not ask a member any more since it
// was silent, and since when it was.
func (t *task) dropped(path string) (bool, int64) {
	for _, a := range t.said.Away {
		if a.Member == path && !a.Left && !a.Excluded {
			return true, t.here(a.SinceMS)
		}
	}
	return false, 0
}

// at is the time until which things were seen: while the broker is gone nobody
// can be called late or lost.
func (f *Federation) at() int64 {
	if !f.link.Up && f.link.SinceMS > 0 {
		return f.link.SinceMS
	}
	return f.now
}

// upSince is when the connection came up, 0 without one.
func (f *Federation) upSince() int64 {
	if f.link.Up {
		return f.link.SinceMS
	}
	return 0
}

// doing says what a site does, as a person would.
func (s *site) doing() string {
	switch {
	case s.said.phase == "waiting" && s.said.message == "for the model":
		return "fetching the model"
	case s.said.message == "", s.said.phase == s.said.message:
		return cmp.Or(s.said.phase, "unknown")
	case s.said.phase == "training" && s.said.message == "train":
		return "training"
	case s.behind():
		return "training" + strings.TrimPrefix(s.said.message, "train")
	}
	return s.said.phase + ", " + s.said.message
}

// lateness says why the round still waits for a site.
func (s *site) lateness() string {
	if r := s.view.Round; r < s.task.view.Round {
		return "still at round " + strconv.FormatUint(r, 10) + ": " + s.doing()
	}
	return "still " + s.doing()
}
