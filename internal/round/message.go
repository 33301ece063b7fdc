package round

import (
	"encoding/json"

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

// SendReply answers one member. A refusal whose reason is not Authenticated is the
// driver's to count, and to answer once a second.
type SendReply struct {
	Member string
	Reply  wire.Reply
}

// SendAdmit says that an offered update may be uploaded: complete and checked
// it comes back as an Update. Round and Attempt are the offer's.
type SendAdmit struct {
	Member  string
	Round   uint64
	Attempt uint32
	Content model.Hash
	Counted bool // an earlier update of the member is in a model

	Staleness uint64 // the round that it would count in is so many after its own
}

// SendSettled asks the driver to look up what became of a member's update of
// an older round, and to answer settled.
type SendSettled struct {
	Member  string
	Round   uint64
	Until   uint64 // the last round that it can have counted in
	Content model.Hash
}

// SendEvent publishes one fact for people to read.
type SendEvent struct{ Fact Fact }

func (SendOrder) message()   {}
func (SendReply) message()   {}
func (SendAdmit) message()   {}
func (SendSettled) message() {}
func (SendEvent) message()   {}

// Order is an order with its stamp, and what its header says of the base. The
// machine decides all but trainer settings, seed and part size, which the driver
// adds. It never changes within an attempt.
type Order struct {
	wire.Stamp
	Base    model.Hash `json:"base"`
	Version uint64     `json:"version"` // of the base
	wire.Order
	Reason string `json:"reason,omitempty"` // of work none: paused, stopped (with why), finished
}

// order is Order as the disk has it: numbers are numbers, and what the driver adds
// is not there.
type order struct {
	plain
	Cap             uint64    `json:"cap"`
	SampleThreshold uint64    `json:"sample_threshold"`
	Seed            *struct{} `json:"seed,omitempty"`
	Settings        *struct{} `json:"settings,omitempty"`
	PartSize        *struct{} `json:"part_size,omitempty"`
}

type plain Order

// MarshalJSON writes the order as it lies on the disk.
func (o Order) MarshalJSON() ([]byte, error) {
	return json.Marshal(order{plain: plain(o), Cap: o.Cap, SampleThreshold: o.SampleThreshold})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Order) UnmarshalJSON(b []byte) error {
	var d order
	err := json.Unmarshal(b, &d)
	*o = Order(d.plain)
	o.Cap, o.SampleThreshold = d.Cap, d.SampleThreshold
	return err
}

// Fact is one line on the event topic. Fields that a kind does not use are
// zero.
type Fact struct {
	Kind    FactKind
	Round   uint64
	Attempt uint32
	Member  string
	Work    string
	Content model.Hash
	Reason  verdict.Reason
	Detail  string
	Count   int // members: of a cohort (opened), accepted (closing, abandoned), welcomed (joined)
}

// FactKind is the kind of a fact.
type FactKind string

// The facts.
const (
	FactJoined     FactKind = "joined"     // Member, Count; Detail: what of it is not known
	FactLeft       FactKind = "left"       // Member
	FactContract   FactKind = "contract"   // Member, Detail: its contract is the task's
	FactSuperseded FactKind = "superseded" // Member
	FactContested  FactKind = "contested"  // Member, Detail: the hosts of its two processes
	FactOpened     FactKind = "opened"     // Work, Count
	FactAccepted   FactKind = "accepted"   // Member, Content, Count so far; Detail: how far it is behind
	FactOffered    FactKind = "offered"    // Member, Content: its upload begins; the driver tells it
	FactRefused    FactKind = "refused"    // Member, Content, Reason, Detail
	FactDeclined   FactKind = "declined"   // Member, Detail
	FactClosing    FactKind = "closing"    // Detail: the Close, Count
	FactCommitted  FactKind = "committed"  // Content: the new base
	FactAbandoned  FactKind = "abandoned"  // Detail: the Close, Count
	FactWaiting    FactKind = "waiting"    // Count: milliseconds
	FactGate       FactKind = "gate"       // Content: the model that was held against the released one; Detail: which version, and what came of it
	FactCandidate  FactKind = "candidate"  // Content: of a version that has passed; Detail: which one
	FactReleased   FactKind = "released"   // Content: its model; Detail: which version, and why
	FactCanary     FactKind = "canary"     // Content: its model; Detail: which version, where, and what came of it
	FactEarlyStop  FactKind = "early_stop" // Count: so many models in a row were not better; Detail: which one is the best
	FactHalted     FactKind = "halted"     // Detail: paused, stopped..., finished
	FactCommand    FactKind = "command"    // Member: its id, Detail: op and what came of it
)
