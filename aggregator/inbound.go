package aggregator

import (
	"cmp"
	"fmt"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// heardOf is what a member's message means to the machine: nil, nothing.
func (t *task) heardOf(path string, kind topics.Kind, m link.Message) owner.Event {
	switch kind {
	case topics.Join:
		return t.join(path, m)
	case topics.Update:
		return t.update(path, m)
	case topics.Part:
		return t.part(path, m)
	case topics.Need:
		return t.need(path, m)
	}
	return nil
}

// refuse is a message that did not get past the envelope.
func refuse(path string, h wire.Header, err error) owner.Event {
	reason, detail := problem(err)
	return owner.Refused{Member: path, Reply: wire.RefusalReply{Round: h.Round, Attempt: h.Attempt, Reason: reason.String(), Detail: detail}}
}

// join opens a member's join.
func (t *task) join(path string, m link.Message) owner.Event {
	if string(m.Payload) == wire.DoctorWord {
		return owner.Asked{Member: path}
	}
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{Origin: t.origin})
	if err != nil {
		return refuse(path, h, err)
	}
	j, err := wire.DecodeJoin(body)
	if err != nil {
		return refuse(path, h, err)
	}
	t.noteKey(path, h.KeyID)
	t.noteEncodings(path, j.Encodings)
	contract, no := t.contractOf(path, j.Contract)
	if no != nil {
		no.Round, no.Attempt = h.Round, h.Attempt
		return owner.Refused{Member: path, Reply: *no}
	}
	return owner.Join{
		Join: round.Join{
			Contract: contract, Capabilities: j.Capabilities, Member: path, Samples: j.Samples, Schema: j.Schema,
			Instance: j.Instance, Disk: j.Disk, Host: cmp.Or(j.Host, "unknown"), Counter: h.CreatedMS, Digest: model.HashOf(m.Payload),
		},
		Seen: wire.Stamp{Epoch: j.SeenEpoch, Round: j.SeenRound, Attempt: j.SeenAttempt},
	}
}

// update opens, decodes and checks a contribution. One that cannot count in the open
// round is an event too: what becomes of it is the machine's to say.
func (t *task) update(path string, m link.Message) owner.Event {
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{MaxRound: t.state.Round + 1, MaxBody: t.maxBody(), Origin: t.origin})
	if err != nil {
		return refuse(path, h, err)
	}
	t.noteKey(path, h.KeyID)
	ev := round.Update{Member: path, Round: h.Round, Attempt: h.Attempt, Base: h.Base, Bytes: int64(len(m.Payload))}
	var want model.Schema
	_, counts := t.m.Round().Stale(h.Round)
	if counts {
		want = t.want()
	}
	c, err := wire.DecodeUpdate(body, want)
	if err == nil {
		err = t.answersOrder(h, c)
	}
	if err != nil {
		ev.Problem, ev.Detail = problem(err)
		if c, _ := wire.DecodeUpdate(body, nil); c != nil { // of other tensors, or of a later version: the answer names it
			ev.Content, ev.Samples, _ = contentOf(c)
		}
		return owner.Update{Update: ev}
	}
	var named bool
	ev.Content, ev.Samples, named = contentOf(c)
	if !named && h.Round != t.state.Round {
		return nil // a decline of a round that is over needs no answer
	}
	if !counts {
		return owner.Update{Update: ev}
	}
	switch c := c.(type) {
	case wire.Decline:
		return owner.Said{Event: round.Decline{
			Member: path, Round: h.Round, Attempt: h.Attempt, Reason: declineText(c),
			Refused: c.Reason == wire.DeclineRefused, Setting: c.Reason == wire.DeclineSetting,
		}}
	case wire.Update:
		return t.inline(ev, c)
	case wire.Offer:
		return t.offer(ev, h, c)
	}
	return nil
}

// measuredBy is what an update says of the open round's base, and of its training. One of
// an earlier round has measured another.
func (t *task) measuredBy(ev round.Update, metrics map[string]float64, m wire.UpdateMembers) measured {
	if ev.Round < t.state.Round {
		return measured{Scalars: m.Scalars}
	}
	return measured{metrics, m.Counts, m.Scalars}
}

// inline checks an update that came in one message.
func (t *task) inline(ev round.Update, c wire.Update) owner.Event {
	s := &staged{content: ev.Content, encoding: c.Encoding, came: c.Encoding, samples: c.Samples, round: ev.Round, measured: t.measuredBy(ev, c.Metrics, c.UpdateMembers), bytes: ev.Bytes}
	f, err := t.sum.admit(s, c.Tensors)
	if ev.Problem, ev.Detail, ev.Norm = f.problem, f.detail, f.norm; err != nil {
		t.log.Warn().Err(err).Str("member", ev.Member).Msg("no room for the update in this round; it waits")
		return nil
	}
	if ev.Problem == verdict.None {
		t.sum.hold(ev.Member, s)
	}
	return owner.Update{Update: ev, Held: ev.Problem == verdict.None}
}

// offer is an update that would come in parts.
func (t *task) offer(ev round.Update, h wire.Header, c wire.Offer) owner.Event {
	if n := int(c.Blob.Data) + wire.PartOverhead; n > t.a.cfg.PartSize { // cut before part_size was lowered: not for good
		return refuse(ev.Member, h, &wire.Refusal{
			Reason: wire.ReasonTooLarge, Detail: fmt.Sprintf("parts of %d bytes, want at most %d", n, t.a.cfg.PartSize),
		})
	}
	t.sum.hold(ev.Member, &staged{
		content: c.Content, encoding: c.Encoding, came: c.Encoding, samples: c.Samples, round: ev.Round, measured: t.measuredBy(ev, c.Metrics, c.UpdateMembers), schema: c.Schema, length: int(c.Blob.Length), // at most the schema's size
	})
	return owner.Offer{Update: ev, Blob: c.Blob, Whole: t.sum.registry.Whole(c.Encoding)}
}

// part decodes a part of an upload: its hash is the machine's to prove.
func (t *task) part(path string, m link.Message) owner.Event {
	p, err := wire.DecodePart(m.Payload, t.a.cfg.PartSize)
	if err != nil {
		return refuse(path, wire.Header{}, err)
	}
	return owner.Part{Member: path, Part: p, Bytes: len(m.Payload), Message: m.Payload}
}

// need is of parts of the model that a member could not get.
func (t *task) need(path string, m link.Message) owner.Event {
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{MaxRound: t.state.Round + 1, Origin: t.origin})
	if err != nil {
		return refuse(path, h, err)
	}
	n, err := wire.DecodeNeed(body)
	if err != nil {
		return refuse(path, h, err)
	}
	return owner.Need{Member: path, Round: h.Round, Attempt: h.Attempt, Need: n}
}

// contentOf names an update, inline or offered.
func contentOf(c wire.Contribution) (content model.Hash, samples uint64, ok bool) {
	switch c := c.(type) {
	case wire.Update:
		return c.Content(), c.Samples, true
	case wire.Offer:
		return c.Content, c.Samples, true
	}
	return model.Hash{}, 0, false
}

// want is the schema that updates of the open round must have.
func (t *task) want() model.Schema { return t.sum.schema(t.base) }

// maxBody bounds an update of any kind of work: one that comes late is of
// another round.
func (t *task) maxBody() int { return max(wire.MaxUpdateBody(t.want()), t.mostBody) }

// mostBody is what an update may have of the kinds of work that there are.
func mostBody(s model.Schema) (n int) {
	for _, w := range strategy.Works() {
		n = max(n, wire.MaxUpdateBody(w.Schema(s)))
	}
	if both, err := s.Controlled(); err == nil && s.HasControls() {
		n = max(n, wire.MaxUpdateBody(both))
	}
	return n
}

// declineText is what a record says of a decline.
func declineText(d wire.Decline) string {
	if d.Detail == "" {
		return d.Reason
	}
	return d.Reason + ": " + d.Detail
}
