package round

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/verdict"
)

// WorkRollback is the work of a round that nobody is asked for: it makes a former version
// the newest one again.
const WorkRollback = "rollback"

// doRollback is an operator's.
func (m *Machine) doRollback(c Command) string {
	switch {
	case c.Back && m.s.Canary == nil:
		return "no canary runs: name the version that is to be the newest again"
	case c.Back:
		m.endCanary(false, "an operator has taken it back")
		return ""
	case m.s.Phase == Closing:
		return "a round closes just now: send it again"
	case c.Version >= m.s.Version:
		return fmt.Sprintf("version %d is not older than %d, which is the newest", c.Version, m.s.Version)
	case m.cfg.Survey:
		return "the task gathers statistics: each round counts anew"
	case c.Version == 0 && m.cfg.Statistics:
		return "version 0 is older than the statistics of the task"
	case c.Model.IsZero():
		return fmt.Sprintf("version %d is not kept", c.Version)
	}
	m.s.Rollback = &Released{Version: c.Version, Model: c.Model}
	if m.s.Phase == Open {
		m.abandon(CloseRollback) // which goes on with it
	} else {
		m.rollBack()
	}
	return ""
}

// rollBack closes the round with the version that is asked for: what was accepted in it
// lapses. What was better than that version, or waits to be released, is none any more.
func (m *Machine) rollBack() {
	m.clock.stop(m.now)
	m.s.ValidFrom = m.s.Attempt + 1
	m.s.Attempt++
	clear(m.slots)
	clear(m.in)
	m.sending, m.accepted = nil, 0
	m.r.Fold, m.r.Restart = nil, true
	m.s.Params, m.s.Cohort, m.first = &Params{Work: WorkRollback, Weights: WeightUniform}, nil, 0
	m.forgetPassed()
	m.endCanary(false, fmt.Sprintf("an operator goes back to version %d", m.s.Rollback.Version))
	if b := m.s.Best; b != nil && b.Version > m.s.Rollback.Version {
		m.s.Best, m.s.Stale = nil, 0
	}
	m.s.Phase, m.dirty = Closing, true
	m.r.Commit = &Commit{Stamp: m.s.Stamp(), Work: WorkRollback, Base: m.s.Base, Params: *m.s.Params, Reason: CloseRollback, To: m.s.Rollback}
}

// rolledBack has orders say so from now on, and the lines go back, too, if they are on a version that came after the one
// that counts again.
func (m *Machine) rolledBack() {
	to := m.s.Rollback
	if to == nil || m.s.Worked != WorkRollback {
		return
	}
	m.s.Rollback, m.s.Rolled = nil, m.s.Version
	if r := m.s.Released; r != nil && r.Version > to.Version {
		m.release(Released{m.s.Version, m.s.Base}, fmt.Sprintf("as an operator has gone back to version %d", to.Version))
	}
}

// fateOf is what becomes of accepted updates when an attempt is given up.
func fateOf(why Close, lapse bool) verdict.Reason {
	if lapse || why == CloseRollback {
		return verdict.Lapsed
	}
	return verdict.Kept
}
