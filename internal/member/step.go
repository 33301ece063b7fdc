package member

// Step takes one event at time now. Time that goes backwards is taken as
// standing still for what is already armed.
func (m *Machine) Step(now int64, ev Event) {
	m.now = now
	if !m.takeMessage(ev) {
		m.takeOutcome(ev)
	}
	m.tickPull()
	m.decide()
	m.reseal()
	m.aim()
	m.act()
	m.sendParts()
	m.askParts()
}

// takeMessage takes what comes from link and clock; false: it is an outcome.
func (m *Machine) takeMessage(ev Event) bool {
	switch e := ev.(type) {
	case Connected:
		m.onConnected()
	case Disconnected:
		m.onDisconnected()
	case OwnerBack:
		m.onOwnerBack()
	case Tick:
	case HoursChanged:
		m.onHours(e.Open)
	case Ordered:
		m.onOrder(e.Order)
	case ModelCame:
		m.latest = e.Model
	case ManifestCame:
		m.pull.announced(e.Manifest)
	case PartCame:
		m.onPart(e)
	case PartSpoilt:
		m.pull.puller.Spoilt(m.now, e.Slot, e.Index)
	case Replied:
		m.onReply(e.Epoch, e.Reply)
	case Recorded:
		m.onRecord(e)
	default:
		return false
	}
	return true
}

// takeOutcome takes what the driver did.
func (m *Machine) takeOutcome(ev Event) {
	switch e := ev.(type) {
	case ModelStored:
		m.have, m.cut = e.Model, m.pull.target.blob()
		m.endPull(true)
	case ModelBroken:
		m.onModelBroken()
	case ModelLost:
		m.onModelLost()
	case Began:
		m.running = m.job != nil && m.job.ID == e.ID
	case Finished:
		m.onFinished(e)
	case EntryStored:
		m.onStored(e.Entry)
	case Unsealed:
		if m.job != nil && m.job.ID == e.ID {
			m.giveUp(e.Reason, e.Detail)
		}
	case EntryStuck:
		m.onStuck(e)
	case EntryLost:
		m.resealing = false
		if e := m.entry(e.Round); e != nil {
			m.drop(e)
		}
	case EntrySent:
		m.onEntrySent(e.Round)
	case PartSent:
		m.onPartSent(e)
	}
}

// Ready returns the work owed since the last call.
func (m *Machine) Ready() Ready {
	r := m.out
	m.out = Ready{}
	if m.dirty {
		st := m.st
		r.Save, m.dirty = &st, false
	}
	if v := m.view(); v != m.shown {
		m.shown = v
		r.Show = &v
	}
	r.Wake = m.wake()
	return r
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
	for _, e := range m.leaving() {
		add(e.timer)
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
