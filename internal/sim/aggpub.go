package sim

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// The places in agg.retained, in the order of publication.
const (
	ownModel = iota
	ownHead
	ownOrder
)

// retained is an own topic that is watched: the broker's copy is a cache.
type retained struct {
	topic topic
	body  any // what should be there
	copy  transfer.Copy
}

// look compares what the broker shows.
func (a *agg) look(m message) {
	if !a.started || a.w.bugs.TopicsUnwatched {
		return
	}
	for i := range a.retained {
		r := &a.retained[i]
		if r.body == nil || r.topic != m.topic {
			continue
		}
		r.copy.Shown(r.body == m.body, a.now())
	}
}

func (a *agg) set(i int, kind topicKind, body any) {
	r := &a.retained[i]
	r.topic, r.body = topic{kind: kind}, body
	r.copy.Replace()
}

// repairAt is when the next wrong topic is to be replaced, in the clock of the
// simulation.
func (a *agg) repairAt() (at ms) {
	if !a.up || a.flying {
		return 0
	}
	for i := range a.retained {
		if t := a.retained[i].copy.RepairAt(); t > 0 && (at == 0 || t < at) {
			at = t
		}
	}
	return at
}

// tend looks after retained topics, and an order without its PUBACK.
func (a *agg) tend() {
	if !a.up || !a.started {
		return
	}
	if a.headDue {
		a.headDue = false
		a.conn.post(a.retained[ownHead].message())
	}
	now := a.now()
	for i := range a.retained {
		r := &a.retained[i]
		if !a.flying && r.copy.Repair(now) {
			a.conn.post(r.message())
		}
	}
	if at := a.retryAt(); at > 0 && now >= at && a.state.Order != nil {
		a.publish(*a.state.Order)
	}
}

func (r *retained) message() message { return message{topic: r.topic, body: r.body, retained: true} }

// retryAt is when an order without a PUBACK is published again.
func (a *agg) retryAt() ms {
	if a.landed || a.flying || !a.up || a.retained[ownOrder].body == nil {
		return 0
	}
	return a.triedAt + 10_000
}

// publication is what one order needs on the broker.
type publication struct {
	number int
	order  round.Order
	msgs   []message
}

// publish puts an order on the broker: model, record head, order.
func (a *agg) publish(o round.Order) {
	a.prepare(o)
	a.landed, a.triedAt = false, a.now()
	if !a.up {
		return
	}
	a.pubs++
	pub := &publication{number: a.pubs, order: o}
	a.headDue, a.flying = false, true
	for i := range a.retained {
		if a.retained[i].body != nil {
			pub.msgs = append(pub.msgs, a.retained[i].message())
		}
	}
	if a.held = nil; a.shelf != nil && !a.shelved {
		a.held = pub
		return
	}
	a.pub.put(pub)
}

// published takes the outcome of the newest publication.
func (a *agg) published(p *publication, ok bool) {
	if p.number != a.pubs {
		return
	}
	a.flying, a.landed = false, ok
	if ok {
		a.w.check.landed(a, p.order)
		a.step(round.Published{Order: p.order.Stamp})
	}
	a.work()
}

// prepare makes the messages of a new order.
func (a *agg) prepare(o round.Order) {
	of := o.Stamp
	if a.retained[ownOrder].body != nil && a.orderOf == of {
		return
	}
	m := &orderMsg{Order: o, partSize: a.w.plan.partSize(a.lives), by: a.n}
	in := binary.LittleEndian.AppendUint64(o.Instance[:], o.Epoch)
	in = binary.LittleEndian.AppendUint64(in, o.Round<<32|uint64(o.Attempt))
	in = binary.LittleEndian.AppendUint64(in, uint64(a.w.now)) // #nosec G115 -- not negative
	m.hash = sha256.Sum256(in)
	if is := (version{o.Base, o.Version}); a.modelOf != is || a.retained[ownModel].body == nil {
		a.set(ownModel, onModel, a.distribution(o))
		a.modelOf = is
	}
	a.set(ownOrder, onOrder, m)
	a.orderOf = of
	a.issued[of] = m.hash
}

// shelf is one version of a model that goes out in parts.
type shelf struct {
	blob  wire.Blob
	key   wire.BlobKey
	slot  uint32
	bytes []byte
}

type found struct {
	key  wire.BlobKey
	slot uint32
}

// distribution is the model of an order, or its manifest.
func (a *agg) distribution(o round.Order) *modelMsg {
	a.shelf = nil
	size := a.w.plan.partSize(a.lives)
	m := &modelMsg{content: hashOf(a.base), version: o.Version}
	if len(a.base) <= size {
		m.bytes = a.base
		return m
	}
	blob := cut(a.base, size/2)
	s := &shelf{blob: blob, key: blob.Key(), slot: uint32(o.Version % slots), bytes: a.base} // #nosec G115 -- small
	a.shelf, a.shelved = s, a.found == found{s.key, s.slot}
	a.mender = a.mender.Next()
	a.mender.Hold(blob)
	a.mender.All(a.now())
	if a.up {
		a.mender.Connected(a.now())
	}
	m.blob, m.slot = blob, s.slot
	return m
}

const slots = 2

// mend does what the mender owes.
func (a *agg) mend() {
	if a.shelf == nil {
		return
	}
	a.mender.Tick(a.now())
	rd := a.mender.Ready()
	a.mendAt = rd.Wake
	for _, i := range rd.Publish {
		s := a.shelf
		m := message{topic: partTopic(s.slot, i), body: &partMsg{partOf(s.blob, s.key, s.bytes, i)}, retained: true}
		a.conn.within(30_000, m, func(ok bool) {
			if a.shelf == s {
				a.mender.Sent(a.now(), i, ok)
			}
			a.work()
		})
	}
	if rd.Done {
		a.shelved = true
	}
	if a.shelved && a.held != nil {
		a.pub.put(a.held)
		a.held = nil
	}
}

// publisher sends publications and waits for their PUBACKs. Only the newest
// that waits is kept.
type publisher struct {
	a       *agg
	pending *publication
	busy    bool
}

func (p *publisher) put(pub *publication) {
	p.pending = pub
	p.next()
}

func (p *publisher) next() {
	if p.busy || p.pending == nil {
		return
	}
	pub := p.pending
	p.pending, p.busy = nil, true
	p.send(pub, 0)
}

func (p *publisher) send(pub *publication, i int) {
	p.a.conn.within(30_000, pub.msgs[i], func(ok bool) {
		if ok && i+1 < len(pub.msgs) && p.pending == nil {
			p.send(pub, i+1)
			return
		}
		p.busy = false
		p.a.published(pub, ok && i+1 == len(pub.msgs))
		p.next()
	})
}

// setHead takes over a record that has become durable.
func (a *agg) setHead(r *record) {
	h := &headMsg{round: r.round, attempt: r.attempt, verdict: "abandoned", hash: r.hash, counted: map[uint32]bool{}, by: a.n}
	if r.committed {
		h.verdict = "committed"
	}
	for _, e := range r.entries {
		if e.Verdict == verdict.Counted {
			h.counted[e.Index] = true
		}
	}
	a.set(ownHead, onRecord, h)
}
