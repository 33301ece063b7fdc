package owner

// Step takes in one event of the node. Times are milliseconds of any clock that does
// not fall.
func (m *Machine) Step(now int64, ev Event) {
	m.now = max(m.now, now)
	switch ev := ev.(type) {
	case LinkUp:
		m.linkUp()
	case LinkDown:
		m.linkDown()
	case Echo:
		m.echo(ev.Own)
	case Tick:
		m.tick()
	}
}

// Ready returns what is owed: for the node, else for the first task that is owed
// something. It is called until it is empty.
func (m *Machine) Ready() Ready {
	rd := Ready{Wake: 0}
	m.watch()
	if rd.Send = m.out; len(rd.Send) > 0 {
		m.out = nil
		return rd
	}
	if m.started {
		if m.writes == 0 { // what is wrong with a part ends its upload before more is granted
			m.receive()
		}
		for _, t := range m.tasks {
			if rd = t.ready(); !rd.Empty() {
				return rd
			}
		}
	}
	rd.Task, rd.Wake = "", m.wake()
	return rd
}

// receive does within the machine what the receiver owes, until it owes nothing.
func (m *Machine) receive() {
	m.recv.Tick(m.now)
	for {
		rd := m.recv.Ready()
		m.recvAt = rd.Wake
		if len(rd.Release)+len(rd.Admit)+len(rd.Grants)+len(rd.Waits)+len(rd.Complete) == 0 {
			return
		}
		for _, k := range rd.Release {
			m.byName[k.Task].released(k.Member)
		}
		for _, p := range rd.Admit {
			m.byName[p.Key.Task].placed(p)
		}
		for _, g := range rd.Grants {
			m.byName[g.Key.Task].reply(g.Key.Member, g.Reply)
		}
		for _, w := range rd.Waits {
			m.byName[w.Key.Task].waits(w)
		}
		for _, w := range rd.Complete {
			m.recv.Done(m.now, w.Key)
			m.byName[w.Key.Task].complete(w)
		}
		for _, t := range m.tasks {
			t.settle()
		}
	}
}

// wake returns when the next Tick is wanted.
func (m *Machine) wake() int64 {
	at := first(m.startBy, m.beatAt)
	if !m.started {
		return at
	}
	at = first(at, m.recvAt)
	if m.up {
		at = first(at, m.said.RepairAt(), m.echoBy)
	}
	for _, t := range m.tasks {
		at = first(at, t.wake())
	}
	return at
}

// Turned reports whether what is owed changes what the next message means: it is to
// be done first.
func (m *Machine) Turned() bool {
	for _, t := range m.tasks {
		if t.turned || t.stop != nil {
			return true
		}
	}
	return false
}
