package owner

// linkUp: the first time, the own presence has to come back before the tasks start.
// Retained orders of the owner have then arrived too.
func (m *Machine) linkUp() {
	if m.up {
		return
	}
	m.up = true
	m.say()
	m.beatAt = m.now + m.beat()
	if !m.started {
		m.startBy = m.now + ownStateWait
		return
	}
	m.connect()
}

func (m *Machine) connect() {
	m.recv.Connected(m.now)
	for _, t := range m.tasks {
		t.connected()
	}
}

func (m *Machine) linkDown() {
	if !m.up {
		return
	}
	m.up, m.startBy = false, 0 // nothing was looked at without a link
	if !m.started {
		return
	}
	m.recv.Disconnected(m.now)
	for _, t := range m.tasks {
		t.disconnected()
	}
}

// start gives every task its first event, once.
func (m *Machine) start() {
	if m.started {
		return
	}
	m.started, m.startBy = true, 0
	if m.up {
		m.recv.Connected(m.now)
	}
	for _, t := range m.tasks {
		t.begin()
	}
}

// say publishes the presence, which has to come back.
func (m *Machine) say() {
	m.said.Replace()
	m.echoBy = m.now + echoWithin
	m.out = append(m.out, Presence{})
}

// echo looks at what the broker shows as this node's presence. The first echo of the
// own one starts the tasks; other bytes, such as the Last Will of a connection that
// is long gone, are replaced.
func (m *Machine) echo(own bool) {
	m.said.Shown(own, m.now)
	if own {
		m.echoBy, m.deaf = 0, false
		m.start()
	}
}

// tick passes the time.
func (m *Machine) tick() {
	if m.startBy > 0 && m.now >= m.startBy {
		m.start()
	}
	if m.beatAt > 0 && m.now >= m.beatAt {
		m.heartbeat()
	}
	if !m.started {
		return
	}
	for _, t := range m.tasks {
		t.tick()
	}
}

// heartbeat says the presence again, and asks for the own retained topics: what the
// broker has forgotten under a live link nobody would miss before the next connect.
func (m *Machine) heartbeat() {
	m.beatAt = m.now + m.beat()
	if !m.up {
		return
	}
	m.say()
	if m.started {
		for _, t := range m.tasks {
			t.ask()
		}
	}
}

// beat is max(30 s, 10 ms x members), +-20 % so that parties spread.
func (m *Machine) beat() int64 {
	ms := int64(beatMin)
	for _, t := range m.tasks {
		ms = max(ms, beatMember*int64(t.round.Welcomed()))
	}
	var r [2]byte
	m.cfg.Rand(r[:])
	spread := int64(r[0]) | int64(r[1])<<8 // 0..65535
	return ms * (80 + 40*spread/65535) / 100
}

// watch repairs the presence, and asks for all subscriptions again when it does not
// come back: a broker may lose them and keep the link, and who hears nothing would
// call every member missing.
func (m *Machine) watch() {
	if !m.up || !m.started {
		return
	}
	if m.said.Repair(m.now) {
		m.out = append(m.out, Presence{Repair: true})
	}
	if m.echoBy > 0 && m.now >= m.echoBy {
		m.deaf = true
		m.echoBy = m.now + echoEvery // the retained presence comes with the subscription
		m.out = append(m.out, Resubscribe{})
	}
}
