package sim

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// topic names a topic of the one task there is.
type topic struct {
	kind topicKind
	a, b int32 // the member, or slot and part
}

type topicKind uint8

const (
	onOrder topicKind = iota
	onModel
	onRecord
	onReply // a: member
	onState // of the aggregator
	onModelPart
	onJoin // a: member, and so all that follow
	onUpdate
	onPart
	onNeed
	onPresence
)

// message is what travels. Bodies are pointers to the types below and never
// change; two are the same bytes if they are the same pointer.
type message struct {
	topic    topic
	body     any
	retained bool
}

type orderMsg struct {
	round.Order
	hash     [32]byte
	partSize int
	by       int // the aggregator's number
}

// modelMsg is a model, whole or as its manifest.
type modelMsg struct {
	content model.Hash
	version uint64
	bytes   []byte // inline
	slot    uint32
	blob    wire.Blob // else
}

// headMsg is the head of a record.
type headMsg struct {
	round   uint64
	attempt uint32
	verdict string
	hash    uint64
	model   model.Hash      // in which it ends
	counted map[uint32]bool // by index
	by      int
}

type replyMsg struct {
	epoch uint64
	reply wire.Reply
}

type joinMsg struct {
	samples  uint64
	instance wire.Nonce
	disk     wire.Nonce
	counter  uint64
	seen     wire.Stamp
	digest   model.Hash
}

// updateMsg is an update, its offer, or a decline. It is made once: what an
// outbox holds.
type updateMsg struct {
	round   uint64
	attempt uint32
	base    model.Hash
	content model.Hash
	samples uint64
	bytes   []byte // inline, nil for evaluate
	blob    wire.Blob
	offer   bool
	decline string
}

type partMsg struct{ wire.Part }

type needMsg struct{ wire.Need }

type stateMsg struct{ by int }

// presenceMsg is what a site says of itself, or its Last Will.
type presenceMsg struct {
	instance   wire.Nonce
	connection uint64
	online     bool
}
