package aggregator

import (
	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
)

// send passes on what the machine says of the task's own topics, which others wait for.
func (t *task) send(rd owner.Ready) error {
	for _, m := range rd.Send {
		if err := t.put(m); err != nil {
			return err
		}
	}
	return nil
}

// tellAll passes on what single members and people are told, when all that others wait for
// is on its way.
func (t *task) tellAll(rd owner.Ready) error {
	if err := t.tellRecords(); err != nil {
		return err
	}
	for _, m := range rd.Send {
		if err := t.tellSome(m); err != nil {
			return err
		}
	}
	t.release() // whose model's file is there now
	t.releaseEarly()
	return nil
}

// put passes on what concerns the task's own topics.
func (t *task) put(m owner.Message) error {
	switch m := m.(type) {
	case owner.Publish:
		if m.Own == owner.OwnReleased || m.Own == owner.OwnCanary {
			return t.published.publishLines(m, t.cfg.Init.Schema, t.contract())
		}
		err := t.published.publish(m, t.base, t.blob, t.contract())
		t.sayNoRoom()
		return err
	case owner.SendOwn:
		t.sendOwn(m.List)
	case owner.PostOwn:
		t.postOwn(m)
	case owner.SendPart:
		t.sendPart(m)
	case owner.Clear:
		t.clear(m)
	case owner.Ask:
		t.a.conn.Resubscribe(t.published.names()...)
	}
	return nil
}

// tellSome passes on what concerns members and people.
func (t *task) tellSome(m owner.Message) error {
	switch m := m.(type) {
	case owner.Reply:
		t.reply(m.Member, m.Reply)
	case owner.Settle:
		return t.settle(m)
	case owner.AnswerDoctor:
		t.answerDoctor(m.Member)
	case owner.Count:
		t.refused(m)
	case owner.Claims:
		t.claims(m)
	case owner.Tell:
		if m.Fact.Kind == round.FactContested {
			t.contested(m.Fact)
		} else {
			t.event(m.Fact)
		}
	}
	return nil
}

// sendOwn publishes own messages, one behind the other.
func (t *task) sendOwn(list []owner.Own) {
	msgs := make([]link.Message, len(list))
	for i, which := range list {
		msgs[i] = t.published.own[which]
		t.sent(len(msgs[i].Payload))
	}
	t.a.out.carry(msgs, func(i int) { passOwn(list[i]) }, func(err error) {
		if err != nil {
			t.log.Warn().Err(err).Msg("not published")
		}
		was := t.m.Published()
		t.step(owner.Sent{Own: list[0], OK: err == nil})
		if !was && t.m.Published() {
			crash.At("order.after-publish")
			t.auditPublished(t.published.modelOf)
			t.tellModel(t.published.modelOf, t.cfg.Init.Schema.Bytes())
		}
	})
}

// postOwn publishes one by the way.
func (t *task) postOwn(m owner.PostOwn) {
	msg := t.published.own[m.Own]
	if m.Repair {
		t.log.Warn().Str("topic", msg.Topic).Msg("the broker showed other bytes, or none; published again")
	}
	t.a.conn.Post(msg)
}

// sendPart publishes a part of the model, of the released version or of the canary.
func (t *task) sendPart(m owner.SendPart) {
	s := t.published.shelfOf(m.Own)
	if m.Needed {
		_, n := s.blob.Span(int(m.Index))
		t.tally.needed += uint64(n) // of a part
	}
	came := func(bytes int, err error, say func(owner.Event)) {
		if err == nil {
			t.passPart()
			t.sent(bytes)
		} else if s == t.published.shelfOf(m.Own) && t.mayLog() {
			t.log.Warn().Err(err).Uint32("part", m.Index).Msg("part not published")
		}
		if int(m.Index) == s.blob.Count()-1 {
			s.rest()
		}
		say(owner.PartSent{Own: m.Own, Version: m.Version, Index: m.Index, OK: err == nil})
	}
	later := func(bytes int, err error) { came(bytes, err, t.step) }
	switch was, gone := s.wasEarly(m.Index, later); {
	case !gone:
		t.a.out.carryPart(s, m.Index, later)
	case was != nil:
		came(was.bytes, was.err, t.answer)
	}
}

// clear clears a topic of an earlier layout, or of a canary that has ended.
func (t *task) clear(m owner.Clear) {
	at := t.topics
	if m.Former {
		at = t.former
	}
	switch m.Own {
	case owner.OwnReleased:
		at = at.Released()
	case owner.OwnCanary:
		at = at.Canary()
	}
	topic := at.ModelPart(int(m.Part.Slot), int(m.Part.Index))
	if m.Part == owner.TheModel {
		topic = at.Model()
	}
	t.a.out.carry([]link.Message{{Topic: topic, QoS: 1, Retained: true}}, func(int) {}, func(err error) {
		t.step(owner.Cleared{Own: m.Own, OK: err == nil})
	})
}

// refused counts a message whose sender is not proven, and tells of it.
func (t *task) refused(m owner.Count) {
	t.count(m.Reason)
	if m.Member == "" {
		return
	}
	t.unheard(unheard{audit.Refused, m.Member, m.Reason.String()})
	if t.mayLog() {
		t.log.Warn().Str("sender", m.Member).Str("reason", m.Reason.String()).Str("detail", m.Detail).Msg("message refused")
	}
}
