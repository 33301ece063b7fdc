package member

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
			m.told = m.st.Seen
			m.out.Send = append(m.out.Send, SendJoin{Counter: m.st.Counter, Seen: m.st.Seen, Schema: m.have.Schema})
		}
		m.joining.later(m.now, m.cfg.Rand)
	}
	for _, e := range m.leaving() {
		if m.dueNow(e.timer) {
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
		if e := m.entry(round); e != nil && m.order != nil {
			e.sent = m.order.Round
		}
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
// has no answer. One that counts late outlives it (S-61).
func (m *Machine) attemptOver() {
	if d := m.decline; d != nil && !d.answered && d.tries > 0 && m.now-d.first >= answerSoon {
		m.unheard = UnheardUpdate
	}
	for _, e := range m.entries {
		if m.order != nil && e.Round == m.order.Round && !e.Late && m.sendable(e) && e.tries > 0 && m.now-e.first >= answerSoon {
			m.unheard = UnheardUpdate
		}
	}
}

func (m *Machine) dueNow(t timer) bool { return t.on && m.now >= t.due }
