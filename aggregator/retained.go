package aggregator

import (
	"bytes"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// retained is one topic of the owner whose retained bytes the driver watches:
// the broker's copy is a cache of the disk.
type retained struct {
	topic   string
	payload []byte // what should be there
	copy    transfer.Copy
}

func (r *retained) message() link.Message {
	return link.Message{Topic: r.topic, Payload: r.payload, QoS: 1, Retained: true}
}

// look compares what the broker shows.
func (r *retained) look(payload []byte, now int64) {
	r.copy.Shown(r.payload == nil || bytes.Equal(r.payload, payload), now)
}

// mend repairs the topic if it is time.
func (r *retained) mend(a *aggregator, now int64) {
	if !r.copy.Repair(now) {
		return
	}
	a.log.Warn().Str("topic", r.topic).Msg("the broker showed other bytes, or none; published again")
	a.conn.Post(r.message())
}

// ask has the broker show what it holds: what it has forgotten under a live link
// nobody would miss before the next connect.
func (t *task) ask(now int64) {
	var topics []string
	for i := range t.own {
		if r := &t.own[i]; r.payload != nil {
			r.copy.Asked(now)
			topics = append(topics, r.topic)
		}
	}
	t.a.conn.Resubscribe(topics...)
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
		t.show(at, m)
		if at.Kind == topics.Model && len(m.Payload) > 0 {
			t.findModel(m)
		}
		return
	}
	for i := range t.own {
		if r := &t.own[i]; r.topic == m.Topic {
			r.look(m.Payload, t.a.nowMS())
		}
	}
}

// show keeps what the broker retained before the start, for adoption.
func (t *task) show(at topics.Topic, m link.Message) {
	switch at.Kind {
	case topics.Model:
		t.shown.model = m.Payload
	case topics.Record:
		t.shown.head = m.Payload
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
		if s := t.shown.order; h.Epoch > s.Epoch || h.Epoch == s.Epoch && h.Round > s.Round {
			hash, err := wire.SignedHash(m.Payload)
			if err == nil {
				t.shown.order, t.shown.orderHash = h, hash
			}
		}
		return
	}
	if h.Epoch > t.state.Epoch || h.Epoch == t.state.Epoch && bytes.Compare(o.Instance[:], t.a.instance[:]) > 0 {
		t.fencedBy = h.Epoch
		t.step(round.Fenced{Epoch: h.Epoch, Instance: o.Instance})
	}
}

// seenLater reports an own order on the broker that the disk cannot know of:
// only a restored backup explains it, since every order is on disk before it
// is published.
func (t *task) seenLater() bool {
	h := t.shown.order
	return h.Round > t.state.Round || h.Round == t.state.Round && h.Base != t.state.Base
}
