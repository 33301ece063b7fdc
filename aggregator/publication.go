package aggregator

import (
	"bytes"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// publication is the bytes of what a task retains on the broker: the model or its
// manifest with the parts, the head of the last record, and the order.
type publication struct {
	topics   topics.Owner
	partSize int
	seal     func(wire.Header, wire.Message) ([]byte, error)
	now      func() int64

	own      [owner.Owns]link.Message
	modelOf  version               // the model whose bytes are in own
	contract json.RawMessage       // that they have, or have no room for
	noRoom   bool                  // a message had none
	shelf    *shelf                // its parts; nil: it is inline
	next     *shelf                // those of a model that is not committed yet
	lines    lines                 // beside it: the released version
	early    lines                 // and the canary
	issued   map[wire.Stamp]issued // the orders of the open round
}

// issued is an order, and what records say about it.
type issued struct {
	bytes  []byte
	hash   model.Hash // of what they sign
	opened int64      // when it was made
}

func newPublication(o topics.Owner, partSize int, seal func(wire.Header, wire.Message) ([]byte, error), now func() int64) *publication {
	return &publication{topics: o, partSize: partSize, seal: seal, now: now, issued: map[wire.Stamp]issued{}}
}

// issue makes the bytes of an order, once.
func (p *publication) issue(o round.Order, w wire.Order) error {
	if _, ok := p.issued[o.Stamp]; ok {
		return nil
	}
	b, err := p.seal(wire.Header{
		Kind: wire.KindOrder, Epoch: o.Epoch, Round: o.Round, Attempt: o.Attempt, Topic: p.topics.Order(), Base: o.Base,
	}, w)
	if err != nil {
		return err
	}
	hash, err := wire.SignedHash(b)
	p.issued[o.Stamp] = issued{bytes: b, hash: hash, opened: p.now()}
	return err
}

// publish takes over an order that was issued, and its model: on a slot if it
// travels in parts. The contract goes with the model where the message has room for it.
func (p *publication) publish(m owner.Publish, base *model.Model, blob wire.Blob, contract json.RawMessage) error {
	o := m.Order
	of := version{content: o.Base, number: o.Version}
	if fresh := p.modelOf != of || p.own[owner.OwnModel].Payload == nil; fresh || !bytes.Equal(contract, p.contract) {
		if fresh {
			p.shelve(m, base, blob)
		}
		b, err := p.sealModel(wire.KindModel, p.topics, m, base, blob, wire.ModelMembers{Contract: contract})
		if err != nil {
			return err
		}
		p.modelOf, p.contract = of, contract
		p.set(owner.OwnModel, p.topics.Model(), b)
	}
	p.set(owner.OwnOrder, p.topics.Order(), p.issued[o.Stamp].bytes)
	return nil
}

// sealModel makes the message of a model, or of its manifest, with the contract where it has
// room for it.
func (p *publication) sealModel(kind string, at topics.Owner, m owner.Publish, base *model.Model, blob wire.Blob, with wire.ModelMembers) ([]byte, error) {
	b, err := p.sealOnce(kind, at, m, base, blob, with)
	if err == nil && len(b) > p.partSize && with.Contract != nil {
		with.Contract, p.noRoom = nil, true
		return p.sealOnce(kind, at, m, base, blob, with)
	}
	return b, err
}

func (p *publication) sealOnce(kind string, at topics.Owner, m owner.Publish, base *model.Model, blob wire.Blob, with wire.ModelMembers) ([]byte, error) {
	o := m.Order
	var msg wire.Message = wire.Model{Version: o.Version, Tensors: base, ModelMembers: with}
	if blob.Length > 0 {
		msg = wire.Manifest{Version: o.Version, Schema: base.Schema, Slot: m.Slot, Blob: blob, ModelMembers: with}
	}
	return p.seal(wire.Header{
		Kind: kind, Epoch: o.Epoch, Round: o.Version, Topic: at.Model(), Base: o.Base, Encoding: wire.EncodingDense,
	}, msg)
}

// shelve has the parts of a model that travels in parts on the shelf.
func (p *publication) shelve(m owner.Publish, base *model.Model, blob wire.Blob) {
	p.withdraw()
	if blob.Length == 0 {
		return
	}
	p.shelf = p.shelfFor(m.Order.Version, m.Slot, base, blob)
	if n := p.next; n != nil && n.version == p.shelf.version && n.key == p.shelf.key && n.slot == m.Slot {
		p.shelf, p.next = n, nil
	}
}

func (p *publication) shelfFor(number uint64, slot uint32, m *model.Model, blob wire.Blob) *shelf {
	return &shelf{version: number, blob: blob, key: blob.Key(), slot: slot, topics: p.topics, bytes: m.Blob}
}

// forgetAhead has all parts leave that the machine asks for: the broker may have lost those
// that left ahead.
func (p *publication) forgetAhead() {
	p.next.withdraw()
	if p.next = nil; p.shelf != nil {
		p.shelf.early = nil
	}
}

// withdraw lets go of the parts: the model's bytes are used for another.
func (p *publication) withdraw() {
	p.shelf.withdraw()
	p.shelf = nil
}

func (p *publication) set(which owner.Own, topic string, payload []byte) {
	p.own[which] = link.Message{Topic: topic, Payload: payload, QoS: 1, Retained: true}
}

// which tells the own message of a topic.
func (p *publication) which(k topics.Kind) owner.Own {
	switch k {
	case topics.Model:
		return owner.OwnModel
	case topics.Record:
		return owner.OwnHead
	case topics.Order:
		return owner.OwnOrder
	case topics.Released:
		return owner.OwnReleased
	case topics.Canary:
		return owner.OwnCanary
	default:
		return owner.Owns
	}
}

// holds reports whether these are the bytes of an own message.
func (p *publication) holds(which owner.Own, payload []byte) bool {
	return which < owner.Owns && bytes.Equal(payload, p.own[which].Payload)
}

// names lists the own topics that have a message.
func (p *publication) names() (list []string) {
	for _, m := range p.own {
		if m.Payload != nil {
			list = append(list, m.Topic)
		}
	}
	return list
}

// cut is the blob of a model that travels in parts, else one without parts.
func (p *publication) cut(m *model.Model, leaves model.Leaves) (wire.Blob, error) {
	if fitsInline(m.Schema, p.partSize) {
		return wire.Blob{}, nil
	}
	return wire.Cut(len(m.Blob), leaves, p.partSize)
}
