package site

import (
	"context"
	"time"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/wire"
)

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

// send publishes one message of the machine's. What cannot be sent is repeated
// by the machine; only the disk's errors are returned.
func (s *site) send(jobs context.Context, t *task, m member.Send) error {
	switch m := m.(type) {
	case member.SendJoin:
		t.joined = s.post(t, wire.KindJoin, t.member.Join(), wire.Stamp{Epoch: m.Seen.Epoch}, m.Counter, member.Stored{Schema: t.m.Have().Schema}, wire.Join{
			Samples: uint64(max(t.samples, 0)), Schema: t.m.Have().Schema, Instance: s.instance,
			SeenEpoch: m.Seen.Epoch, SeenRound: m.Seen.Round, SeenAttempt: m.Seen.Attempt, Agent: s.cfg.Agent,
			Disk: s.identity, Host: s.cfg.Host,
		})
	case member.SendAgain:
		s.conn.Post(t.joined)
	case member.SendDecline:
		s.audit(t, Audited{Event: audit.Declined, Epoch: m.Stamp.Epoch, Round: m.Stamp.Round, Attempt: m.Stamp.Attempt, Reason: m.Reason, Detail: clip(m.Detail)})
		s.post(t, wire.KindUpdate, t.member.Update(), m.Stamp, 0, member.Stored{Content: m.Base, Schema: m.Schema}, wire.Decline{Reason: m.Reason, Detail: clip(m.Detail)})
		crash.At("decline.after")
	case member.SendEntry:
		if _, under := t.sending[m.Round]; under {
			return nil // still on its way
		}
		b, err := s.disk.Envelope(t.Name, m.Round)
		if err != nil {
			return err
		}
		t.sending[m.Round] = false
		s.goes.Go(func() {
			err := s.publish(jobs, link.Message{Topic: t.member.Update(), Payload: b, QoS: 1})
			select {
			case s.sent <- sent{t, m.Round, err}:
			case <-jobs.Done():
			}
		})
	}
	return nil
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

// publish sends one message and waits for its PUBACK, not for ever.
func (s *site) publish(ctx context.Context, m link.Message) error {
	ctx, cancel := context.WithTimeout(ctx, pubackWithin)
	defer cancel()
	return s.conn.Publish(ctx, m)
}
