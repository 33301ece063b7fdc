package aggregator

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// counts are what is shown on the round view since the process started.
type counts struct {
	bytesUp, bytesDown int64
	refused            map[string]int // unauthenticated refusals by reason
}

// answers limits what anybody can provoke: one unauthenticated answer and one
// log line a second (security section 2).
type answers struct{ answeredMS, loggedMS int64 }

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
	if t.counts.refused == nil {
		t.counts.refused = map[string]int{}
	}
	t.counts.refused[reason.String()]++
	t.viewDue = true
	now := t.a.nowMS()
	if now-t.answers.loggedMS >= 1000 {
		t.answers.loggedMS = now
		t.log.Warn().Str("sender", path).Str("reason", reason.String()).Str("detail", detail).Msg("message refused")
	}
	if now-t.answers.answeredMS >= 1000 {
		t.answers.answeredMS = now
		t.reply(path, wire.RefusalReply{Round: h.Round, Attempt: h.Attempt, Reason: reason.String(), Detail: detail})
	}
}

// reply seals and posts one answer to a member.
func (t *task) reply(member string, r wire.Reply) {
	topic := t.topics.Reply(member)
	payload, err := t.seal(topic, wire.KindReply, "", r, model.ContentID{}, t.state.Round, t.state.Attempt)
	if err != nil {
		t.log.Error().Err(err).Str("member", member).Msg("answer not encoded")
		return
	}
	t.a.conn.Post(link.Message{Topic: topic, Payload: payload, QoS: 1})
}

// seal makes the envelope of one of the owner's messages.
func (t *task) seal(topic, kind, encoding string, m wire.Message, base model.ContentID, rnd uint64, attempt uint32) ([]byte, error) {
	body, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	return wire.Seal(wire.Header{
		Task: t.cfg.Name, Epoch: t.state.Epoch, Kind: kind, Round: rnd, Attempt: attempt,
		Sender: t.topics.Node(), Topic: topic, Base: base, Encoding: encoding, Schema: t.schema,
		CreatedMS: uint64(t.a.nowMS()), // #nosec G115 -- after 1970
	}, body, t.a.cfg.Signer)
}

// sendReply translates an answer of the machine.
func (t *task) sendReply(m round.SendReply) {
	switch r := m.Reply.(type) {
	case round.Welcome:
		t.reply(m.Member, wire.Welcome{Index: r.Index, FromRound: r.FromRound, FromAttempt: r.FromAttempt})
	case round.Receipt:
		t.reply(m.Member, wire.Receipt{Round: r.Round, Attempt: r.Attempt, Content: model.ContentID(r.Content)})
	case round.Superseded:
		t.reply(m.Member, wire.Superseded{Instance: wire.Nonce(r.Instance)})
	case round.Refusal:
		if !r.Reason.Authenticated() {
			t.refuse(m.Member, wire.Header{Round: r.Round, Attempt: r.Attempt}, &wire.Refusal{Reason: r.Reason.String(), Detail: r.Detail})
			return
		}
		t.reply(m.Member, wire.RefusalReply{Round: r.Round, Attempt: r.Attempt, Content: model.ContentID(r.Content),
			Reason: r.Reason.String(), Detail: r.Detail, Counter: r.Counter})
	}
}

// settledCache keeps the last record looked at, and when each member was
// answered: one settled a member and second.
type settledCache struct {
	round   uint64
	entries map[string]record.Entry
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
	v := verdict.StaleRound.String()
	if e, ok := t.settled.entries[m.Member]; ok && e.Content == model.ContentID(m.Content) {
		v = e.Verdict.String()
	}
	t.reply(m.Member, wire.Settled{Round: m.Round, Content: model.ContentID(m.Content), Verdict: v})
	return nil
}

// lookUp reads the committed record of a round.
func (t *task) lookUp(rnd uint64) error {
	t.settled.round, t.settled.entries = rnd, map[string]record.Entry{}
	err := t.a.store.View(func(tx *store.Tx) error {
		return tx.RecordsOf(t.cfg.Name, rnd, func(at uint64, _ uint32, raw []byte) error {
			if at != rnd {
				return errEnough
			}
			r, err := record.Decode(raw)
			if err != nil {
				return fmt.Errorf("record of round %d: %w", rnd, err)
			}
			if r.Verdict == record.Committed {
				for _, e := range r.Entries {
					t.settled.entries[e.Member] = e
				}
			}
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough ends a walk over records.
var errEnough = errors.New("enough")
