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

// Order is a verified order: what it says, and what its header does.
type Order struct {
	wire.Stamp
	wire.Order
	Base   model.Hash
	Schema model.Hash
	Hash   model.Hash // of what the order signs
	Origin wire.Nonce // of the task
	Lacks  string     // what of it this version lacks, "": nothing
}

func (o *Order) key() Key { return Key{Round: o.Round, Base: o.Base, Work: o.Work} }

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

// Entry is an envelope in the outbox.
type Entry struct {
	Round    uint64
	Attempt  uint32
	Base     model.Hash
	Work     string
	Content  model.Hash
	Blob     wire.BlobKey `json:",omitzero"`  // of an offer
	PartSize uint32       `json:",omitempty"` // under which it was sealed; 0: not known
	Parts    wire.Blob    `json:"-"`          // what the offer says that Blob is
	answered bool         // nothing more is due before the next order
	stuck    bool         // it does not fit the part size of the order in force
	ahead    uint32       // uploads that come first, as the aggregator says
	timer
}

// fresh is the entry as it begins a life of the machine.
func (e Entry) fresh() *Entry {
	e.timer, e.answered, e.stuck, e.ahead = timer{}, false, false, 0
	return &e
}

func (e *Entry) usable(o *Order) bool {
	return e.Round == o.Round && e.Base == o.Base && e.Work == o.Work && e.Attempt >= o.ValidFrom
}

// Over reports whether the entry was sealed for larger messages than the order
// allows (S-26).
func (e *Entry) over(o *Order) bool {
	return o != nil && o.PartSize > 0 && e.PartSize > o.PartSize
}

// decline is the answer to an order this site cannot work for.
type decline struct {
	wire.Stamp
	Base     model.Hash
	Schema   model.Hash
	Reason   string
	Detail   string
	answered bool
	timer
}

// Job is a piece of work for the trainer.
type Job struct {
	Key
	ID       uint64
	Attempt  uint32
	Settings []byte // JSON
	Seed     uint64
}

// timer is a repeated act: due at a time, then later and later.
type timer struct {
	on    bool
	due   ms
	every ms
	again bool // it was due before
	tries int  // how often it was
	first ms   // when it was first
}

// set arms the timer for a time, with the pause that follows it.
func (t *timer) set(due, every ms) { *t = timer{on: true, due: due, every: every} }

// resume is set that goes on counting what has no answer.
func (t *timer) resume(due, every ms) { t.due, t.every, t.again = due, every, false }

// sooner moves the timer to a time that comes before, with the pause that follows.
func (t *timer) sooner(due, every ms) {
	if due < t.due {
		t.set(due, every)
	}
}

// later moves the timer on: its pause +-50 %, twice as long the next time, to
// at most a minute.
func (t *timer) later(now ms, r Random) {
	t.again, t.due = true, now+jitter(r, t.every)
	if t.tries++; t.tries == 1 {
		t.first = now
	}
	t.every = min(2*t.every, repeatMost)
}

// jitter draws from d +-50 %.
func jitter(r Random, d ms) ms { return d/2 + r.Int64N(d+1) }
