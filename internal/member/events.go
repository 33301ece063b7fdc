package member

import (
	"github.com/fedmq/fedmq/wire"
)

// Event is what happens to a machine. The set is closed.
type Event interface{ isEvent() }

type (
	// Connected says that the link is up and all subscriptions are acknowledged.
	Connected struct{}
	// Disconnected says that the link is down.
	Disconnected struct{}
	// OwnerBack says that the aggregator listens anew: what was sent before may have
	// reached nobody.
	OwnerBack struct{}
	// Tick says that time has passed.
	Tick struct{}
	// Ordered is a verified order.
	Ordered struct{ Order Order }
	// ModelStored says that a verified model is stored.
	ModelStored struct{ Model Stored }
	// ModelLost says that the stored model could not be read back.
	ModelLost struct{}
	// Replied is a verified reply; Epoch is that of its header.
	Replied struct {
		Epoch uint64
		Reply wire.Reply
	}
	// Recorded is the verified head of a record.
	Recorded struct {
		Round   uint64
		Verdict string
		Counted func(index uint32) bool // whether a member's update is in the sum
	}
	// Began says that the job has the trainer.
	Began struct{ ID uint64 }
	// Finished says that the job has ended; Reason is "" when its result is at hand,
	// else why there is none.
	Finished struct {
		ID     uint64
		Reason string
		Detail string
	}
	// EntryStored says that the entry is durable in the outbox.
	EntryStored struct{ Entry Entry }
	// EntryStuck says that the entry cannot be sealed for the part size of the order.
	EntryStuck struct {
		Round  uint64
		Detail string
	}
	// EntryLost says that the bytes of an entry cannot be read back.
	EntryLost struct{ Round uint64 }
	// HoursChanged says that the hours of parts begin or end.
	HoursChanged struct{ Open bool }
	// PartTaken says that the broker has taken a part of the entry.
	PartTaken struct{ Round uint64 }
	// Unsealed says that there will be no entry for the job.
	Unsealed struct {
		ID     uint64
		Reason string
		Detail string
	}
)

func (Connected) isEvent()    {}
func (Disconnected) isEvent() {}
func (OwnerBack) isEvent()    {}
func (Tick) isEvent()         {}
func (Ordered) isEvent()      {}
func (ModelStored) isEvent()  {}
func (ModelLost) isEvent()    {}
func (Replied) isEvent()      {}
func (Recorded) isEvent()     {}
func (Began) isEvent()        {}
func (Finished) isEvent()     {}
func (EntryStored) isEvent()  {}
func (Unsealed) isEvent()     {}
func (EntryStuck) isEvent()   {}
func (EntryLost) isEvent()    {}
func (PartTaken) isEvent()    {}
func (HoursChanged) isEvent() {}

// Step takes one event at time now. Time that goes backwards is taken as
// standing still for what is already armed.
func (m *Machine) Step(now ms, ev Event) {
	m.now = now
	switch e := ev.(type) {
	case Connected:
		m.onConnected()
	case Disconnected:
		m.connected = false
	case OwnerBack:
		m.onOwnerBack()
	case Tick:
	case Ordered:
		m.onOrder(e.Order)
	case ModelStored:
		m.have = e.Model
	case ModelLost:
		m.have = Stored{}
		if m.job != nil {
			m.cancel()
		}
	case Replied:
		m.onReply(e.Epoch, e.Reply)
	case Recorded:
		m.onRecord(e)
	case Began:
		m.running = m.job != nil && m.job.ID == e.ID
	case Finished:
		m.onFinished(e)
	case EntryStored:
		m.onStored(e.Entry)
	case EntryStuck:
		m.onStuck(e)
	case EntryLost:
		m.resealing = false
		if e := m.entry(e.Round); e != nil {
			m.drop(e)
		}
	case HoursChanged:
		m.onHours(e.Open)
	case PartTaken:
		if e := m.entry(e.Round); e != nil && m.sendable(e) {
			m.putOff(e)
		}
	case Unsealed:
		if m.job != nil && m.job.ID == e.ID {
			m.giveUp(e.Reason, e.Detail)
		}
	}
	m.decide()
	m.reseal()
	m.act()
}

// onHours holds back what goes in parts, or has it offered now (S-28).
func (m *Machine) onHours(open bool) {
	m.shut = !open
	for _, e := range m.entries {
		if open && e.on && !e.answered && e.Blob != (wire.BlobKey{}) {
			m.arm(e)
		}
	}
}

// held reports whether an entry waits for the hours of parts.
func (m *Machine) held(e *Entry) bool { return m.shut && e.Blob != (wire.BlobKey{}) }

func (m *Machine) onConnected() {
	m.connected = true
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

// onOwnerBack brings forward what is not answered, not more often than the
// aggregator can come back, and never puts it off: anybody may say that it did
// (S-41).
func (m *Machine) onOwnerBack() {
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
