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
