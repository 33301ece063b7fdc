package aggregator

import (
	"errors"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// answers limits what anybody can provoke: one unauthenticated answer a second
// (security section 2), as mayLog limits lines of the log.
type answers struct{ answeredMS int64 }

// problem translates a refusal of package wire.
func problem(err error) (verdict.Reason, string) {
	var r *wire.Refusal
	if !errors.As(err, &r) {
		return verdict.Malformed, detailOf(err)
	}
	reason, ok := verdict.Parse(r.Reason)
	if !ok {
		reason = verdict.Malformed
	}
	return reason, r.Detail
}

// detailOf is an error as a detail of at most 256 bytes.
func detailOf(err error) string {
	s := err.Error()
	return s[:min(len(s), 256)]
}

// refuse counts a message that did not get past the envelope, and answers at
// most one a second: the sender is not proven, so an answer amplifies.
func (t *task) refuse(path string, h wire.Header, err error) {
	reason, detail := problem(err)
	t.count(reason)
	t.unheard(unheard{audit.Refused, path, reason.String()})
	now := t.a.nowMS()
	if t.mayLog() {
		t.log.Warn().Str("sender", path).Str("reason", reason.String()).Str("detail", detail).Msg("message refused")
	}
	if now-t.answers.answeredMS >= 1000 {
		t.answers.answeredMS = now
		t.reply(path, wire.RefusalReply{Round: h.Round, Attempt: h.Attempt, Reason: reason.String(), Detail: detail})
	}
}

// answerDoctor says nothing to a doctor that asked at a member's path whether it is
// heard, and counts it where people read (W-42): so it knows an answer that the
// access list keeps from it. Who asks is not proven, as in refuse.
func (t *task) answerDoctor(path string) {
	now := t.a.nowMS()
	if now-t.answers.answeredMS < 1000 {
		return
	}
	t.answers.answeredMS = now
	t.counts.asked++
	t.viewDue = true
	t.a.conn.Post(link.Message{Topic: t.topics.Reply(path), QoS: 1})
}

// reply seals and posts one answer to a member.
func (t *task) reply(member string, r wire.Reply) {
	topic := t.topics.Reply(member)
	payload, err := t.seal(wire.Header{
		Kind: wire.KindReply, Epoch: t.state.Epoch, Round: t.state.Round, Attempt: t.state.Attempt, Topic: topic,
	}, r)
	if err != nil {
		t.log.Error().Err(err).Str("member", member).Msg("answer not encoded")
		return
	}
	t.a.conn.Post(link.Message{Topic: topic, Payload: payload, QoS: 1})
}

// seal makes the envelope of one of the owner's messages; h says what is
// particular to it.
func (t *task) seal(h wire.Header, m wire.Message) ([]byte, error) {
	body, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	h.Task, h.Sender, h.Schema, h.Origin = t.cfg.Name, t.topics.Node(), t.schema, t.origin
	h.CreatedMS = uint64(t.a.nowMS()) // #nosec G115 -- after 1970
	return wire.Seal(h, body, t.a.cfg.Signer)
}

// sendReply passes on an answer of the machine.
func (t *task) sendReply(m round.SendReply) {
	switch r := m.Reply.(type) {
	case wire.Welcome:
		crash.At("welcome.after-tx")
		t.reply(m.Member, r)
	case wire.Receipt:
		crash.At("receipt.before")
		t.reply(m.Member, r)
		crash.At("receipt.after")
	case wire.RefusalReply:
		why, _ := verdict.Parse(r.Reason)
		judged := why == verdict.Malformed && !r.Content.IsZero() // an update of a proven sender: its answer names it
		if !why.Authenticated() && !judged {
			t.refuse(m.Member, wire.Header{Round: r.Round, Attempt: r.Attempt}, &wire.Refusal{Reason: r.Reason, Detail: r.Detail})
			return
		}
		t.tally.refusal(r.Reason)
		t.reply(m.Member, r)
	default:
		t.reply(m.Member, r)
	}
}

// settledCache keeps what the records of one round say, and when each member
// was answered: one settled a member and second.
type settledCache struct {
	round   uint64
	entries map[contentKey]verdict.Reason
	atMS    map[string]int64
}

// sendSettled answers what became of an update of an older round, from the
// records on disk.
func (t *task) sendSettled(m round.SendSettled) error {
	now := t.a.nowMS()
	if t.settled.atMS == nil {
		t.settled.atMS = map[string]int64{}
	}
	if last, ok := t.settled.atMS[m.Member]; ok && now-last < 1000 {
		return nil
	}
	t.settled.atMS[m.Member] = now
	if t.settled.entries == nil || t.settled.round != m.Round {
		if err := t.lookUp(m.Round); err != nil {
			return err
		}
	}
	v, ok := t.settled.entries[contentKey{m.Member, m.Content}]
	if !ok {
		v = verdict.StaleRound
	}
	crash.At("settled.before")
	t.reply(m.Member, wire.Settled{Round: m.Round, Content: m.Content, Verdict: v.String()})
	return nil
}

// lookUp reads the records of a round that is over. The committed one comes
// last and has the last word; an abandoned one may be alone in naming what was
// lost or has lapsed.
func (t *task) lookUp(rnd uint64) error {
	t.settled.round, t.settled.entries = rnd, map[contentKey]verdict.Reason{}
	return t.keeping.read(rnd, func(r record.Record) {
		for _, e := range r.Entries {
			if !e.Content.IsZero() {
				t.settled.entries[contentKey{e.Member, e.Content}] = e.Verdict
			}
		}
	})
}
