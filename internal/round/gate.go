package round

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/model"
)

// Gate decides which versions are released (algorithms, section 11; R-54).
type Gate struct {
	Hold   int   // evaluations in a row that pass; at least 1
	HoldMS int64 // and so long after the first of them
	Auto   bool  // what has held is released at once; else an operator does it
	Keep   int   // versions that are kept: what has passed is forgotten once so many are newer
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
	m.s.Passed = m.kept(m.s.Passed)
	if !s.Tried.Passed {
		m.s.Row, m.s.InRow = nil, nil
		return
	}
	row := Candidate{Version: m.s.Version, Model: m.s.Base, Metric: s.Metric, Value: s.Value, Passed: 1, SinceMS: m.now}
	had := m.s.Row
	if had == nil || had.Metric != s.Metric {
		m.s.InRow = nil
	} else if row.Passed, row.SinceMS = had.Passed+1, had.SinceMS; m.decides(s) && !s.beats(had.Value, 0) {
		row.Version, row.Model, row.Value = had.Version, had.Model, had.Value
	}
	m.s.Row, m.s.InRow = &row, m.kept(append(slices.Clip(m.s.InRow), m.s.Version))
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
	if len(m.s.InRow) > 0 {
		m.s.Passed, m.s.InRow, m.dirty = m.kept(append(slices.Clip(m.s.Passed), m.s.InRow...)), nil, true
	}
	if m.s.Ready != nil && m.s.Ready.Version == row.Version {
		return
	}
	m.s.Ready, m.dirty = row, true
	m.tell(Fact{Kind: FactCandidate, Content: row.Model, Detail: fmt.Sprintf("version %d, %s %v, waits for a release by an operator", row.Version, row.Metric, row.Value)})
}

// mostPassed is how many versions that have passed are remembered at most.
const mostPassed = 100

// kept are those of the versions, oldest first, that may be on the disk yet.
func (m *Machine) kept(versions []uint64) []uint64 {
	from, keep := max(0, len(versions)-mostPassed), m.cfg.Gate.Keep
	for keep >= 0 && from < len(versions) && versions[from]+uint64(keep) < m.s.Version {
		from++
	}
	return versions[from:]
}

// hasPassed reports whether an operator may release a version: in the row that it passed in
// the evaluations have held, and nothing was released since.
func (m *Machine) hasPassed(version uint64) bool {
	return m.s.Ready != nil && m.s.Ready.Version == version || slices.Contains(m.s.Passed, version)
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
	m.forgetPassed()
	if k := m.s.Canary; k != nil && k.Version <= to.Version {
		m.endCanary(k.Version == to.Version, fmt.Sprintf("version %d is released: %s", to.Version, why))
	}
	if m.dirty = true; m.s.Released != nil && *m.s.Released == to {
		return
	}
	m.s.Released = &to
	m.tell(Fact{Kind: FactReleased, Content: to.Model, Detail: fmt.Sprintf("version %d, %s", to.Version, why)})
}

// forgetPassed forgets what has passed: it did beside a version that is on the lines no more.
func (m *Machine) forgetPassed() { m.s.Row, m.s.Ready, m.s.InRow, m.s.Passed = nil, nil, nil, nil }

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
	case g != nil && !m.hasPassed(c.Version):
		return m.notPassed(c.Version)
	}
	if c.Model.IsZero() {
		return fmt.Sprintf("version %d is not kept: keep_models says how many are", c.Version)
	}
	m.release(Released{c.Version, c.Model}, "by an operator")
	return ""
}

// notPassed says why the gate keeps a version back, and which ones it does not.
func (m *Machine) notPassed(version uint64) string {
	if k := m.s.Canary; k != nil && k.Version == version {
		return fmt.Sprintf("version %d is a canary that has not held yet: %s", version, m.pending())
	}
	has := fmt.Sprintf("version %d has not passed the gate", version)
	if r := m.s.Released; r != nil {
		has += fmt.Sprintf(" beside version %d, which is released", r.Version)
	}
	if row := m.s.Row; row != nil && slices.Contains(m.s.InRow, version) {
		has = fmt.Sprintf("version %d has passed, but its row of evaluations has not held yet (hold, hold_for)", version)
	}
	if m.s.Ready == nil {
		return has + ", none has"
	}
	best := m.s.Ready.Version
	list := m.s.Passed[max(0, len(m.s.Passed)-mostNamed):]
	if !slices.Contains(list, best) {
		list = append([]uint64{best}, list...)
	}
	if len(list) == 1 {
		return fmt.Sprintf("%s, version %d has", has, best)
	}
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = strconv.FormatUint(v, 10)
	}
	return fmt.Sprintf("%s, versions %s have, of which %d is the best", has, strings.Join(names, ", "), best)
}

// mostNamed is how many versions a refusal names.
const mostNamed = 10
