package round

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// Gate decides which versions are released (algorithms, section 11; R-54).
type Gate struct {
	Hold   int   // evaluations in a row that pass; at least 1
	HoldMS int64 // and so long after the first of them
	Auto   bool  // what has held is released at once; else an operator does it
}

// Tried is what came of holding the round's base against the released version, on the same
// rows.
type Tried struct {
	Passed bool
	Why    string // in words
}

// Candidate is a version that has passed.
type Candidate struct {
	Version uint64     `json:"version"`
	Model   model.Hash `json:"model"`
	Metric  string     `json:"metric"`
	Value   float64    `json:"value"`
	Passed  int        `json:"passed"`   // evaluations in a row
	SinceMS int64      `json:"since_ms"` // the first of them
}

// Released is the version that is approved for the lines. It is not changed.
type Released struct {
	Version uint64     `json:"version"`
	Model   model.Hash `json:"model"`
}

// try takes in what the gate said of the round's base. What decides nothing changes
// nothing.
func (m *Machine) try(s *Score) {
	if m.cfg.Gate == nil || !m.counts(s) || s.Tried == nil {
		return
	}
	m.tell(Fact{Kind: FactGate, Content: m.s.Base, Detail: fmt.Sprintf("version %d: %s", m.s.Version, s.Tried.Why)})
	if !s.Tried.Passed {
		m.s.Row = nil
		return
	}
	row := Candidate{Version: m.s.Version, Model: m.s.Base, Metric: s.Metric, Value: s.Value, Passed: 1, SinceMS: m.now}
	if had := m.s.Row; had != nil && had.Metric == s.Metric {
		if row.Passed, row.SinceMS = had.Passed+1, had.SinceMS; m.decides(s) && !s.beats(had.Value, 0) {
			row.Version, row.Model, row.Value = had.Version, had.Model, had.Value
		}
	}
	m.s.Row = &row
	m.ripen()
}

// ripen releases, or has ready for an operator, the best version of a row that has held.
func (m *Machine) ripen() {
	row := m.s.Row
	if m.cfg.Gate == nil || row == nil || row.Passed < m.cfg.Gate.Hold || m.now < m.ripeAt() {
		return
	}
	if m.cfg.Gate.Auto {
		m.release(Released{row.Version, row.Model}, fmt.Sprintf("%s %v has held", row.Metric, row.Value))
		return
	}
	if m.s.Ready != nil && m.s.Ready.Version == row.Version {
		return
	}
	m.s.Ready, m.dirty = row, true
	m.tell(Fact{Kind: FactCandidate, Content: row.Model, Detail: fmt.Sprintf("version %d, %s %v, waits for a release by an operator", row.Version, row.Metric, row.Value)})
}

// ripeAt is when a row has held for long enough.
func (m *Machine) ripeAt() int64 { return m.s.Row.SinceMS + m.cfg.Gate.HoldMS }

// ripensAt is when time alone lets a row ripen; 0: never.
func (m *Machine) ripensAt() int64 {
	if m.cfg.Gate == nil || m.s.Row == nil || m.s.Row.Passed < m.cfg.Gate.Hold || m.now >= m.ripeAt() {
		return 0
	}
	return m.ripeAt()
}

// release has a version on the lines from now on.
func (m *Machine) release(to Released, why string) {
	m.s.Row, m.s.Ready = nil, nil
	if k := m.s.Canary; k != nil && k.Version <= to.Version {
		m.endCanary(k.Version == to.Version, fmt.Sprintf("version %d is released: %s", to.Version, why))
	}
	if m.dirty = true; m.s.Released != nil && *m.s.Released == to {
		return
	}
	m.s.Released = &to
	m.tell(Fact{Kind: FactReleased, Content: to.Model, Detail: fmt.Sprintf("version %d, %s", to.Version, why)})
}

// releaseEnd releases what a task without a gate ends with: the best version or, where
// none was measured, the last one.
func (m *Machine) releaseEnd() {
	if m.cfg.Gate != nil || m.cfg.Survey {
		return
	}
	to, why := Released{m.s.Version, m.s.Base}, "the last, as none was measured"
	if r := m.s.Released; r != nil && m.s.Best != nil && m.s.Best.Version < r.Version { // an operator has released a later one
		return
	}
	if b := m.s.Best; b != nil {
		to, why = Released{b.Version, b.Model}, fmt.Sprintf("the best by %s, %v", b.Metric, b.Value)
	}
	m.release(to, why)
}

// doRelease is an operator's: with a gate of what has passed, else of any version that the
// driver has.
func (m *Machine) doRelease(c Command) string {
	if len(c.To) > 0 {
		return m.doCanary(c)
	}
	switch g, r := m.cfg.Gate, m.s.Released; {
	case m.cfg.Survey:
		return "the task gathers statistics, which no line uses"
	case r != nil && r.Version == c.Version:
		return "released already"
	case r != nil && c.Version < r.Version:
		return fmt.Sprintf("version %d is older than %d, which is released: rollback makes a new version of it", c.Version, r.Version)
	case g != nil && m.canaryHeld(c.Version): // what some nodes have shown
	case g != nil && (m.s.Ready == nil || m.s.Ready.Version != c.Version):
		if k := m.s.Canary; k != nil && k.Version == c.Version {
			return fmt.Sprintf("version %d is a canary that has not held yet: %s", c.Version, m.pending())
		}
		if m.s.Ready == nil {
			return fmt.Sprintf("version %d has not passed the gate, none has", c.Version)
		}
		return fmt.Sprintf("version %d is not the candidate of the gate, version %d is", c.Version, m.s.Ready.Version)
	}
	if c.Model.IsZero() {
		return fmt.Sprintf("version %d is not kept", c.Version)
	}
	m.release(Released{c.Version, c.Model}, "by an operator")
	return ""
}
