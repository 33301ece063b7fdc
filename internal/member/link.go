package member

import "github.com/fedmq/fedmq/wire"

// onHours holds back what goes in parts, or has it offered now (S-28).
func (m *Machine) onHours(open bool) {
	m.shut = !open
	if m.shut {
		m.voidGrants()
		m.pull.puller.Room(m.now, 0) // a model that is wanted for this very event waits, too
	}
	for _, e := range m.entries {
		if open && e.on && !e.answered && e.Blob != (wire.BlobKey{}) {
			m.arm(e)
		}
	}
}

func (m *Machine) onConnected() {
	m.connected = true
	m.pull.puller.Connected(m.now)
	m.joining.set(m.now, joinFirst)
	m.beating = timer{}
	m.asking.set(m.now+jitter(m.cfg.Rand, askEvery), askEvery)
	if m.fetching.on {
		m.fetching.set(m.now+jitter(m.cfg.Rand, modelFirst), 2*modelFirst)
	}
	for _, e := range m.entries {
		if e.on && !e.answered {
			m.arm(e)
		}
	}
	if d := m.decline; d != nil && !d.answered {
		d.set(m.now, m.patience(m.order))
	}
}

func (m *Machine) onDisconnected() {
	m.connected = false
	m.voidGrants()
	m.pull.puller.Disconnected(m.now)
}

// onOwnerBack has all sent once more that is not answered, also what waits for its
// PUBACK now.
func (m *Machine) onOwnerBack() {
	for round := range m.flying {
		m.flying[round] = true
	}
	m.repeatSoon()
}

// onEntrySent notes that an entry may be sent again, and has it sent again if
// nobody may have listened.
func (m *Machine) onEntrySent(round uint64) {
	again := m.flying[round]
	delete(m.flying, round)
	if again {
		m.repeatSoon()
	}
}

// repeatSoon brings forward what is not answered, not more often than the
// aggregator can come back, and never puts it off: anybody may say that it did
// (S-41).
func (m *Machine) repeatSoon() {
	if m.now < m.back {
		return // it is due then
	}
	in := ms(0)
	if m.back != 0 {
		in = max(0, m.back+backEvery-m.now)
	}
	m.back = m.now + in
	if m.joining.on {
		m.joining.sooner(m.back+jitter(m.cfg.Rand, joinSoon), joinFirst)
	}
	for _, e := range m.entries {
		if e.on && !e.answered {
			e.sooner(m.back+m.offset(m.order), m.patience(m.order))
		}
	}
	if d := m.decline; d != nil && !d.answered {
		d.sooner(m.back, m.patience(m.order))
	}
}
