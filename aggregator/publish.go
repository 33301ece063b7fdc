package aggregator

import (
	"encoding/json"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// The places in task.own, in the order of publication.
const (
	ownModel = iota
	ownHead
	ownOrder
)

// version names a published model: the same content is another version after
// a round that changed nothing.
type version struct {
	content model.Hash
	number  uint64
}

// issued is what records say about an attempt's order.
type issued struct {
	hash   model.Hash // of its signed bytes
	opened int64      // when it was made
}

// publish puts an order on the broker: model, record head, order. The same
// order is the same bytes again.
func (t *task) publish(o round.Order) error {
	if err := t.prepare(o); err != nil {
		return err
	}
	t.published, t.triedAt = false, t.a.nowMS()
	if !t.a.up {
		return nil // the machine sends it again when the link is up
	}
	t.publications++
	pub := publication{task: t, number: t.publications, order: o}
	t.headDue, t.flying = false, true
	for i := range t.own {
		if t.own[i].payload != nil {
			pub.msgs = append(pub.msgs, t.own[i].message())
			t.sent(len(t.own[i].payload))
		}
	}
	if t.held = nil; t.shelf != nil && !t.shelved {
		t.held = &pub // until the parts are there
		return nil
	}
	t.a.pub.put(pub)
	return nil
}

// publishedOrder takes the outcome of the newest publication; older ones do
// not matter any more.
func (t *task) publishedOrder(p publication) {
	if p.number != t.publications {
		return
	}
	t.flying, t.published = false, p.ok
	if p.ok {
		crash.At("order.after-publish")
		t.orderOut()
		t.auditPublished(p.order)
		t.step(round.Published{Order: p.order.Stamp})
	}
}

// retryAt is when an order without a PUBACK is published again; 0: it need
// not be.
func (t *task) retryAt() int64 {
	if t.published || t.flying || !t.a.up || t.own[ownOrder].payload == nil {
		return 0
	}
	return t.triedAt + retryEvery.Milliseconds()
}

// prepare encodes what a new order needs.
func (t *task) prepare(o round.Order) error {
	if t.own[ownOrder].payload != nil && t.orderOf == o.Stamp {
		return nil
	}
	base := o.Base
	order, err := t.seal(wire.Header{
		Kind: wire.KindOrder, Epoch: o.Epoch, Round: o.Round, Attempt: o.Attempt, Topic: t.topics.Order(), Base: base,
	}, t.wireOrder(o))
	if err != nil {
		return err
	}
	hash, err := wire.SignedHash(order)
	if err != nil {
		return err
	}
	if of := (version{base, o.Version}); t.modelOf != of || t.own[ownModel].payload == nil {
		d, err := t.distribution(o)
		if err != nil {
			return err
		}
		m, err := t.seal(wire.Header{
			Kind: wire.KindModel, Epoch: o.Epoch, Round: o.Version, Topic: t.topics.Model(), Base: base, Encoding: wire.EncodingDense,
		}, d)
		if err != nil {
			return err
		}
		t.set(ownModel, t.topics.Model(), m)
		t.modelOf = of
	}
	t.set(ownOrder, t.topics.Order(), order)
	t.orderOf = o.Stamp
	t.issued[t.orderOf] = issued{hash: hash, opened: t.a.nowMS()}
	return nil
}

func (t *task) set(i int, topic string, payload []byte) {
	t.own[i].topic, t.own[i].payload = topic, payload
	t.own[i].copy.Replace()
}

// wireOrder adds to the machine's order what the machine does not know.
func (t *task) wireOrder(o round.Order) wire.Order {
	w := o.Order
	w.Seed, w.Settings = t.settings.Seed, t.settings.Train
	w.PartSize = uint32(t.a.cfg.PartSize) // #nosec G115 -- at most 4 MiB
	return w
}

// jsonOf marshals a view; the types of views cannot fail.
func jsonOf(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
