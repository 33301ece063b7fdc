package member

import (
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// goesOn reports whether the job goes on under an order of a later round: its update may
// count there yet (S-60). One that the trainer does not have is no loss: the newest order
// takes its place.
func (m *Machine) goesOn() bool {
	j, o := m.job, m.order
	return j.Late && o.Work == wire.WorkTrain && (m.running || m.sealing) && o.Round > j.Round && o.Round-j.Round <= o.Late
}

// vain reports whether nobody wants the result of the job any more.
func (m *Machine) vain() bool {
	if m.job.Key == m.order.key() {
		return m.has(m.order) || m.roundOver() && !m.job.Late
	}
	return !m.goesOn()
}

// owes reports whether an update of an earlier round is to be answered first, or is in the
// round of the order: of a member one counts in a round, and so the next order is the one
// to train for (S-61).
func (m *Machine) owes() bool {
	o := m.order
	for _, e := range m.entries {
		if o.Late > 0 && e.Late && e.Round < o.Round && (e.in == o.Round || m.sendable(e) && !m.held(e)) {
			return true
		}
	}
	return false
}

// leaving lists the entries that may be sent. Of those that count late one is answered before
// the next is sent, and the answer to the order, if it does not, before all of them: of two
// that wait together an aggregator may read the newest alone (C-5).
func (m *Machine) leaving() (list []*Entry) {
	var late *Entry
	now := false
	for _, e := range m.entries {
		switch {
		case !m.sendable(e) || m.held(e):
		case !e.Late:
			list, now = append(list, e), now || e.Round == m.order.Round
		case late == nil:
			late = e
		}
	}
	if late != nil && !now {
		list = append(list, late)
	}
	return list
}

// taken notes in which round an update is.
func (m *Machine) taken(e *Entry, in uint64) {
	e.answered, e.in = true, in
	switch h := m.head; {
	case h.round == in && h.counted: // the record has come first
		m.settle(e, verdict.Counted.String(), false)
	case e.Late && (h.round > in || m.order != nil && m.order.Round > in):
		e.answered = false // that record may have come and gone: ask what it said (S-61)
		e.set(m.now+recordGrace, m.patience(m.order))
		if m.behind(e) {
			e.due = m.now
		}
	}
}

// behind reports whether an order came since the late update was sent: an answer to it may
// be of before, and the update can go once more.
func (m *Machine) behind(e *Entry) bool {
	return e.Late && e.sent != 0 && m.order != nil && m.order.Round > e.sent
}

// missedRecord reports whether the record that tells of a late update has come and gone,
// as later rounds are over: where rounds are short, its head was replaced before it was read.
func (m *Machine) missedRecord(e *Entry) bool {
	return e.Late && e.sent != 0 && m.order.Round > max(e.in, e.sent)+1
}

// recorded follows what the record of a round says of an entry. A late update may count
// in a later round than its own; one that is not known to be in this may be in none yet.
func (m *Machine) recorded(e *Entry) {
	is := e.in != 0 && e.in == m.head.round || e.in == 0 && e.Round == m.head.round && !e.Late // round 0 asked nobody
	switch {
	case is && m.head.counted:
		m.settle(e, verdict.Counted.String(), false)
	case is && e.Late:
		e.in = 0
	case is:
		m.settle(e, "not counted", false)
	case e.Late && e.in != 0 && e.in < m.head.round && m.order != nil: // the head of its record was not read
		e.answered = false
		e.set(m.now, m.patience(m.order))
	}
}
