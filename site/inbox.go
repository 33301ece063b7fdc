package site

import (
	"errors"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// onMessage opens what arrived and tells it to its task's machine. What does not
// verify is counted (S-3); an empty payload says that a retained topic was
// cleared, and changes nothing.
func (s *site) onMessage(m link.Message) {
	if len(m.Payload) == 0 {
		return
	}
	r, ok := s.routes[m.Topic]
	if !ok {
		s.onPart(m)
		return
	}
	if refusal, ok := errors.AsType[*wire.Refusal](s.take(r, m)); ok {
		s.bad++
		s.unverified.add(s.now(), m.Topic, refusal)
		what := refusal.Reason
		if lacks := wire.Unsupported(refusal); lacks != "" {
			what += ": " + lacks
		}
		r.task.complain(r.kind, what)
	}
}

// take reads a message of a route. The error is a [*wire.Refusal].
func (s *site) take(r route, m link.Message) error {
	switch r.kind {
	case topics.Order:
		return s.onOrder(r.task, m)
	case topics.Model:
		return s.onModel(r.task, m)
	case topics.Reply:
		return s.onReply(r.task, m)
	case topics.Record:
		return s.onRecord(r.task, m)
	case topics.Released:
		return s.onReleased(r.task, m)
	case topics.State:
		s.onOwner(m)
	}
	return nil
}

func (s *site) onOrder(t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	o, err := wire.DecodeOrder(body)
	lacks := wire.Unsupported(err)
	if err != nil && lacks == "" {
		return err
	}
	hash, err := wire.SignedHash(m.Payload)
	if err != nil {
		return err
	}
	if t.trouble != "" {
		t.trouble, t.progress = "", true
	}
	if is := t.m.Origin(); h.Origin == is || is.IsZero() { // before anything is begun for the order
		s.wentBack(t, o.Rolled)
	}
	s.tell(t, member.Ordered{Order: member.Order{Stamp: h.Stamp(), Order: o, Base: h.Base, Schema: h.Schema, Hash: hash, Origin: h.Origin, Lacks: lacks}})
	return nil
}

func (s *site) onModel(t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	is := member.Stored{Content: h.Base, Schema: h.Schema}
	known := t.m.Knows(is)
	if known && t.contract != nil {
		return nil
	}
	d, err := wire.DecodeModel(body, s.opener.Limits)
	if err != nil {
		return err
	}
	if err := d.Matches(h); err != nil {
		return err
	}
	if t.agreed(d); known {
		return nil
	}
	switch w := d.(type) {
	case wire.Manifest:
		s.tell(t, member.ManifestCame{Manifest: member.Manifest{Manifest: w, Is: is}})
	case wire.Model:
		t.latest = &arrived{is, w.Tensors}
		s.tell(t, member.ModelCame{Model: is})
	}
	return nil
}

func (s *site) onReply(t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{Origin: t.m.Origin()})
	if err != nil {
		return err
	}
	r, err := wire.DecodeReply(body)
	if err != nil {
		return err
	}
	switch r := r.(type) {
	case wire.Receipt:
		crash.At("receipt.seen")
	case wire.Settled:
		crash.At("settled.seen")
	case wire.RefusalReply:
		t.tally.refusal(r.Reason)
		s.differs(t, r)
		s.tooSlow(t, r)
		s.refusedUpdate(t, r)
	}
	t.answered = true
	s.auditReply(t, h, r)
	s.tell(t, member.Replied{Epoch: h.Epoch, Reply: r})
	return nil
}

func (s *site) onRecord(t *task, m link.Message) error {
	h, err := s.openHead(t, m.Payload)
	if err != nil {
		return err
	}
	crash.At("record.seen")
	s.tell(t, member.Recorded{Round: h.Round, Verdict: h.Verdict, Counted: h.Accepted.Has})
	return nil
}

// openHead verifies and reads the head of a record (S-15). It is JSON, so what
// is wrong with it is told in the words of the envelope's checks.
func (s *site) openHead(t *task, b []byte) (record.Head, error) {
	refuse := func(reason string, stage int, detail string) (record.Head, error) {
		return record.Head{}, &wire.Refusal{Reason: reason, Stage: stage, Detail: detail}
	}
	h, err := record.DecodeHead(b)
	switch {
	case err != nil:
		return refuse(wire.ReasonMalformed, wire.StageDecode, err.Error())
	case h.Owner != t.owner.Node() || h.Task != t.Name:
		return refuse(wire.ReasonWrongTopic, wire.StageSender, "a record of another task")
	case h.Origin != t.m.Origin() && !t.m.Origin().IsZero():
		return refuse(wire.ReasonOtherOrigin, wire.StageRound, "a record of a former life of the task")
	}
	if s.opener.Keys != nil {
		if err := record.VerifyHeadSig(b, s.opener.Keys.Aggregator(t.Owner)); err != nil {
			return refuse(wire.ReasonBadSignature, wire.StageSignature, err.Error())
		}
	}
	return h, nil
}

// onOwner takes an aggregator's presence in.
func (s *site) onOwner(m link.Message) {
	p, ok := presenceOf(m.Payload)
	if !ok {
		return
	}
	if m.Topic == s.tasks[0].owner.State() {
		s.lastOwner.Store(&p.Instance)
	}
	if !s.owners[m.Topic].take(p) {
		return
	}
	for _, t := range s.tasks {
		if t.owner.State() == m.Topic {
			s.tell(t, member.OwnerBack{})
		}
	}
}

// onPart takes a part of a model, while one is pulled. Late ones are nothing
// unusual.
func (s *site) onPart(m link.Message) {
	s.part = m.Payload
	at, err := s.ns.Parse(m.Topic)
	if err == nil && at.Kind == topics.ReleasedPart {
		s.onReleasedPart(at, m)
		return
	}
	if err != nil || at.Kind != topics.ModelPart {
		return // a topic that was not asked for
	}
	if t := s.taskAt(at); t != nil && t.m.Pulling() {
		s.tell(t, s.partOf(t, at, m))
	}
}

// taskAt is the task of an owner's topic, nil: it is none of this site's.
func (s *site) taskAt(at topics.Topic) *task {
	for _, t := range s.tasks {
		if t.Name == at.Task && t.Owner == at.Path {
			return t
		}
	}
	return nil
}

func (s *site) partOf(t *task, at topics.Topic, m link.Message) member.Event {
	slot, index := uint32(at.Slot), uint32(at.Part) // below 4,000
	part, err := wire.DecodePart(m.Payload, wire.MaxPart)
	if refusal, ok := errors.AsType[*wire.Refusal](err); ok {
		s.unverified.add(s.now(), t.models.Model(), refusal)
		return member.PartSpoilt{Slot: slot, Index: index}
	}
	return member.PartCame{Slot: slot, Index: index, Part: part}
}
