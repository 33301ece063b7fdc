package member

import (
	"bytes"
	"fmt"
)

// onOrder obeys an order unless a higher one was obeyed before (S-5, S-6).
func (m *Machine) onOrder(o Order) {
	anew, ok := m.follows(o)
	if !ok {
		return
	}
	c := o.Compare(m.st.Seen)
	known := o.Hash == m.st.OrderHash
	switch {
	case o.Epoch > m.st.Seen.Epoch && o.Round < m.st.Seen.Round:
		m.fallen(o)
		return
	case c < 0:
		m.tellSeen()
		if m.order == nil {
			m.trouble = fmt.Sprintf("order %s ignored: %s was obeyed before", o.Stamp, m.st.Seen)
		}
		return
	case c == 0 && known:
		if m.order != nil {
			return
		}
	case c == 0 && bytes.Compare(o.Instance[:], m.st.Instance[:]) < 0:
		return
	case c == 0 && o.Instance == m.st.Instance:
		m.halted = true
		m.trouble = fmt.Sprintf("two different orders %s from one aggregator", o.Stamp)
		return
	}
	if m.order != nil && o.Epoch == m.order.Epoch {
		m.attemptOver()
	}
	m.rejoin(o)
	m.halted, m.trouble = false, anew
	m.order = &o
	if !known || c != 0 {
		m.st.Seen, m.st.OrderHash, m.st.Instance = o.Stamp, o.Hash, o.Instance
		m.save()
	}
	if m.decline != nil && m.decline.Stamp != o.Stamp {
		m.decline = nil
	}
	m.fetching = timer{}
	for _, e := range m.entries {
		m.arm(e)
	}
}

// rejoin has a join sent at once for an order of a higher epoch than the last
// welcome's. If a first join is under way its welcome may be too; of an epoch
// that is new to the site it may also have come before anybody listened (S-4).
func (m *Machine) rejoin(o Order) {
	switch {
	case o.Epoch <= m.st.WelcomeEpoch:
	case m.joining.on && m.joining.every > 2*joinFirst && o.Epoch == m.st.Seen.Epoch:
		m.joining.resume(m.now, joinFirst) // the next attempt of whoever did not answer
	case !m.joining.on || m.joining.every > 2*joinFirst:
		m.joining.set(m.now, joinFirst)
	case o.Epoch > m.st.Seen.Epoch:
		m.joining.due = min(m.joining.due, m.now+jitter(m.cfg.Rand, joinSoon))
	}
}

// fallen does not obey an order of a higher epoch that goes back in rounds: the
// aggregator runs on an older copy of its data. The join tells it so (S-40).
func (m *Machine) fallen(o Order) {
	m.rejoin(o)
	m.tellSeen()
	m.trouble = fmt.Sprintf("order %s ignored: round %d was seen; the aggregator runs on an older copy of its data", o.Stamp, m.st.Seen.Round)
}

// tellSeen has a join say what was seen, if the last one did not: it is repeated as
// it is, and may be of long before.
func (m *Machine) tellSeen() {
	if m.told.Compare(m.st.Seen) < 0 && !m.joining.on {
		m.joining.set(m.now, joinFirst)
	}
}
