package round

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Canary is a version that the nodes run which some filters match, before it is released
// to all. It is not changed.
type Canary struct {
	Version uint64     `json:"version"`
	Model   model.Hash `json:"model"`
	To      []string   `json:"to"` // filters of paths, ascending
	BeganMS int64      `json:"began_ms"`
	Passed  int        `json:"passed"`         // evaluations in a row that pass, at the members that match
	Held    bool       `json:"held,omitempty"` // long enough; it waits for an operator
}

// CanaryEnd is what came of one.
type CanaryEnd struct {
	Version  uint64   `json:"version"`
	To       []string `json:"to"`
	BeganMS  int64    `json:"began_ms"`
	EndedMS  int64    `json:"ended_ms"`
	Round    uint64   `json:"round"` // whose record names it
	Released bool     `json:"released"`
	Why      string   `json:"why"`
}

// maxCanaries is how many that have ended are remembered.
const maxCanaries = 16

// Matches reports whether a node is to run it.
func (c *Canary) Matches(path string) bool {
	return c != nil && slices.ContainsFunc(c.To, func(f string) bool { return topics.MatchPath(f, path) })
}

func (c *Canary) text() string {
	return fmt.Sprintf("version %d on %s", c.Version, strings.Join(c.To, ", "))
}

// doCanary has some nodes run a version. What the members that match have measured of it
// must speak for it, or is to come; one that has passed the gate needs none.
func (m *Machine) doCanary(c Command) string {
	r, passed := m.s.Released, m.cfg.Gate != nil && m.hasPassed(c.Version)
	switch {
	case m.cfg.Gate == nil:
		return "a canary wants the gate (release of the task in the aggregator's file), which says for how long it has to hold"
	case m.s.Canary != nil:
		return fmt.Sprintf("%s is a canary already: rollback without a version takes it back", m.s.Canary.text())
	case r != nil && c.Version <= r.Version:
		return fmt.Sprintf("version %d is not newer than %d, which is released", c.Version, r.Version)
	case c.Model.IsZero():
		return fmt.Sprintf("version %d is not kept", c.Version)
	case c.Tried != nil && !c.Tried.Passed:
		return fmt.Sprintf("version %d does not pass at the members that match: %s", c.Version, c.Tried.Why)
	case passed || c.Tried != nil:
	case c.Asked == 0:
		return fmt.Sprintf("no member matches %s, so nobody would measure it: want a filter that members match, too, such as berlin/#, or a version that has passed the gate", strings.Join(c.To, ", "))
	case c.Version != m.s.Version:
		return fmt.Sprintf("version %d was not measured for the gate: want the newest one, %d, which the next round measures, or one that has passed", c.Version, m.s.Version)
	}
	k := Canary{Version: c.Version, Model: c.Model, To: c.To, BeganMS: m.now}
	if c.Tried != nil {
		k.Passed = 1
	}
	if passed {
		k.Passed = max(k.Passed, m.cfg.Gate.Hold)
	}
	m.s.Canary, m.dirty = &k, true
	m.tell(Fact{Kind: FactCanary, Content: k.Model, Detail: k.text() + ", by an operator"})
	m.ripenCanary()
	return ""
}

// tryCanary takes in what the members that match have measured in a round: of the canary
// itself it decides, of a later version it ends the row.
func (m *Machine) tryCanary(s *Score) {
	k := m.s.Canary
	if k == nil || s == nil || s.Canary == nil || m.s.Version < k.Version {
		return
	}
	if !s.Canary.Passed && m.s.Version == k.Version {
		m.endCanaryIn(m.s.Round, false, s.Canary.Why)
		return
	}
	next := *k
	next.Passed++
	if !s.Canary.Passed {
		next.Passed = 0
	}
	m.s.Canary, m.dirty = &next, true
	m.ripenCanary()
}

// untaken ends a canary that a node which matches could not take.
func (m *Machine) untaken(ev Untaken) {
	if k := m.s.Canary; k.Matches(ev.Path) && ev.Version == k.Version && ev.BeganMS == k.BeganMS {
		m.endCanary(false, fmt.Sprintf("%s cannot take it: %s", ev.Path, ev.Why))
	}
}

// ripenCanary releases what has held, or has an operator do so.
func (m *Machine) ripenCanary() {
	k := m.s.Canary
	if k == nil || k.Held || m.cfg.Gate == nil || m.pending() != "" {
		return
	}
	if m.cfg.Gate.Auto {
		m.release(Released{k.Version, k.Model}, "it has held on "+strings.Join(k.To, ", "))
		return
	}
	next := *k
	next.Held = true
	m.s.Canary, m.dirty = &next, true
	m.tell(Fact{Kind: FactCanary, Content: k.Model, Detail: k.text() + fmt.Sprintf(" has held, and waits for an operator: release %d", k.Version)})
}

// pending says what the canary has not shown yet; "" if nothing.
func (m *Machine) pending() string {
	k := m.s.Canary
	if k.Passed < m.cfg.Gate.Hold {
		return fmt.Sprintf("%d of %d evaluations have passed", k.Passed, m.cfg.Gate.Hold)
	}
	if left := k.BeganMS + m.cfg.Gate.HoldMS - m.now; left > 0 {
		return fmt.Sprintf("%d s of hold_for are left", (left+999)/1000)
	}
	return ""
}

func (m *Machine) canaryHeld(version uint64) bool {
	k := m.s.Canary
	return k != nil && k.Held && k.Version == version
}

// canaryRipensAt is when time alone lets it hold; 0: never.
func (m *Machine) canaryRipensAt() int64 {
	k := m.s.Canary
	if k == nil || k.Held || m.cfg.Gate == nil || k.Passed < m.cfg.Gate.Hold {
		return 0
	}
	return k.BeganMS + m.cfg.Gate.HoldMS
}

// endCanary has the nodes that run it obey what is released again. The record of a round
// that closes is made already: the next one names what came of it.
func (m *Machine) endCanary(released bool, why string) {
	in := m.s.Round
	if m.s.Phase == Closing {
		in++
	}
	m.endCanaryIn(in, released, why)
}

func (m *Machine) endCanaryIn(round uint64, released bool, why string) {
	k := m.s.Canary
	if k == nil {
		return
	}
	all := append(slices.Clone(m.s.Canaries), CanaryEnd{k.Version, k.To, k.BeganMS, m.now, round, released, why})
	m.s.Canary, m.s.Canaries, m.dirty = nil, all[max(len(all)-maxCanaries, 0):], true
	what := "stops"
	if released {
		what = "has ended"
	}
	m.tell(Fact{Kind: FactCanary, Content: k.Model, Detail: fmt.Sprintf("%s %s: %s", k.text(), what, why)})
}
