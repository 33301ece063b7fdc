package member

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Key names a piece of work: an order with the same key asks for nothing new.
type Key struct {
	Round uint64
	Base  model.Hash
	Work  string
}

// State is what a member keeps of a task, durable before anything is sent that
// depends on it.
type State struct {
	Seen         wire.Stamp // highest order obeyed
	OrderHash    model.Hash // of that order
	Instance     wire.Nonce // of the aggregator that gave it
	Counter      uint64     // created_ms of the last join
	Welcomed     bool
	WelcomeEpoch uint64 // epoch of the last welcome
	Index        uint32 // durable index of the member
	FromRound    uint64 // first (round, attempt) it takes part in
	FromAttempt  uint32
	Over         Over       // the last work that needs no more of this site
	Origin       wire.Nonce `json:",omitzero"` // of the task whose orders are obeyed, zero: none was seen
	Former       [4]Former  `json:",omitzero"` // lives of the task that are over for this member, the last first
}

// Over says what became of a piece of work.
type Over struct {
	Key     Key
	Attempt uint32 // of the order when it ended
	Verdict string // counted, a refusal, "record", or ""
	Refused bool
}

// Former is a life of the task that is over for this member: its origin, and the
// epoch of the highest order obeyed in it.
type Former struct {
	Origin wire.Nonce
	Epoch  uint64
}

// Stored names a model: content id and schema hash.
type Stored struct {
	Content model.Hash
	Schema  model.Hash
}
