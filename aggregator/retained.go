package aggregator

import (
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// ownTopic looks at what the broker shows on one of the owner's own topics: it is a
// cache of the disk, so the machine hears whether it is right. Before the start,
// what another process may have left there is kept for adoption.
func (t *task) ownTopic(at topics.Topic, m link.Message) {
	switch at.Kind {
	case topics.Command:
		t.command(m)
		return
	case topics.Order:
		t.ownOrder(m)
	case topics.Model, topics.Released, topics.Canary:
		t.ownModel(at.Kind, m)
	case topics.Record:
		if !t.a.machine.Started() {
			t.shown.head = m.Payload
		}
	}
	if which := t.published.which(at.Kind); which < owner.Owns && t.a.machine.Started() {
		t.step(owner.Seen{Own: which, Right: t.published.holds(which, m.Payload)})
	}
}

// ownOrder passes on a verified order of this owner that is not the one published
// last.
func (t *task) ownOrder(m link.Message) {
	if len(m.Payload) == 0 || t.published.holds(owner.OwnOrder, m.Payload) {
		return
	}
	h, body, err := t.a.own.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return
	}
	o, err := wire.DecodeOrder(body)
	if err != nil && wire.Unsupported(err) == "" { // one of a later version fences too
		return
	}
	hash, err := wire.SignedHash(m.Payload)
	if err != nil {
		return
	}
	t.step(owner.OrderShown{Shown: owner.Shown{Stamp: h.Stamp(), Base: h.Base, Hash: hash}, Instance: o.Instance})
}

// ownModel looks at the own model, or its manifest, that the broker retains before
// the start; or at the released one.
func (t *task) ownModel(kind topics.Kind, m link.Message) {
	if t.a.machine.Started() {
		return
	}
	if kind == topics.Model {
		t.shown.model = m.Payload
	}
	if len(m.Payload) == 0 {
		return
	}
	_, body, err := t.a.own.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return
	}
	d, err := wire.DecodeModel(body, wire.Limits{Part: wire.MaxPart})
	if mf, ok := d.(wire.Manifest); ok && err == nil {
		t.step(owner.ManifestShown{Own: t.published.which(kind), Blob: mf.Blob.Key(), Slot: mf.Slot})
	}
}
