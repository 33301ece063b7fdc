package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/codec"
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// send publishes what the machine of a task owes, and asks for retained topics
// once more. What cannot be sent is repeated by the machine; only the disk's
// errors are returned.
func (s *site) send(t *task, r member.Ready) error {
	for _, m := range r.Send {
		if err := s.sendOne(t, m); err != nil {
			return err
		}
	}
	for _, a := range r.Ask {
		s.conn.Resubscribe(s.asked(t, a))
	}
	return nil
}

func (s *site) sendOne(t *task, m member.Send) error {
	switch m := m.(type) {
	case member.SendJoin:
		s.sendJoin(t, m)
	case member.SendAgain:
		s.conn.Post(t.joined)
	case member.SendNeed:
		s.post(t, wire.KindNeed, t.member.Need(), m.Seen, 0, m.Is, m.Need)
		crash.At("need.after")
	case member.SendDecline:
		s.auditDecline(t, m)
		s.post(t, wire.KindUpdate, t.member.Update(), m.Stamp, 0, member.Stored{Content: m.Base, Schema: m.Schema}, wire.Decline{Reason: m.Reason, Detail: clip(m.Detail)})
		crash.At("decline.after")
	case member.SendEntry:
		return s.sendEntry(t, m)
	case member.SendPart:
		return s.sendPart(t, m)
	}
	return nil
}

func (s *site) sendJoin(t *task, m member.SendJoin) {
	t.joined = s.post(t, wire.KindJoin, t.member.Join(), wire.Stamp{Epoch: m.Seen.Epoch}, m.Counter, member.Stored{Schema: m.Schema}, wire.Join{
		Samples: uint64(max(t.samples, 0)), Schema: m.Schema, Instance: s.instance,
		SeenEpoch: m.Seen.Epoch, SeenRound: m.Seen.Round, SeenAttempt: m.Seen.Attempt, Agent: s.cfg.Agent,
		Disk: s.identity, Host: s.cfg.Host, Contract: s.contractOf(t), Capabilities: trainer.CapabilitiesOf(t.Trainer), Encodings: codec.Known(),
	})
}

func (s *site) sendEntry(t *task, m member.SendEntry) error {
	e, _ := t.m.Entry(m.Round)
	to, err := t.member.Below(e.Bulk)
	if err != nil {
		return err
	}
	b, err := s.envelopeOf(t, m.Round)
	if err != nil {
		return err
	}
	s.publish(t, link.Message{Topic: to.Update(), Payload: b}, published{what: "update", round: m.Round}, func(bool) member.Event { return member.EntrySent(m) })
	return nil
}

// sendPart publishes a part of an update now that its turn has come. One that is not
// what was offered is not sent (S-25).
func (s *site) sendPart(t *task, m member.SendPart) error {
	e, ok := t.m.Entry(m.Round)
	if !ok {
		return nil // a part before it could not be read back
	}
	to, err := t.member.Below(e.Bulk)
	if err != nil {
		return err
	}
	p := published{what: "part", round: m.Round}
	data, err := s.partData(t, &e, int(m.Index), &p)
	switch {
	case errors.Is(err, store.ErrDisk):
		return err
	case err != nil:
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", m.Round).Uint32("part", m.Index).Err(err).Msg(madeAgain)
		s.tell(t, member.EntryLost{Round: m.Round})
		return nil
	}
	head := wire.AppendPartHead(nil, wire.Part{Blob: e.Blob, Index: m.Index, Count: uint32(e.Parts.Count()), Data: data}) // at most 4,000
	s.publish(t, link.Message{Topic: to.Part(), Head: head, Payload: data}, p, func(ok bool) member.Event {
		return member.PartSent{Upload: m.Upload, Index: m.Index, OK: ok}
	})
	return nil
}

// partData is a part of an update where it lies, in memory while it is there. What its
// file has is held against its hash.
func (s *site) partData(t *task, e *member.Entry, i int, p *published) ([]byte, error) {
	off, n := e.Parts.Span(i)
	if u := t.update; u.content == e.Content && len(u.bytes) >= off+n {
		p.out = u.out
		*p.out++
		return u.bytes[off : off+n], nil
	}
	p.room = s.room(n)
	data := p.room[:n]
	if err := s.disk.Part(e.Content, data, int64(off)); err != nil {
		return nil, err
	}
	if !e.Parts.Holds(i, data) {
		return nil, fmt.Errorf("%w: part %d of update %v", store.ErrCorrupt, i, e.Content)
	}
	return data, nil
}

// room is where a part of n bytes is read. The link lets go of it when the broker has
// acknowledged it.
func (s *site) room(n int) []byte {
	for i, b := range s.rooms {
		if cap(b) >= n {
			s.rooms = slices.Delete(s.rooms, i, i+1)
			return b
		}
	}
	return make([]byte, n)
}

// mostRooms is how many parts are on their way at once.
const mostRooms = 8

// asked is the topic of an ask.
func (s *site) asked(t *task, a member.Ask) string {
	switch a {
	case member.AskOrder:
		return t.owner.Order()
	case member.AskRecord:
		return t.owner.Record()
	case member.AskModel:
		return t.models.Model()
	case member.AskReply:
	}
	return t.owner.Reply(s.cfg.Member)
}

// header fills what all messages of a task's member have in common.
func (s *site) header(t *task, kind, topic string, st wire.Stamp) wire.Header {
	return wire.Header{
		Task: t.Name, Kind: kind, Sender: t.member.Node(), Topic: topic, Owner: t.owner.Node(),
		Epoch: st.Epoch, Round: st.Round, Attempt: st.Attempt, CreatedMS: uint64(max(s.now(), 0)), Origin: t.m.Origin(),
	}
}

// envelope encodes and seals one message.
func (s *site) envelope(h wire.Header, m wire.Message) ([]byte, error) {
	body, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	return wire.Seal(h, body, s.cfg.Signer)
}

// post seals a small message, hands it to the link and returns it.
func (s *site) post(t *task, kind, topic string, st wire.Stamp, counter uint64, base member.Stored, m wire.Message) link.Message {
	h := s.header(t, kind, topic, st)
	h.Base, h.Schema = base.Content, base.Schema
	if kind == wire.KindUpdate {
		h.Encoding = wire.EncodingDense
	}
	if counter != 0 {
		h.CreatedMS = counter
	}
	b, err := s.envelope(h, m)
	if err != nil {
		s.cfg.Log.Error().Str("task", t.Name).Str("kind", kind).Err(err).Msg("message not sent")
		return link.Message{}
	}
	out := link.Message{Topic: topic, Payload: b, QoS: 1}
	s.conn.Post(out)
	return out
}

// pubackWithin bounds the wait for one PUBACK: some broker may never send it and
// keep the link. Eight parts must cross a slow link in less.
const pubackWithin = 2 * time.Minute

// publish sends one message and waits elsewhere for its PUBACK, not for ever; the
// driver hears what came of it. Messages leave in the order of the calls: of two updates
// that come close together the aggregator may read the later alone (C-5).
func (s *site) publish(t *task, m link.Message, p published, event func(ok bool) member.Event) {
	m.QoS = 1
	before, left := s.left, make(chan struct{})
	s.left = left
	s.goes.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, pubackWithin)
		defer cancel()
		p.err = s.hand(ctx, m, before, left)
		p.telling = telling{t, event(p.err == nil)}
		select {
		case s.published <- p:
		case <-s.life.Done():
		}
	})
}

// hand has a message leave behind the one before it, closes left when it has left or will
// not, and waits for its PUBACK.
func (s *site) hand(ctx context.Context, m link.Message, before <-chan struct{}, left chan<- struct{}) error {
	if before != nil {
		<-before // not longer than its own time, which began before this one's
	}
	h, err := s.conn.Hand(ctx, m)
	close(left)
	if err != nil {
		return err
	}
	return h.Wait(ctx)
}

// sent notes that the broker has taken a message.
func (s *site) sent(p published) {
	if p.room != nil && len(s.rooms) < mostRooms {
		s.rooms = append(s.rooms, p.room)
	}
	if p.out != nil {
		*p.out--
	}
	switch p.event.(type) {
	case member.EntrySent:
		s.auditSent(p.task, p.round)
		crash.At("offer.after")
	case member.PartSent:
		crash.At("part-k.after")
	}
}

// unsent says that the broker did not take a message. Of parts there are eight at
// once when a link is lost, which is logged.
func (s *site) unsent(p published) {
	if errors.Is(p.err, context.Canceled) {
		return
	}
	level := zerolog.WarnLevel
	if _, part := p.event.(member.PartSent); part {
		level = zerolog.DebugLevel
	}
	s.cfg.Log.WithLevel(level).Str("task", p.task.Name).Uint64("round", p.round).Err(p.err).Msg(p.what + " not acknowledged by the broker")
	if errors.Is(p.err, link.ErrQuarantined) || errors.Is(p.err, link.ErrTooLarge) {
		s.showUnsent(p)
	}
}

// showUnsent shows what the broker will not take.
func (s *site) showUnsent(p published) {
	was := p.task.trouble
	p.task.trouble = fmt.Sprintf("%s of round %d: %v", p.what, p.round, p.err)
	if p.task.trouble != was {
		s.publishStatus(p.task, 1)
	}
}
