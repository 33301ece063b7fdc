package round

import (
	"slices"
	"strings"
)

// Why says what a task waits for.
type Why string

// What a task waits for.
const (
	WhySites   Why = "sites"   // too few members are here for an order
	WhyUpdates Why = "updates" // members that were asked have not delivered
	WhyAgain   Why = "again"   // likewise, and the broker or the aggregator was away meanwhile: who drives the machine knows
	WhyTime    Why = "time"    // the next round of statistics is not due
	WhyStore   Why = "store"   // the round is averaged and stored
	WhyBackoff Why = "backoff" // attempts in a row came to nothing: the next one is put off
	WhyPaused  Why = "paused"  // an operator's resume
	WhyStopped Why = "stopped" // an operator's start, once the reason is mended
)

// Do says what somebody can do about it.
type Do string

// What somebody can do.
const (
	DoNothing   Do = "nothing"                // it goes on by itself
	DoSites     Do = "start_or_lower_quorum"  // start the members, or lower the quorum
	DoBegin     Do = "start_or_begin_without" // start the members, or send start: the quorum is here
	DoDeliver   Do = "look_at_members"        // why those members do not deliver
	DoResume    Do = "resume"                 // send resume
	DoMendStart Do = "mend_and_start"         // mend the reason, then send start
)

// Wait is what a task waits for: who, and what to do. It holds no durations.
type Wait struct {
	Why     Why      `json:"why"`
	Members []string `json:"members"`            // who is waited for, as far as they are known; the first of them
	Here    int      `json:"here"`               // members here, or updates accepted
	Want    int      `json:"want"`               // as many are needed
	SinceMS int64    `json:"since_ms"`           // when this waiting began, or the aggregator did
	UntilMS int64    `json:"until_ms,omitempty"` // when it ends by itself, where that is known
	Do      Do       `json:"do"`
}

// Away is a member that is not asked, since it left, said nothing, or is excluded.
type Away struct {
	Member   string `json:"member"`
	SinceMS  int64  `json:"since_ms,omitempty"` // when it was last heard from; left out where that was before the start
	Left     bool   `json:"left,omitempty"`     // it said goodbye to the task
	Excluded bool   `json:"excluded,omitempty"` // by an operator
}

// Waiting says what the task waits for, but since when; nil when it has ended.
// At most limit members are named.
func (m *Machine) Waiting(limit int) *Wait {
	w := &Wait{Do: DoNothing, Want: m.cfg.Quorum, Here: m.accepted, Members: []string{}}
	name := func(path string) {
		if len(w.Members) < limit {
			w.Members = append(w.Members, path)
		}
	}
	switch m.s.Phase {
	case Open:
		w.Why = WhyUpdates
		for _, i := range m.s.Cohort {
			if !m.slots[i].done() {
				name(m.members[i].Path)
			}
		}
		if m.s.Abandons > 0 {
			w.Do = DoDeliver
		}
	case Closing:
		w.Why = WhyStore
	case Waiting:
		w.Why, w.Do, w.UntilMS = WhyBackoff, DoDeliver, m.waitUntil
		for _, i := range m.s.Cohort {
			if !m.slots[i].kept() {
				name(m.members[i].Path)
			}
		}
	case Halted:
		switch {
		case m.s.Finished:
			return nil
		case m.s.Stopped:
			w.Why, w.Do = WhyStopped, DoMendStart
		default:
			w.Why, w.Do = WhyPaused, DoResume
		}
	default:
		m.waitingForSites(w, name)
	}
	return w
}

func (m *Machine) waitingForSites(w *Wait, name func(string)) {
	if m.notDue() {
		w.Why, w.UntilMS = WhyTime, m.s.NotBefore
		return
	}
	w.Why, w.Do = WhySites, DoSites
	w.Here = len(m.eligible())
	begun, need := m.need()
	w.Want = need
	if !begun && w.Here >= m.cfg.Quorum {
		w.Do = DoBegin
	}
	missing := m.unseen()
	for _, a := range m.Away(len(m.members)) {
		missing = append(missing, a.Member)
	}
	slices.Sort(missing)
	for _, p := range missing {
		name(p)
	}
}

// unseen are members that are listed by their whole path and never joined.
func (m *Machine) unseen() (out []string) {
	for _, f := range m.cfg.Members {
		if p := f.String(); !strings.Contains(p, "+") && !m.Known(p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Away lists those who were welcomed and are not asked, in path order:
// they left, were silent for too long, or are excluded. At most limit are named.
func (m *Machine) Away(limit int) []Away {
	var out []Away
	for _, i := range m.sorted {
		mem := &m.members[i]
		excluded := m.excluded[mem.Path]
		gone := m.allowed[i] && (mem.Left || mem.Silent >= m.patience(i) || excluded)
		if gone && !m.slots[i].kept() && len(out) < limit {
			out = append(out, Away{Member: mem.Path, SinceMS: mem.AtMS, Left: mem.Left, Excluded: excluded})
		}
	}
	return out
}
