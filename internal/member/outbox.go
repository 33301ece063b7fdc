package member

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// onStored takes an entry that is in the outbox now.
func (m *Machine) onStored(e Entry) {
	if m.sealing && m.job.Round == e.Round && m.job.Base == e.Base && m.job.Work == e.Work {
		m.job, m.sealing = nil, false
	}
	if old := m.entry(e.Round); old != nil {
		m.entries = slices.DeleteFunc(m.entries, func(x *Entry) bool { return x == old })
	}
	m.resealing = false
	now := e.fresh()
	m.entries = append(m.entries, now)
	slices.SortFunc(m.entries, func(a, b *Entry) int { return cmp.Compare(a.Round, b.Round) })
	m.arm(now)
	if len(m.entries) > maxEntries {
		m.trouble = fmt.Sprintf("round %d was never settled", m.entries[0].Round)
		m.drop(m.entries[0])
	}
}

// arm makes an entry due under the order in force (S-10, S-11). One of an
// older round waits a little: its record, or its answer, may be on the way (S-15).
func (m *Machine) arm(e *Entry) {
	if m.order == nil {
		return
	}
	waits := e.ahead > 0          // for this order
	graced := e.on && !e.answered // the order before has it due already
	e.answered, e.stuck, e.ahead = false, false, 0
	due := m.now + m.offset(m.order)
	if e.in == m.order.Round { // it is said again
		e.in = 0
	}
	if e.in != 0 || e.Round < m.order.Round && (!e.Late || e.sent != 0 && !waits) {
		if !m.missedRecord(e) {
			due += recordGrace
		}
		if graced && e.Late {
			due = min(due, max(e.due, m.now))
		}
	}
	e.set(due, m.patience(m.order))
}

// offset spreads the members over the pace: SHA-256(path, order) mod pace.
func (m *Machine) offset(o *Order) ms {
	if o.PaceMS == 0 {
		return 0
	}
	h := sha256.New()
	h.Write([]byte(m.cfg.Path))
	h.Write(o.Hash[:])
	return ms(binary.BigEndian.Uint64(h.Sum(nil)) % o.PaceMS)
}

// patience is the first pause before something unanswered is sent again.
func (m *Machine) patience(o *Order) ms { return min(max(sendFirst, 2*ms(o.PaceMS)), repeatMost) }

// putOff moves the next repetition of an offer away: its aggregator has it, or
// its parts are on their way (S-23).
func (m *Machine) putOff(e *Entry) { e.set(m.now+jitter(m.cfg.Rand, waitEvery), waitEvery) }

// sendable reports whether an entry waits for an answer. It does not ask
// whether the member is in the cohort of the order in force: the aggregator
// may have promised it a place in an earlier attempt.
// What was sealed for larger messages waits to be sealed anew, and so does what was
// sealed for a root of bulk that this configuration lists no more.
func (m *Machine) sendable(e *Entry) bool {
	return e.on && !e.answered && !e.over(m.order) && m.accepts(e.Bulk)
}

// held reports whether an entry waits for the hours of parts.
func (m *Machine) held(e *Entry) bool { return m.shut && e.Blob != (wire.BlobKey{}) }

// drop removes an entry from the outbox.
func (m *Machine) drop(e *Entry) {
	m.entries = slices.DeleteFunc(m.entries, func(x *Entry) bool { return x == e })
	m.out.Drop = append(m.out.Drop, e.Round)
}

// settle drops an entry whose fate is known.
func (m *Machine) settle(e *Entry, said string, refused bool) {
	m.drop(e)
	m.tell(e, said == verdict.Counted.String())
	if e.Round < m.st.Over.Key.Round {
		return
	}
	m.st.Over = Over{Key: Key{e.Round, e.Base, e.Work}, Attempt: e.Attempt, Verdict: said, Refused: refused}
	if m.order != nil && m.order.Round == e.Round {
		m.st.Over.Attempt = m.order.Attempt
	}
	m.save()
}

// tell says what became of an update.
func (m *Machine) tell(e *Entry, counted bool) {
	m.out.Settled = append(m.out.Settled, Settled{Round: e.Round, Counted: counted, Entry: *e})
}

// lapse drops an entry that counts no more: the work is done again for the order
// that says so, not for the one in force (S-13).
func (m *Machine) lapse(e *Entry) {
	m.drop(e)
	m.tell(e, false)
	if e.Round >= m.st.Over.Key.Round {
		m.st.Over = Over{Key: Key{e.Round, e.Base, e.Work}, Attempt: e.Attempt}
		m.save()
	}
}
