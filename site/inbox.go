package site

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// arrived is a verified model in memory.
type arrived struct {
	stored
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
	}
	if refusal, ok := errors.AsType[*wire.Refusal](err); ok {
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
	o := order{
		stamp: stamp{h.Epoch, h.Round, h.Attempt},
		Base:  h.Base, Schema: h.Schema, Hash: model.Hash(hash), Instance: nonce(w.Instance),
		Work: w.Work, ValidFrom: w.ValidFrom, Pace: ms(w.PaceMS), Heartbeat: ms(w.HeartbeatMS), // #nosec G115 -- at most 2^40
		Sample: nonce(w.SampleSeed), Threshold: w.SampleThreshold, Settings: string(w.Settings), Seed: w.Seed, PartSize: w.PartSize,
	}
	if o.compare(t.m.st.Seen) >= 0 {
		if err := s.keep(jobs, t, o.Base); err != nil {
			return err
		}
	}
	if t.trouble != "" {
		t.trouble, t.behind = "", true
	}
	return s.step(jobs, t, evOrder{o})
}

func (s *site) onModel(jobs context.Context, t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	is := stored{Content: h.Base, Schema: h.Schema}
	if is == t.m.have || t.latest != nil && is == t.latest.stored {
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
	if t.m.order == nil {
		return nil
	}
	return s.keep(jobs, t, t.m.order.Base)
}

// keep stores the model that has arrived if it is the base of an order (S-9).
func (s *site) keep(jobs context.Context, t *task, base model.ContentID) error {
	l := t.latest
	if l == nil || l.Content != base {
		return nil
	}
	t.latest = nil
	if err := s.disk.PutModel(t.Name, l.Content, l.model); err != nil {
		return err
	}
	return s.step(jobs, t, evModel{l.stored})
}

func (s *site) onReply(jobs context.Context, t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	w, err := wire.DecodeReply(body)
	if err != nil {
		return err
	}
	var r reply
	switch w := w.(type) {
	case wire.Welcome:
		r = welcome(w)
	case wire.Receipt:
		r = receipt(w)
		crash.At("receipt.seen")
	case wire.Settled:
		r = settled(w)
		crash.At("settled.seen")
	case wire.RefusalReply:
		r = refusal(w)
	case wire.Wait:
		r = waiting{Round: w.Round, Content: w.Content, Ahead: w.Ahead}
	case wire.Grant:
		g := grant{Round: w.Round, Seq: w.Seq, Blob: blobKey(w.Blob)}
		for _, n := range w.Ranges {
			g.Ranges = append(g.Ranges, span(n))
		}
		r = g
	case wire.Superseded:
		r = superseded{nonce(w.Instance)}
	default:
		return nil // of a later version
	}
	return s.step(jobs, t, evReply{Epoch: h.Epoch, Reply: r})
}

func (s *site) onRecord(jobs context.Context, t *task, m link.Message) error {
	h, err := s.openHead(t, m.Payload)
	if err != nil {
		return err
	}
	crash.At("record.seen")
	return s.step(jobs, t, evRecord{h})
}

// refused counts what did not verify and says so at most once a second,
// without payloads (S-3).
type refused struct {
	log    zerolog.Logger
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
		delete(r.counts, k)
		break
	}
	r.last = now
}
