package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Ready is what is owed for one task, or for the node itself, to be done in the
// order of the fields. What comes of it goes back as events once all of it is done,
// and leads to the next Ready.
type Ready struct {
	Task string // "": the node

	Stop *Stop // nothing goes on: the driver ends

	Orders []round.Order // in Save, oldest first: records of the same Save may name them
	Save   Save          // one transaction

	Drop    []Key  // let go of what is held of these updates
	Release []Key  // let go of their staging places alone
	Restart bool   // begin an empty sum under State.Params and State.Base
	Fold    []Fold // add, in order of acceptance
	Stage   []Stage
	Write   []Write

	Send []Message

	Check  *Check        // the whole of an update; answered by Checked
	Commit *round.Commit // close the sum; answered by Committed

	Wake int64 // time of the next Tick wanted, 0 for none
}

// Empty reports whether nothing is owed.
func (r *Ready) Empty() bool {
	return r.Stop == nil && r.Save.Empty() && !r.Restart && r.Commit == nil && r.Check == nil &&
		len(r.Drop)+len(r.Release)+len(r.Fold)+len(r.Stage)+len(r.Write)+len(r.Send) == 0
}

// Save is one transaction. Committed says that the record of the commit, of which
// the driver has told, belongs in it; Cleared that no topic of an earlier layout
// holds anything any more.
type Save struct {
	round.Save
	Committed bool
	Cleared   bool
	Withdrawn bool // nothing of a canary is on the broker any more
}

// Empty reports whether nothing is to be saved.
func (s *Save) Empty() bool { return s.Save.Empty() && !s.Committed && !s.Cleared && !s.Withdrawn }

// Stop is why a task cannot go on: an order of this owner that outranks it,
// or more has been seen than the disk knows.
type Stop struct {
	Fenced uint64     // epoch of the order that fenced it; 0: it is behind
	Seen   wire.Stamp // the highest order seen
	Who    []string   // members that claim to have seen it; none: the own order on the broker
	Disk   wire.Stamp // what the task has
	Shown  Shown      // the own order on the broker at the start
	Later  bool       // that one is beyond the disk
}

// Fold adds an update with its weight.
type Fold struct {
	Key
	Weight    uint64
	Staleness uint64 // versions that it is behind
}

// Stage asks for a staging place, filled with what needs no travel (TR-72): zeros, and
// what lies in the place of the same member's update From. What is not there is left
// out: the whole is checked.
type Stage struct {
	Key
	From model.Hash
	Fill []transfer.Same
}

// Write asks for a part that is proven to be checked, and to be staged; answered
// by Written.
type Write struct {
	Key
	Off     int
	Data    []byte
	Message []byte // that Data lies in, and nobody else needs any more
}

// Check asks for an update that is all there to be checked as a whole. Came is the
// content id of the parts that came: where it is not the update's, it is malformed. Kept is
// its verdict where it was accepted before the restart: its bytes are on the disk.
type Check struct {
	Key
	Came model.Hash
	Kept *round.Verdict
}

// Message is something to send.
type Message interface{ isMessage() }

type (
	// Publish begins the publication of an order: its bytes, and those of the model
	// or its manifest on a slot, are what SendOwn takes from now on.
	Publish struct {
		Own   Own // OwnModel; OwnReleased and OwnCanary: a version and an epoch are all that Order says
		Order round.Order
		Slot  uint32
	}
	// SendOwn publishes own messages, each as soon as the one before has left; Sent
	// tells what came of all.
	SendOwn struct{ List []Own }
	// PostOwn publishes it by the way: a head alone, or what the broker has lost.
	PostOwn struct {
		Own    Own
		Repair bool
	}
	// SendPart publishes a part of the model; PartSent tells what came of it.
	SendPart struct {
		Own     Own // whose part it is
		Version uint64
		Slot    uint32
		Index   uint32
		Needed  bool // a member asked for it
	}
	// Clear clears the topic of a part of an earlier layout, or of a canary that has ended;
	// Cleared tells what came of it.
	Clear struct {
		Own    Own
		Part   transfer.PartFilter
		Former bool // of an earlier layout
	}
	// Ask subscribes once more to the own topics: the broker shows what it has.
	Ask struct{}

	// Reply answers one member.
	Reply struct {
		Member string
		Reply  wire.Reply
	}
	// Settle answers a member from the records on disk.
	Settle struct {
		Member  string
		Round   uint64
		Until   uint64 // the last round whose record can have it
		Content model.Hash
	}
	// AnswerDoctor says nothing on a member's reply topic: it is heard (W-42).
	AnswerDoctor struct{ Member string }
	// Tell publishes one fact for people.
	Tell struct{ Fact round.Fact }
	// Count is of a message whose sender is not proven: no Member where it is counted
	// alone.
	Count struct {
		Member string
		Reason verdict.Reason
		Detail string
	}
	// Claims is of a member that says it has seen more than the disk knows.
	Claims struct {
		Member string
		Seen   wire.Stamp
	}

	// Presence publishes the node's presence, anew or the same bytes again.
	Presence struct{ Repair bool }
	// Resubscribe asks for all standing subscriptions again: the broker has lost them.
	Resubscribe struct{}
)

func (Publish) isMessage()      {}
func (SendOwn) isMessage()      {}
func (PostOwn) isMessage()      {}
func (SendPart) isMessage()     {}
func (Clear) isMessage()        {}
func (Ask) isMessage()          {}
func (Reply) isMessage()        {}
func (Settle) isMessage()       {}
func (AnswerDoctor) isMessage() {}
func (Tell) isMessage()         {}
func (Count) isMessage()        {}
func (Claims) isMessage()       {}
func (Presence) isMessage()     {}
func (Resubscribe) isMessage()  {}
