package aggregator

import (
	"bytes"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// retained is one topic of the owner whose retained bytes the driver watches:
// the broker's copy is a cache of the disk.
type retained struct {
	topic   string
	payload []byte
	wrong   bool  // the broker shows other bytes
	mended  int64 // when they were last replaced
}

// The places in task.own, in the order of publication.
const (
	ownModel = iota
	ownHead
	ownOrder
)

// publish puts an order on the broker: model, record head, order. The same
// order is the same bytes again.
func (t *task) publish(o round.Order) error {
	if t.own[ownOrder].payload == nil || t.orderOf != orderID(o) {
		if err := t.prepare(o); err != nil {
			return err
		}
	}
	t.published, t.publishedAt = false, t.a.nowMS()
	if !t.a.up {
		return nil // the machine sends it again when the link is up
	}
	pub := publication{task: t, order: o}
	for i := range t.own {
		if t.own[i].payload != nil {
			pub.msgs = append(pub.msgs, t.own[i].message())
			t.counts.bytesDown += int64(len(t.own[i].payload))
		}
	}
	t.a.pub.put(pub)
	return nil
}

func (r retained) message() link.Message {
	return link.Message{Topic: r.topic, Payload: r.payload, QoS: 1, Retained: true}
}

// id names an order.
type id struct {
	epoch, round uint64
	attempt      uint32
}

func orderID(o round.Order) id { return id{o.Epoch, o.Round, o.Attempt} }

// prepare encodes what a new order needs.
func (t *task) prepare(o round.Order) error {
	base := model.ContentID(o.Base)
	order, err := t.seal(t.topics.Order(), wire.KindOrder, "", t.wireOrder(o), base, o.Round, o.Attempt)
	if err != nil {
		return err
	}
	hash, err := wire.SignedHash(order)
	if err != nil {
		return err
	}
	if t.modelOf != base || t.own[ownModel].payload == nil {
		m, err := t.seal(t.topics.Model(), wire.KindModel, wire.EncodingDense,
			wire.Model{Version: o.Version, Tensors: t.base}, base, o.Version, 0)
		if err != nil {
			return err
		}
		t.set(ownModel, t.topics.Model(), m)
		t.modelOf = base
	}
	t.set(ownOrder, t.topics.Order(), order)
	t.orderOf, t.orderHash = orderID(o), record.Digest(hash)
	t.times = times{opened: t.a.nowMS()}
	return nil
}

func (t *task) set(i int, topic string, payload []byte) {
	t.own[i] = retained{topic: topic, payload: payload, mended: t.own[i].mended}
}

// wireOrder adds to the machine's order what the machine does not know.
func (t *task) wireOrder(o round.Order) wire.Order {
	return wire.Order{
		Work: string(o.Work), ValidFrom: o.ValidFrom, DeadlineMS: o.DeadlineMS, PaceMS: o.PaceMS, HeartbeatMS: o.HeartbeatMS,
		GridB: o.GridB, GridW: o.GridW, Cap: o.Cap, Weights: string(o.Weights), Seed: t.cfg.Seed, Settings: t.cfg.Train,
		Instance: wire.Nonce(o.Instance), CohortSize: o.CohortN, CohortHash: wire.Digest(o.CohortHash),
		SampleSeed: wire.Nonce(o.SampleSeed), SampleThreshold: o.SampleThreshold,
		PartSize: uint32(t.a.cfg.PartSize), // #nosec G115 -- at most 4 MiB
	}
}

// ownTopic looks at what the broker shows on one of the owner's own topics:
// before the start the highest order is remembered, afterwards bytes that are
// not the disk's are replaced, and a higher order of another process fences.
func (t *task) ownTopic(at topics.Topic, m link.Message) {
	if at.Kind == topics.Command {
		t.command(m)
		return
	}
	if at.Kind == topics.Order {
		t.ownOrder(m)
	}
	if !t.a.started {
		return
	}
	for i := range t.own {
		if r := &t.own[i]; r.topic == m.Topic {
			r.wrong = !bytes.Equal(r.payload, m.Payload)
		}
	}
}

func (t *task) ownOrder(m link.Message) {
	if len(m.Payload) == 0 || bytes.Equal(m.Payload, t.own[ownOrder].payload) {
		return
	}
	h, body, err := t.a.own.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return
	}
	o, err := wire.DecodeOrder(body)
	if err != nil {
		return
	}
	if !t.a.started {
		if h.Epoch > t.seen.Epoch {
			t.seen = h
		}
		return
	}
	if h.Epoch > t.state.Epoch || h.Epoch == t.state.Epoch && bytes.Compare(o.Instance[:], t.a.instance[:]) > 0 {
		t.fencedBy = h.Epoch
		t.step(round.Fenced{Epoch: h.Epoch, Instance: round.Instance(o.Instance)})
	}
}

// mend replaces wrong retained bytes, each topic at most once in 10 s, and
// tries an order again whose PUBACK did not come.
func (t *task) mend(now int64) error {
	if !t.a.up {
		return nil
	}
	for i := range t.own {
		r := &t.own[i]
		if r.wrong && now-r.mended >= mendEvery.Milliseconds() && r.payload != nil {
			t.log.Warn().Str("topic", r.topic).Msg("the broker showed other bytes; published again")
			r.wrong, r.mended = false, now
			t.a.conn.Post(r.message())
		}
	}
	if !t.published && t.state.Order != nil && now-t.publishedAt >= mendEvery.Milliseconds() {
		return t.publish(*t.state.Order)
	}
	return nil
}

// rawRecords reads all records of the task.
func (t *task) rawRecords() (raws [][]byte, err error) {
	err = t.a.store.View(func(tx *store.Tx) error {
		return tx.RecordsOf(t.cfg.Name, 0, func(_ uint64, _ uint32, raw []byte) error {
			raws = append(raws, bytes.Clone(raw))
			return nil
		})
	})
	return raws, err
}

// loadRecords checks the chain and takes up where it ends.
func (t *task) loadRecords() error {
	raws, err := t.rawRecords()
	if err != nil {
		return err
	}
	return t.chain(raws)
}

func (t *task) chain(raws [][]byte) error {
	if err := record.CheckChain(raws); err != nil {
		return err
	}
	for _, raw := range raws {
		r, err := record.Decode(raw)
		if err != nil {
			return err
		}
		t.prev = record.Hash(raw)
		if r.Verdict == record.Committed && r.Round > 0 && t.a.store.HasBlob(r.Base) {
			t.versions = append(t.versions, round.ID(r.Base))
		}
		if err := t.export(r.Round, r.Attempt, raw); err != nil {
			return err
		}
		t.note(r)
	}
	if len(raws) == 0 {
		return nil
	}
	head, err := record.HeadOf(raws[len(raws)-1], t.signer())
	if err != nil {
		return err
	}
	t.set(ownHead, t.topics.Record(), head)
	return nil
}

// jsonOf marshals a view; the types of views cannot fail.
func jsonOf(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
