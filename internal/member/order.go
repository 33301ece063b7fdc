package member

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

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

// mostMembers is the most that a task has.
const mostMembers = 1 << 14

// members is how many members an order is for, at least: those that are asked,
// and those that make its heartbeat slower than every 30 s.
func (o *Order) members() int {
	n := uint64(o.CohortSize)
	if o.HeartbeatMS > 30_000 {
		n = max(n, o.HeartbeatMS/10)
	}
	return int(min(n, mostMembers)) // just bounded
}

// verdictAbandoned is the verdict in the head of a record whose round is opened again.
const verdictAbandoned = "abandoned"

// Job is a piece of work for the trainer.
type Job struct {
	Key
	ID       uint64
	Attempt  uint32
	Settings []byte     // JSON
	Contract model.Hash // that of the order; zero: none
	Local    wire.Local // what the strategy needs of the trainer
	Seed     uint64
	Encoding string       // of the update
	Locals   model.Locals // tensors that stay here
	Late     bool         // its result may count in a later round
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
