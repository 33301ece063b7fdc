package round

import (
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Message is something to send: SendOrder, SendReply, SendAdmit, SendSettled
// or SendEvent.
type Message interface{ message() }

// SendOrder publishes the current order, its model first, and is repeated at
// every connect; publishing is idempotent. The driver answers with Published.
type SendOrder struct{ Order Order }

// NewestOrder is the place of the last order among messages, -1 without one.
// One before it was outdated within one Ready and never leaves.
func NewestOrder(msgs []Message) int {
	for i := len(msgs) - 1; i >= 0; i-- {
		if _, ok := msgs[i].(SendOrder); ok {
			return i
		}
	}
	return -1
}

// SendReply answers one member.
type SendReply struct {
	Member string
	Reply  Reply
}

// SendAdmit says that an offered update may be uploaded: complete and checked
// it comes back as an Update. Round and Attempt are the offer's.
type SendAdmit struct {
	Member  string
	Round   uint64
	Attempt uint32
	Content model.Hash
	Counted bool // an earlier update of the member is in a model
}

// SendSettled asks the driver to look up what became of a member's update of
// an older round, and to answer settled.
type SendSettled struct {
	Member  string
	Round   uint64
	Content model.Hash
}

// SendEvent publishes one fact for people to read.
type SendEvent struct{ Fact Fact }

func (SendOrder) message()   {}
func (SendReply) message()   {}
func (SendAdmit) message()   {}
func (SendSettled) message() {}
func (SendEvent) message()   {}

// Order is all of an order that the machine decides; the driver adds trainer
// settings, seeds, part size and schema. It never changes within an attempt.
type Order struct {
	Epoch           uint64     `json:"epoch"`
	Round           uint64     `json:"round"`
	Attempt         uint32     `json:"attempt"`
	Work            Work       `json:"work"`
	Base            model.Hash `json:"base"`
	Version         uint64     `json:"version"` // of the base
	ValidFrom       uint32     `json:"valid_from"`
	DeadlineMS      uint64     `json:"deadline_ms"`
	PaceMS          uint64     `json:"pace_ms"`
	HeartbeatMS     uint64     `json:"heartbeat_ms"`
	GridB           int        `json:"grid_b"`
	GridW           int        `json:"grid_w"`
	Cap             uint64     `json:"cap"`
	Weights         Weights    `json:"weights"`
	Instance        wire.Nonce `json:"instance"`
	CohortN         uint32     `json:"cohort_n"`
	CohortHash      model.Hash `json:"cohort_hash"`
	SampleSeed      wire.Nonce `json:"sample_seed"`      // zero without sampling
	SampleThreshold uint64     `json:"sample_threshold"` // MaxUint64: everybody
	Reason          string     `json:"reason,omitempty"` // of work none: paused, stopped (with why), finished
}

// Reply is the body of an answer: Welcome, Receipt, Refusal, Superseded or
// Standby.
type Reply interface{ reply() }

// Welcome gives a member its index and the first order that it may be in.
type Welcome struct {
	Index       uint32
	FromRound   uint64
	FromAttempt uint32
}

// Receipt says that an update was accepted and journalled. For a decline
// that was noted, Content is zero.
type Receipt struct {
	Round   uint64
	Attempt uint32
	Content model.Hash
}

// Refusal says why a message does not count. Reasons that are not
// Authenticated are the driver's to count, and to answer once a second.
type Refusal struct {
	Round   uint64
	Attempt uint32
	Content model.Hash // zero for a join or a decline
	Reason  verdict.Reason
	Detail  string
	Counter uint64 // with old_counter: the highest seen
}

// Superseded tells an instance that a newer one of the same member took over.
type Superseded struct{ Instance wire.Nonce }

// Standby tells an instance that another process, on another disk, speaks for
// the member, and when to come again.
type Standby struct {
	Instance wire.Nonce
	WaitMS   uint64
	Host     string // of the other
}

func (Welcome) reply()    {}
func (Receipt) reply()    {}
func (Refusal) reply()    {}
func (Superseded) reply() {}
func (Standby) reply()    {}

// Fact is one line on the event topic. Fields that a kind does not use are
// zero.
type Fact struct {
	Kind    FactKind
	Round   uint64
	Attempt uint32
	Member  string
	Work    Work
	Content model.Hash
	Reason  verdict.Reason
	Detail  string
	Count   int // members: of a cohort (opened), accepted (closing, abandoned), welcomed (joined)
}

// FactKind is the kind of a fact.
type FactKind string

// The facts.
const (
	FactJoined     FactKind = "joined"     // Member, Count
	FactLeft       FactKind = "left"       // Member
	FactSuperseded FactKind = "superseded" // Member
	FactContested  FactKind = "contested"  // Member, Detail: the hosts of its two processes
	FactOpened     FactKind = "opened"     // Work, Count
	FactAccepted   FactKind = "accepted"   // Member, Content, Count so far
	FactOffered    FactKind = "offered"    // Member, Content: its upload begins; the driver tells it
	FactRefused    FactKind = "refused"    // Member, Content, Reason, Detail
	FactDeclined   FactKind = "declined"   // Member, Detail
	FactClosing    FactKind = "closing"    // Detail: the Close, Count
	FactCommitted  FactKind = "committed"  // Content: the new base
	FactAbandoned  FactKind = "abandoned"  // Detail: the Close, Count
	FactWaiting    FactKind = "waiting"    // Count: milliseconds
	FactHalted     FactKind = "halted"     // Detail: paused, stopped..., finished
	FactCommand    FactKind = "command"    // Member: its id, Detail: op and what came of it
)
