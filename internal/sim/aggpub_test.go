package sim

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// within is how long a PUBACK is waited for.
const within ms = 30_000

// send passes on what the machine says.
func (a *agg) send(msgs []owner.Message) {
	for _, m := range msgs {
		switch m := m.(type) {
		case owner.Publish:
			a.publish(m)
		case owner.SendOwn:
			a.sendOwn(m.List)
		case owner.PostOwn:
			if !m.Repair || !a.w.bugs.TopicsUnwatched {
				a.conn.post(a.own[m.Own])
			}
		case owner.SendPart:
			a.sendPart(m)
		case owner.Ask:
			for i := range a.own {
				if a.own[i].body != nil {
					a.conn.resubscribe(a.own[i].topic)
				}
			}
		case owner.Reply:
			a.reply(m.Member, m.Reply)
		case owner.Settle:
			a.settle(m)
		case owner.Presence:
			if !m.Repair {
				a.said = &stateMsg{by: a.n}
			}
			a.conn.post(message{topic: topic{kind: onState}, body: a.said, retained: true})
		case owner.Resubscribe:
			for _, t := range a.conn.fixed() {
				a.conn.resubscribe(t)
			}
			a.conn.deaf = 0
		}
	}
}

// reply posts one answer.
func (a *agg) reply(path string, r wire.Reply) {
	if g, ok := r.(wire.Grant); ok {
		a.w.check.grants(a, path, g)
	}
	a.w.check.replied(a, path, r)
	a.conn.post(message{topic: topic{kind: onReply, a: int32(a.w.index[path])}, body: &replyMsg{epoch: a.state.Epoch, reply: r}}) // few sites
}

// settle answers from the records on disk.
func (a *agg) settle(m owner.Settle) {
	if a.w.bugs.SettledSilent {
		return
	}
	v := verdict.StaleRound
	for i := len(a.disk.records) - 1; i >= 0; i-- { // the committed one has the last word
		r := a.disk.records[i]
		if r.round < m.Round {
			break
		}
		if r.round > m.Until {
			continue
		}
		found := false
		for _, e := range r.entries {
			if e.Member == m.Member && e.Content == m.Content && !e.Content.IsZero() && r.round-e.Staleness == m.Round {
				v, found = e.Verdict, true
			}
		}
		if found {
			break
		}
	}
	a.reply(m.Member, wire.Settled{Round: m.Round, Content: m.Content, Verdict: v.String()})
}

func (a *agg) set(i owner.Own, kind topicKind, body any) {
	a.own[i] = message{topic: topic{kind: kind}, body: body, retained: true}
}

// order makes the message of an order, once.
func (a *agg) order(o round.Order) *orderMsg {
	if m := a.issued[o.Stamp]; m != nil {
		return m
	}
	m := &orderMsg{Order: o, partSize: a.w.plan.partSize(a.lives), by: a.n}
	in := binary.LittleEndian.AppendUint64(o.Instance[:], o.Epoch)
	in = binary.LittleEndian.AppendUint64(in, o.Round<<32|uint64(o.Attempt))
	in = binary.LittleEndian.AppendUint64(in, uint64(a.w.now)) // not negative
	m.hash = sha256.Sum256(in)
	a.issued[o.Stamp] = m
	return m
}

// publish makes the messages of an order.
func (a *agg) publish(m owner.Publish) {
	o := m.Order
	if was, ok := a.own[owner.OwnModel].body.(*modelMsg); !ok || was.content != o.Base || was.version != o.Version {
		next := &modelMsg{content: hashOf(a.base), version: o.Version}
		if blob := a.model(a.base).Blob; blob.Length > 0 {
			next.blob, next.slot = blob, m.Slot
			a.shelf = shelf{version: o.Version, blob: blob, bytes: a.base}
		} else {
			next.bytes = a.base
		}
		a.set(owner.OwnModel, onModel, next)
	}
	a.set(owner.OwnOrder, onOrder, a.order(o))
}

// sendOwn publishes own messages, one behind the other.
func (a *agg) sendOwn(list []owner.Own) {
	open, all := len(list), true
	for _, which := range list {
		m := a.own[which]
		a.out.order = a.out.order || which == owner.OwnOrder
		a.conn.within(within, m, func(ok bool) {
			if open, all = open-1, all && ok; open > 0 {
				return
			}
			a.t.Step(a.now(), owner.Sent{OK: all})
			if o, order := a.own[owner.OwnOrder].body.(*orderMsg); order && all && a.t.Published() {
				a.w.check.landed(a, o.Order)
			}
			a.work()
		})
	}
}

// sendPart publishes a part of the model.
func (a *agg) sendPart(p owner.SendPart) {
	a.w.check.part(a, p)
	s := a.shelf
	m := message{topic: partTopic(p.Slot, p.Index), body: &partMsg{partOf(s.blob, s.blob.Key(), s.bytes, p.Index)}, retained: true}
	a.conn.within(within, m, func(ok bool) {
		if ok {
			a.w.check.partLanded(a, p)
		}
		a.step(owner.PartSent{Version: p.Version, Index: p.Index, OK: ok})
	})
}

// setHead takes over a record that has become durable.
func (a *agg) setHead(r *record) {
	h := &headMsg{round: r.round, attempt: r.attempt, verdict: "abandoned", hash: r.hash, model: r.model, counted: map[uint32]bool{}, by: a.n}
	switch {
	case r.committed:
		h.verdict = "committed"
	case r.adopted:
		h.verdict = "adopted"
	default:
		h.model = r.base
	}
	for _, e := range r.entries {
		if e.Verdict == verdict.Counted {
			h.counted[e.Index] = true
		}
	}
	a.set(owner.OwnHead, onRecord, h)
}
