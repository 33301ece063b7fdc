package member

import "github.com/fedmq/fedmq/wire"

// Event is what happens to a machine. The set is closed.
type Event interface{ isEvent() }

// What comes from the link and the clock.
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
	// HoursChanged says that the hours of parts begin or end.
	HoursChanged struct{ Open bool }
	// Ordered is a verified order.
	Ordered struct{ Order Order }
	// ModelCame says that a verified model came whole; the driver has it in memory.
	ModelCame struct{ Model Stored }
	// ManifestCame is a verified manifest.
	ManifestCame struct{ Manifest Manifest }
	// PartCame is what came on the topic of a model's part.
	PartCame struct {
		Slot, Index uint32
		Part        wire.Part
	}
	// PartSpoilt says that something came on such a topic that is no part.
	PartSpoilt struct{ Slot, Index uint32 }
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
)

// What comes of the work that a Ready asked for.
type (
	// ModelStored says that what Ready.Assemble names is the task's model.
	ModelStored struct{ Model Stored }
	// ModelBroken says that it is another content than its manifest said.
	ModelBroken struct{}
	// ModelLost says that the stored model could not be read back.
	ModelLost struct{}
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
	// Unsealed says that there will be no entry for the job.
	Unsealed struct {
		ID     uint64
		Reason string
		Detail string
	}
	// EntryStuck says that the entry cannot be sealed for the part size of the order.
	EntryStuck struct {
		Round  uint64
		Detail string
	}
	// EntryLost says that the bytes of an entry cannot be read back.
	EntryLost struct{ Round uint64 }
	// EntrySent says that the publish of the entry has ended, well or not.
	EntrySent struct{ Round uint64 }
	// PartSent says what came of a SendPart: OK once the broker has acknowledged it.
	PartSent struct {
		Upload uint64
		Index  uint32
		OK     bool
	}
)

func (Connected) isEvent()    {}
func (Disconnected) isEvent() {}
func (OwnerBack) isEvent()    {}
func (Tick) isEvent()         {}
func (HoursChanged) isEvent() {}
func (Ordered) isEvent()      {}
func (ModelCame) isEvent()    {}
func (ManifestCame) isEvent() {}
func (PartCame) isEvent()     {}
func (PartSpoilt) isEvent()   {}
func (Replied) isEvent()      {}
func (Recorded) isEvent()     {}
func (ModelStored) isEvent()  {}
func (ModelBroken) isEvent()  {}
func (ModelLost) isEvent()    {}
func (Began) isEvent()        {}
func (Finished) isEvent()     {}
func (EntryStored) isEvent()  {}
func (Unsealed) isEvent()     {}
func (EntryStuck) isEvent()   {}
func (EntryLost) isEvent()    {}
func (EntrySent) isEvent()    {}
func (PartSent) isEvent()     {}

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
		m.have = e.Model
		m.endPull(true)
	case ModelBroken:
		m.pull.broken = m.pull.target.key()
		m.endPull(true)
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
