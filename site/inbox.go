package site

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// arrived is a verified model in memory.
type arrived struct {
	member.Stored
	model *model.Model
}

// onMessage opens what arrived and gives it to its task's machine. What does
// not verify is counted (S-3); an empty payload says that a retained topic was
// cleared, and changes nothing.
func (s *site) onMessage(jobs context.Context, m link.Message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	r, ok := s.routes[m.Topic]
	if !ok {
		return s.onPart(jobs, m)
	}
	var err error
	switch r.kind {
	case topics.Order:
		err = s.onOrder(jobs, r.task, m)
	case topics.Model:
		err = s.onModel(jobs, r.task, m)
	case topics.Reply:
		err = s.onReply(jobs, r.task, m)
	case topics.Record:
		err = s.onRecord(jobs, r.task, m)
	case topics.State:
		err = s.onOwner(jobs, m.Topic, m.Payload)
	}
	if refusal, ok := errors.AsType[*wire.Refusal](err); ok {
		s.bad++
		s.refused.add(s.now(), m.Topic, refusal)
		s.complain(r, refusal.Reason)
		return nil
	}
	return err
}

// complain shows on the status that what the aggregator says does not verify,
// until an order does; once a second at most, as anybody may write garbage.
func (s *site) complain(r route, reason string) {
	if text := r.kind.String() + " not accepted: " + reason; r.task.trouble != text {
		r.task.trouble, r.task.behind = text, true
	}
}

func (s *site) onOrder(jobs context.Context, t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	w, err := wire.DecodeOrder(body)
	if err != nil {
		return err
	}
	hash, err := wire.SignedHash(m.Payload)
	if err != nil {
		return err
	}
	o := member.Order{Stamp: h.Stamp(), Order: w, Base: h.Base, Schema: h.Schema, Hash: hash, Origin: h.Origin}
	if t.m.Heeds(o) {
		t.shared = membersOf(w)
		s.share()
		if err := s.keep(jobs, t, o.Base); err != nil {
			return err
		}
	}
	if t.trouble != "" {
		t.trouble, t.behind = "", true
	}
	return s.step(jobs, t, member.Ordered{Order: o})
}

// mostMembers is the most that a task has.
const mostMembers = 1 << 14

// membersOf is how many members an order is for, at least: those that are asked,
// and those that make its heartbeat slower than every 30 s.
func membersOf(w wire.Order) int {
	n := uint64(w.CohortSize)
	if w.HeartbeatMS > 30_000 {
		n = max(n, w.HeartbeatMS/10)
	}
	return int(min(n, mostMembers)) // #nosec G115 -- just bounded
}

// share tells the link how many come back with this site when the broker does.
func (s *site) share() {
	n := 0
	for _, t := range s.tasks {
		n = max(n, t.shared)
	}
	s.conn.Share(n)
}

func (s *site) onModel(jobs context.Context, t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	is := member.Stored{Content: h.Base, Schema: h.Schema}
	if is == t.m.Have() || t.latest != nil && is == t.latest.Stored {
		return nil
	}
	d, err := wire.DecodeModel(body, s.opener.Limits)
	if err != nil {
		return err
	}
	if err := d.Matches(h); err != nil {
		return err
	}
	switch w := d.(type) {
	case wire.Manifest:
		return s.onManifest(jobs, t, &manifest{w, is})
	case wire.Model:
		t.latest = &arrived{is, w.Tensors}
	}
	base, ok := t.m.Base()
	if !ok {
		return nil
	}
	return s.keep(jobs, t, base)
}

// keep stores the model that has arrived if it is the base of an order (S-9).
func (s *site) keep(jobs context.Context, t *task, base model.Hash) error {
	l := t.latest
	if l == nil || l.Content != base {
		return nil
	}
	t.latest = nil
	if err := s.disk.PutModel(t.Name, l.Content, l.model); err != nil {
		return err
	}
	s.auditModel(t, l.Content, int64(len(l.model.Blob)))
	return s.step(jobs, t, member.ModelStored{Model: l.Stored})
}

func (s *site) onReply(jobs context.Context, t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{Origin: t.m.Origin()})
	if err != nil {
		return err
	}
	r, err := wire.DecodeReply(body)
	if err != nil {
		return err
	}
	switch w := r.(type) {
	case wire.Receipt:
		crash.At("receipt.seen")
	case wire.Settled:
		crash.At("settled.seen")
	case wire.RefusalReply:
		t.tally.refusal(w.Reason)
	}
	t.heard = true
	s.auditReply(t, h, r)
	return s.step(jobs, t, member.Replied{Epoch: h.Epoch, Reply: r})
}

func (s *site) onRecord(jobs context.Context, t *task, m link.Message) error {
	h, err := s.openHead(t, m.Payload)
	if err != nil {
		return err
	}
	crash.At("record.seen")
	return s.step(jobs, t, member.Recorded{Round: h.Round, Verdict: h.Verdict, Counted: h.Accepted.Has})
}

// refused counts what did not verify and says so at most once a second,
// without payloads (S-3).
type refused struct {
	log    zerolog.Logger
	audit  func(Audited) // nil: nobody asks
	last   ms
	counts map[refusedKey]int
}

type refusedKey struct{ topic, reason string }

// maxRefused bounds the kinds of refusal remembered between two lines.
const maxRefused = 64

func (r *refused) add(now ms, topic string, why *wire.Refusal) {
	if r.counts == nil {
		r.counts = map[refusedKey]int{}
	}
	k := refusedKey{topic, why.Reason}
	if _, ok := r.counts[k]; !ok && len(r.counts) >= maxRefused {
		k = refusedKey{"others", "several"}
	}
	r.counts[k]++
	r.flush(now)
}

// due is when a line may be written, 0 if there is nothing to say.
func (r *refused) due() ms {
	if len(r.counts) == 0 {
		return 0
	}
	return r.last + 1_000
}

func (r *refused) flush(now ms) {
	if at := r.due(); at == 0 || now < at {
		return
	}
	for k, n := range r.counts {
		r.log.Warn().Str("topic", k.topic).Str("reason", k.reason).Int("messages", n).Msg("messages refused")
		r.tell(k, n)
		break
	}
	r.last = now
}

// tell has the audit log say how many messages of a kind were refused.
func (r *refused) tell(k refusedKey, n int) {
	if r.audit != nil {
		r.audit(Audited{Event: audit.Refused, Topic: k.topic, Reason: k.reason, Count: n})
	}
	delete(r.counts, k)
}

// end tells the rest at once, to the audit log, which is to have every message.
func (r *refused) end() {
	for k, n := range r.counts {
		r.tell(k, n)
	}
}
