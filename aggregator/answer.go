package aggregator

import (
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// answerDoctor says nothing to a doctor that asked at a member's path whether it is
// heard, and counts it where people read (W-42): so it knows an answer that the
// access list keeps from it.
func (t *task) answerDoctor(path string) {
	t.counts.asked++
	t.viewDue = true
	t.a.conn.Post(link.Message{Topic: t.topics.Reply(path), QoS: 1})
}

// reply seals and posts one answer to a member, and passes its crash points.
func (t *task) reply(member string, r wire.Reply) {
	switch r := r.(type) {
	case wire.Welcome:
		crash.At("welcome.after-tx")
	case wire.Receipt:
		crash.At("receipt.before")
		defer crash.At("receipt.after")
	case wire.Grant:
		defer crash.At("grant.after-publish")
	case wire.Settled:
		crash.At("settled.before")
	case wire.RefusalReply:
		if owner.Proven(r) { // others are counted as they come
			t.tally.refusal(r.Reason)
		}
	}
	topic := t.topics.Reply(member)
	payload, err := t.seal(wire.Header{
		Kind: wire.KindReply, Epoch: t.state.Epoch, Round: t.state.Round, Attempt: t.state.Attempt, Topic: topic,
	}, r)
	if err != nil {
		t.log.Error().Err(err).Str("member", member).Msg("answer not encoded")
		return
	}
	t.a.post(link.Message{Topic: topic, Payload: payload, QoS: 1})
}

// settle answers what became of an update of an older round, from the records on
// disk.
func (t *task) settle(m owner.Settle) error {
	if t.settled.entries == nil || t.settled.round != m.Round || t.settled.until != m.Until {
		if err := t.lookUp(m.Round, m.Until); err != nil {
			return err
		}
	}
	v, ok := t.settled.entries[owner.Key{Member: m.Member, Content: m.Content}]
	if !ok {
		v = verdict.StaleRound
	}
	t.reply(m.Member, wire.Settled{Round: m.Round, Content: m.Content, Verdict: v.String()})
	return nil
}

// lookUp reads what the records of a round that is over say of its updates, and those of
// rounds up to another, in which they may have come late. The committed one comes
// last and has the last word; an abandoned one may be alone in naming what was
// lost or has lapsed.
func (t *task) lookUp(rnd, until uint64) error {
	t.settled = settledCache{round: rnd, until: until, entries: map[owner.Key]verdict.Reason{}}
	for in := rnd; in <= until; in++ {
		if err := t.keeping.read(in, func(r record.Record) {
			for _, e := range r.Entries {
				if !e.Content.IsZero() && e.Staleness == in-rnd {
					t.settled.entries[owner.Key{Member: e.Member, Content: e.Content}] = e.Verdict
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// seal makes the envelope of one of the owner's messages; h says what is
// particular to it.
func (t *task) seal(h wire.Header, m wire.Message) ([]byte, error) {
	body, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	h.Task, h.Sender, h.Schema, h.Origin = t.cfg.Name, t.topics.Node(), t.schema, t.origin
	h.CreatedMS = uint64(t.a.nowMS()) // after 1970
	return wire.Seal(h, body, t.a.cfg.Signer)
}
