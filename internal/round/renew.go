package round

import "slices"

// renew has the round begin again with the settings of now, after an attempt that came to
// nothing for declines or refusals: those of before may be why. Updates that are in
// the sum or still under way were made with them, and lapse.
func (m *Machine) renew() {
	was := m.s.Params
	if was == nil {
		return
	}
	m.s.Params = nil
	if m.work() != was.Work { // the configuration has fewer rounds by now: this one is still owed
		m.s.Params = was
		return
	}
	m.drop()
}

// drop has the round go on without what was sent for it so far.
func (m *Machine) drop() {
	m.s.ValidFrom = m.s.Attempt + 1
	clear(m.slots)
	m.sending, m.accepted = nil, 0
	m.r.Fold, m.r.Restart, m.dirty = nil, true, true
}

// declines reports whether somebody declined the attempt that ends.
func (m *Machine) declines() bool {
	return slices.ContainsFunc(m.s.Cohort, func(i uint32) bool { return m.slots[i].declined })
}

// corrected ends a stop that declines or refusals made, if the process has started with
// other settings: the round begins again.
func (m *Machine) corrected() {
	if m.s.Stopped && m.s.Reason != reasonOperator && m.s.Vain && m.others {
		m.unstop()
	}
}

func (m *Machine) unstop() {
	m.s.Stopped, m.s.Reason = false, ""
	m.s.Abandons, m.s.RefusalAbandons = 0, 0
}
