package aggregator

import (
	"cmp"
	"fmt"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/wire"
)

// join passes a member's join to the machine.
func (t *task) join(path string, m link.Message) {
	if string(m.Payload) == wire.DoctorWord {
		t.answerDoctor(path)
		return
	}
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{Origin: t.origin})
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	j, err := wire.DecodeJoin(body)
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	t.heard(path, h.KeyID)
	t.claim(path, j)
	t.step(round.Join{
		Member: path, Samples: j.Samples, Schema: j.Schema,
		Instance: j.Instance, Disk: j.Disk, Host: cmp.Or(j.Host, "unknown"), Counter: h.CreatedMS, Digest: model.HashOf(m.Payload),
	})
}

// update decodes and checks a contribution and passes what it is to the machine.
func (t *task) update(path string, m link.Message) {
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{MaxRound: t.state.Round + 1, MaxBody: t.maxBody(), Origin: t.origin})
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	t.heard(path, h.KeyID)
	ev := round.Update{
		Member: path, Round: h.Round, Attempt: h.Attempt, Base: h.Base, Bytes: int64(len(m.Payload)),
	}
	if h.Round != t.state.Round {
		t.otherRound(ev, body)
		return
	}
	c, err := wire.DecodeUpdate(body, t.want())
	if err != nil {
		ev.Problem, ev.Detail = problem(err)
		if c, err := wire.DecodeUpdate(body, nil); err == nil { // of other tensors: the answer names it
			ev.Content, ev.Samples, _ = contentOf(c)
		}
		t.step(ev)
		return
	}
	switch c := c.(type) {
	case wire.Decline:
		t.step(round.Decline{Member: path, Round: h.Round, Attempt: h.Attempt, Reason: declineText(c), Refused: c.Reason == wire.DeclineRefused, Setting: c.Reason == wire.DeclineSetting})
	case wire.Update:
		s := &staged{content: c.Content(), samples: c.Samples, delta: c.Tensors, metrics: c.Metrics, bytes: ev.Bytes}
		if s.delta != nil {
			s.raw = s.delta.Blob
		}
		ev.Content, ev.Samples = s.content, s.samples
		if ev.Problem, ev.Detail, ev.Norm, err = t.sum.check(s); err != nil {
			t.log.Warn().Err(err).Str("member", path).Msg("no room for the update in this round; it waits")
			return
		}
		t.sum.await(path, s)
		t.step(ev)
	case wire.Offer:
		if n := int(c.Blob.Data) + wire.PartOverhead; n > t.a.cfg.PartSize { // cut before part_size was lowered: not for good
			t.refuse(path, h, &wire.Refusal{
				Reason: wire.ReasonTooLarge, Detail: fmt.Sprintf("parts of %d bytes, want at most %d", n, t.a.cfg.PartSize),
			})
			return
		}
		t.offered(ev, c)
	}
}

// otherRound names the content of an update of a round that is not open, so
// that its sender learns what became of it.
func (t *task) otherRound(ev round.Update, body []byte) {
	c, err := wire.DecodeUpdate(body, nil)
	if err != nil {
		ev.Problem, ev.Detail = problem(err)
	} else {
		var ok bool
		if ev.Content, ev.Samples, ok = contentOf(c); !ok {
			return // a decline of a round that is over needs no answer
		}
	}
	t.step(ev)
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
func (t *task) maxBody() int {
	n := wire.MaxUpdateBody(t.want())
	for _, w := range strategy.Works() {
		n = max(n, wire.MaxUpdateBody(w.Schema(t.base.Schema)))
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
