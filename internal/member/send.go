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
// older round waits a little: its record may be on the way (S-15).
func (m *Machine) arm(e *Entry) {
	if m.order == nil {
		return
	}
	e.answered, e.stuck, e.ahead = false, false, 0
	due := m.now + m.offset(m.order)
	if e.Round < m.order.Round {
		due += recordGrace
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

func (m *Machine) entry(round uint64) *Entry {
	for _, e := range m.entries {
		if e.Round == round {
			return e
		}
	}
	return nil
}

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
	m.out.Settled = append(m.out.Settled, Settled{Round: e.Round, Counted: counted})
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

// act sends what is due (S-4, S-11, S-14). Nothing is due without a link.
func (m *Machine) act() {
	if !m.connected {
		return
	}
	deaf := false // an answer is overdue
	if m.dueNow(m.joining) {
		deaf = m.joining.again
		m.missed(m.joining, UnheardJoin)
		m.st.Counter = max(uint64(max(m.now, 0)), m.st.Counter+1)
		m.save()
		if !m.st.Origin.IsZero() { // an order says whom to join
			m.out.Send = append(m.out.Send, SendJoin{Counter: m.st.Counter, Seen: m.st.Seen, Schema: m.have.Schema})
		}
		m.joining.later(m.now, m.cfg.Rand)
	}
	for _, e := range m.entries {
		if m.sendable(e) && !m.held(e) && m.dueNow(e.timer) {
			deaf = deaf || e.timer.again
			m.missed(e.timer, UnheardUpdate)
			m.sendEntry(e.Round)
			e.later(m.now, m.cfg.Rand)
		}
	}
	if d := m.decline; d != nil && !d.answered && m.dueNow(d.timer) {
		deaf = deaf || d.timer.again
		m.missed(d.timer, UnheardUpdate)
		m.out.Send = append(m.out.Send, SendDecline{Stamp: d.Stamp, Base: d.Base, Schema: d.Schema, Reason: d.Reason, Detail: d.Detail})
		d.later(m.now, m.cfg.Rand)
	}
	switch {
	case m.joining.on:
		m.beating = timer{} // its welcome begins it
	case len(m.out.Send) > 0:
		m.beat() // that says as much
	case m.dueNow(m.beating):
		m.out.Send = append(m.out.Send, SendAgain{})
		m.beat()
	}
	if deaf {
		m.out.Ask = append(m.out.Ask, AskReply, AskOrder, AskRecord)
	}
	if m.dueNow(m.fetching) {
		m.out.Ask = append(m.out.Ask, AskModel)
		m.fetching.later(m.now, m.cfg.Rand)
	}
	if m.dueNow(m.asking) {
		if m.quiet() {
			m.out.Ask = append(m.out.Ask, AskOrder, AskRecord, AskModel)
		}
		m.asking.later(m.now, m.cfg.Rand)
	}
}

// sendEntry sends an entry, unless it is still on its way.
func (m *Machine) sendEntry(round uint64) {
	if _, flying := m.flying[round]; !flying {
		m.flying[round] = false
		m.out.Send = append(m.out.Send, SendEntry{Round: round})
	}
}

// beat puts the next sign of life off by a heartbeat, +-20 %.
func (m *Machine) beat() {
	every := beatEvery
	if m.order != nil && m.order.HeartbeatMS > 0 {
		every = min(max(ms(m.order.HeartbeatMS), leastBeat), mostWait)
	}
	m.beating.set(m.now+every*4/5+m.cfg.Rand.Int64N(every*2/5), every)
}

// missed notes that something is due again that was sent often enough.
func (m *Machine) missed(t timer, what Unheard) {
	if t.tries >= unheardAfter {
		m.unheard = what
	}
}

// attemptOver notes that an attempt ends over an update or a decline that was sent and
// has no answer.
func (m *Machine) attemptOver() {
	if d := m.decline; d != nil && !d.answered && d.tries > 0 && m.now-d.first >= answerSoon {
		m.unheard = UnheardUpdate
	}
	for _, e := range m.entries {
		if m.order != nil && e.Round == m.order.Round && m.sendable(e) && e.tries > 0 && m.now-e.first >= answerSoon {
			m.unheard = UnheardUpdate
		}
	}
}

func (m *Machine) dueNow(t timer) bool { return t.on && m.now >= t.due }

// sendable reports whether an entry waits for an answer. It does not ask
// whether the member is in the cohort of the order in force: the aggregator
// may have promised it a place in an earlier attempt.
// What was sealed for larger messages waits to be sealed anew.
func (m *Machine) sendable(e *Entry) bool { return e.on && !e.answered && !e.over(m.order) }

// Reseal has one entry at a time sealed for smaller messages (S-26).
func (m *Machine) reseal() {
	if m.resealing || m.out.Seal != nil {
		return
	}
	for _, e := range m.entries {
		if e.over(m.order) && !e.stuck {
			m.resealing = true
			m.out.Reseal = &Reseal{Round: e.Round, PartSize: m.order.PartSize}
			return
		}
	}
}

// onStuck keeps an entry that does not fit for a later order, and says so.
func (m *Machine) onStuck(ev EntryStuck) {
	m.resealing = false
	e := m.entry(ev.Round)
	if e == nil || m.order == nil {
		return
	}
	e.stuck = true
	if k, ok := m.due(); ok && e.usable(m.order) && k.Round == e.Round && m.decline == nil {
		m.say(wire.DeclineTooLarge, ev.Detail)
	}
}

// quiet reports whether the member is idle or waiting.
func (m *Machine) quiet() bool {
	p := m.view().Phase
	return p != PhaseTraining && p != PhaseEvaluating && (p != PhaseSending || m.shut)
}

// wake is the earliest time at which something is due.
func (m *Machine) wake() ms {
	if !m.connected {
		return 0
	}
	var at ms
	by := func(due ms) {
		if at == 0 || due < at {
			at = max(due, 1)
		}
	}
	add := func(t timer) {
		if t.on {
			by(t.due)
		}
	}
	add(m.joining)
	add(m.asking)
	add(m.fetching)
	add(m.beating)
	for _, e := range m.entries {
		if m.sendable(e) && !m.held(e) {
			add(e.timer)
		}
	}
	if m.decline != nil && !m.decline.answered {
		add(m.decline.timer)
	}
	for _, due := range []ms{m.paced, m.pull.wake} {
		if due != 0 {
			by(due)
		}
	}
	return at
}
