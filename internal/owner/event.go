package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Event is what a driver tells a [Machine] or a [Task]: one of the types below.
type Event interface{ isEvent() }

// Of a Machine: the link, its own presence, the time.
type (
	// LinkUp says that the link is up and its subscriptions are granted.
	LinkUp struct{}
	// LinkDown says that the link is down.
	LinkDown struct{}
	// Echo is what the broker shows as this node's presence: the bytes that were
	// published last, or others.
	Echo struct{ Own bool }
	// Tick passes the time; one is wanted at Ready.Wake.
	Tick struct{}
)

// Of a Task, from the broker.
type (
	// Join is a member's join that passed the driver's checks, with the highest
	// order that the member has seen.
	Join struct {
		round.Join
		Seen wire.Stamp
	}
	// Update is a contribution that came whole, or what is wrong with one. Held says
	// that the driver has its bytes; Ready says when they may go.
	Update struct {
		round.Update
		Held bool
	}
	// Offer is an update that is to come in parts. The driver holds what the offer
	// says beside them; Ready says when that may go.
	Offer struct {
		round.Update
		Blob  wire.Blob
		Whole bool // each part of it travels, whatever is known of it (TR-74)
	}
	// Part is a part of an upload; Bytes is how long its message was.
	Part struct {
		Member  string
		Part    wire.Part
		Bytes   int
		Message []byte // that the part's data lies in; Write passes it on
	}
	// Need asks for parts of the model again.
	Need struct {
		Member  string
		Round   uint64
		Attempt uint32
		Need    wire.Need
	}
	// MemberShown is a member's presence, which the broker shows before the start, too.
	MemberShown struct{ round.Presence }
	// Said is what concerns the round alone: a decline, a command, a leave.
	Said struct{ Event round.Event }
	// Refused is a message that did not get past its envelope: nobody is proven to
	// have sent it.
	Refused struct {
		Member string
		Reply  wire.RefusalReply
	}
	// Asked is the question of a doctor at a member's path.
	Asked struct{ Member string }

	// OrderShown is a verified order of this owner that the broker shows and that is
	// not the one this process published last.
	OrderShown struct {
		Shown
		Instance wire.Nonce
	}
	// ManifestShown is the manifest that the broker shows before the start.
	ManifestShown struct {
		Own  Own // of OwnModel, OwnReleased or OwnCanary
		Blob wire.BlobKey
		Slot uint32
	}
	// Seen is what the broker shows on an own retained topic: what should be there,
	// or not.
	Seen struct {
		Own   Own
		Right bool
	}
)

// Of a Task, from the driver's work: each answers something that a Ready asked for.
type (
	// Written says that a part was checked and staged, or what is wrong with it.
	Written struct {
		Key
		Problem verdict.Reason
		Detail  string
	}
	// Checked answers Ready.Check. Void says that nothing can be said of the update:
	// its sender offers it again.
	Checked struct {
		Key
		Void    bool
		Problem verdict.Reason
		Detail  string
		Norm    float64
	}
	// Committed answers Ready.Commit: model and record are computed, and their blobs
	// are durable. The record belongs in the transaction of the next Ready.
	Committed struct {
		Model      Model
		Record     model.Hash
		Thresholds map[string]float64 // of the next round of training
		Score      *round.Score       // see round.Committed
	}
	// Release has a version published as the one that is approved for the lines, or as the
	// canary: it is durable that it is.
	Release struct {
		Own     Own // OwnReleased or OwnCanary
		Version uint64
		Model   Model
	}
	// Withdraw takes the canary off the broker, with the parts that its model has.
	Withdraw struct{ Parts int }
	// Sent says what came of SendOwn: OK once the broker has acknowledged each of
	// the messages; Own is the first of them.
	Sent struct {
		Own Own
		OK  bool
	}
	// PartSent says what came of publishing a part of a version of the model.
	PartSent struct {
		Own     Own
		Version uint64
		Index   uint32
		OK      bool
	}
	// Cleared says what came of clearing a topic of an earlier layout.
	Cleared struct {
		Own Own
		OK  bool
	}
)

func (LinkUp) isEvent()        {}
func (LinkDown) isEvent()      {}
func (Echo) isEvent()          {}
func (Tick) isEvent()          {}
func (Join) isEvent()          {}
func (Update) isEvent()        {}
func (Offer) isEvent()         {}
func (Part) isEvent()          {}
func (Need) isEvent()          {}
func (MemberShown) isEvent()   {}
func (Said) isEvent()          {}
func (Refused) isEvent()       {}
func (Asked) isEvent()         {}
func (OrderShown) isEvent()    {}
func (ManifestShown) isEvent() {}
func (Seen) isEvent()          {}
func (Written) isEvent()       {}
func (Checked) isEvent()       {}
func (Committed) isEvent()     {}
func (Release) isEvent()       {}
func (Withdraw) isEvent()      {}
func (Sent) isEvent()          {}
func (PartSent) isEvent()      {}
func (Cleared) isEvent()       {}

// Key names an update within its task.
type Key struct {
	Member  string
	Content model.Hash
}

// Model is a version's content, and its blob where it travels in parts.
type Model struct {
	Content model.Hash
	Blob    wire.Blob // without parts: it travels in one message
}

// Shown is an order of this owner that the broker showed.
type Shown struct {
	wire.Stamp
	Base model.Hash
	Hash model.Hash // of its signed bytes
}

// Own names one of a task's retained messages, in the order of publication.
type Own uint8

// The own messages: the model or its manifest, the head of the last record, the
// order, which is the commit point for sites; and beside them the released version and the
// canary.
const (
	OwnModel Own = iota
	OwnHead
	OwnOrder
	OwnReleased
	OwnCanary
	Owns // how many there are
)
