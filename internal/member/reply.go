package member

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// onReply takes an answer. One of an earlier epoch than that of the order in
// force is a replay, or late: it is ignored (S-12).
func (m *Machine) onReply(epoch uint64, r Reply) {
	if epoch < m.st.Seen.Epoch {
		return
	}
	m.unheard = 0
	switch r := r.(type) {
	case Welcome:
		m.joining = timer{}
		if !m.beating.on {
			m.beat()
		}
		now := m.st
		now.Welcomed, now.WelcomeEpoch = true, epoch
		now.Index, now.FromRound, now.FromAttempt = r.Index, r.FromRound, r.FromAttempt
		if now != m.st {
			m.st = now
			m.save()
		}
	case Receipt:
		if e := m.entry(r.Round); e != nil && e.Content == r.Content {
			e.answered = true
		}
		m.answerDecline(r.Round, r.Content)
	case Settled:
		if e := m.entry(r.Round); e != nil && e.Content == r.Content {
			m.settle(e, r.Verdict, false)
		}
		m.answerDecline(r.Round, r.Content)
	case Refusal:
		m.onRefusal(r)
	case Waiting:
		if e := m.entry(r.Round); e != nil && e.Content == r.Content && m.sendable(e) {
			e.ahead = r.Ahead
			m.putOff(e)
		}
	case Grant:
		m.onGrant(epoch, r)
	case Superseded:
		if r.Instance == m.cfg.Instance {
			m.out.Stop = "another process took over"
		}
	case Standby:
		if r.Instance == m.cfg.Instance {
			m.out.Wait = &Wait{For: ms(min(r.WaitMS, uint64(mostWait))), Host: r.Host} // #nosec G115 -- at most mostWait
		}
	}
}

// onGrant lets parts of an entry go (S-24). What the entry's parts are called is
// known from its offer: a grant of another part size is of no use.
func (m *Machine) onGrant(epoch uint64, g Grant) {
	if g.Blob == (wire.BlobKey{}) || !m.Uploads(g.Round, g.Blob) || !m.connected || m.shut {
		return
	}
	e := m.entry(g.Round)
	e.ahead = 0
	m.putOff(e)
	g.Epoch = epoch
	m.out.Grants = append(m.out.Grants, g)
}

// Uploads reports whether the entry of a round is still to be sent in these
// parts.
func (m *Machine) Uploads(round uint64, blob wire.BlobKey) bool {
	e := m.entry(round)
	return e != nil && e.Blob == blob && m.sendable(e)
}

// putOff moves the next repetition of an offer away: its aggregator has it, or
// its parts are on their way (S-23).
func (m *Machine) putOff(e *Entry) { e.set(m.now+jitter(m.cfg.Rand, waitEvery), waitEvery) }

func (m *Machine) answerDecline(round uint64, content model.Hash) {
	if m.decline != nil && m.decline.Round == round && content.IsZero() {
		m.decline.answered = true
	}
}

// onRefusal sorts a refusal by its reason (S-13).
func (m *Machine) onRefusal(r Refusal) {
	e := m.entry(r.Round)
	about := fmt.Sprintf("round %d", r.Round)
	switch {
	case r.Reason == reasonOldCounter:
		if r.Counter >= m.st.Counter && m.joining.on {
			m.st.Counter = r.Counter
			m.save()
			m.joining.set(m.now+jitter(m.cfg.Rand, 1_000), m.joining.every)
		}
		return
	case e != nil && !r.Content.IsZero() && e.Content == r.Content && e.Attempt == r.Attempt:
		switch refusals[r.Reason] {
		case refusedForGood:
			m.settle(e, r.Reason, true)
		case refusedLapsed:
			m.lapse(e)
		case refusedAttempt:
			e.answered = true
		case refusedForNow:
		}
	case r.Content.IsZero():
		// A join, a decline, or something that could not be read: nothing that
		// an entry could be dropped for.
		if r.Round == 0 {
			about = "join"
		}
		m.answerDecline(r.Round, r.Content)
	default:
		return
	}
	if r.Reason == reasonUnknownMember && !m.joining.on {
		m.joining.set(m.now+jitter(m.cfg.Rand, joinFirst), 2*joinFirst)
	}
	m.trouble = fmt.Sprintf("%s refused: %s", about, r.Reason)
	if r.Detail != "" {
		m.trouble += ": " + r.Detail
	}
}

// Reasons of a refusal that the machine tells apart.
const (
	reasonOldCounter    = "old_counter"
	reasonUnknownMember = "unknown_member"
)

// What a refusal means for the envelope it is about.
const (
	refusedForNow  = iota // repeat: an operator or a restart may mend it
	refusedAttempt        // not before the next order
	refusedForGood        // never: drop it
	refusedLapsed         // the order that lets it lapse is on its way, or asks for no work
)

var refusals = map[string]int{
	"malformed": refusedForGood, "too_large": refusedForGood, reasonUnknownMember: refusedForNow,
	"bad_signature": refusedForNow, "wrong_topic": refusedForGood, "future_round": refusedForNow,
	"stale_round": refusedLapsed, "wrong_base": refusedForGood, "schema_mismatch": refusedForGood,
	"not_finite": refusedForGood, "out_of_range": refusedForGood, "norm_outlier": refusedForGood,
	"conflict": refusedForGood, "not_in_cohort": refusedAttempt, "budget_exhausted": refusedForGood,
}

// onRecord takes a record's head: it settles the entry of its round, unless
// the round was abandoned and will be opened again (S-15).
func (m *Machine) onRecord(h Head) {
	m.head = h
	if h.Verdict == verdictAbandoned {
		return
	}
	e := m.entry(h.Round)
	if e == nil {
		return
	}
	verdict := "not counted"
	if h.Counted {
		verdict = VerdictCounted
	}
	m.settle(e, verdict, false)
}
