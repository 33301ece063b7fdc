package round

// Step takes one event in. Times are milliseconds of any clock that does not fall.
// Before Started only the link's events count, and presences, which are retained; after
// the machine is fenced none.
func (m *Machine) Step(now int64, ev Event) {
	if m.fenced {
		return
	}
	m.now = max(m.now, now)
	switch ev := ev.(type) {
	case Started:
		m.start(ev)
	case Connected:
		m.connect()
	case Disconnected:
		m.connected = false
		m.clock.stop(m.now)
	case Presence:
		m.presence(ev)
	}
	if m.started {
		m.step(ev)
		m.settle()
	}
}

// step takes in the events that need a started machine.
func (m *Machine) step(ev Event) {
	switch ev := ev.(type) {
	case Tick:
		m.ripen()
		m.ripenCanary()
		if m.s.Phase == Waiting && m.now >= m.waitUntil {
			m.tryOpen()
		}
	case Published:
		m.published(ev)
	case Join:
		m.join(ev)
	case Update:
		m.update(ev)
	case Uploading:
		m.uploading(ev)
	case Heard:
		if i, ok := m.known(ev.Member); ok {
			m.heard(i)
		}
	case Decline:
		m.decline(ev)
	case Leave:
		m.leave(ev)
	case Committed:
		m.committed(ev)
	case Command:
		m.command(ev)
	case Untaken:
		m.untaken(ev)
	case Fenced:
		m.fence(ev)
	case Roster:
		m.roster(ev)
	}
}

// settle opens what may open and closes what is over, at most one of each for
// one event.
func (m *Machine) settle() {
	if m.fenced {
		return
	}
	if m.s.Phase == Idle {
		m.tryOpen()
	}
	if m.s.Phase == Open {
		if why, over := m.over(); over {
			m.close(why)
		}
	}
}

func (m *Machine) connect() {
	m.connected = true
	m.clock.start(m.now)
	if m.started {
		m.sendOrder()
	}
}

// published starts the attempt's clock; later publishes of the same order do
// not start it again.
func (m *Machine) published(ev Published) {
	if m.s.Phase != Open || ev.Order != m.s.Stamp() {
		return
	}
	m.clock.published = true
	if m.connected {
		m.clock.start(m.now)
	}
}

// Ready returns what is owed since the last Ready.
func (m *Machine) Ready() Ready {
	rd := m.r
	m.r = Ready{}
	if m.fenced {
		return Ready{}
	}
	if m.dirty || m.urgent {
		rd.Save.Members = m.places()
	}
	if m.dirty {
		rd.Save.State = m.s.clone()
	}
	m.dirty, m.urgent = false, false
	rd.Wake = m.wake()
	return rd
}

// wake returns when the next Tick is wanted.
func (m *Machine) wake() int64 {
	at, next := earlier(m.ripensAt(), m.canaryRipensAt()), int64(0)
	switch m.s.Phase {
	case Open:
		next = m.clock.end(m.deadline())
	case Waiting:
		next = m.waitUntil
	case Idle:
		next = m.openAt
	}
	return earlier(at, next)
}

// earlier is the first of two moments; 0 is none.
func earlier(a, b int64) int64 {
	if a > 0 && b > 0 {
		return min(a, b)
	}
	return max(a, b)
}
