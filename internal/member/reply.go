package member

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// onReply takes an answer. One of an earlier epoch than that of the order in
// force is a replay, or late: it is ignored (S-12).
func (m *Machine) onReply(epoch uint64, r wire.Reply) {
	if epoch < m.st.Seen.Epoch {
		return
	}
	m.unheard = 0
	switch r := r.(type) {
	case wire.Welcome:
		m.joining, m.answered, m.heard = timer{}, true, max(m.heard, epoch)
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
	case wire.Receipt:
		if e := m.entry(r.Round); e != nil && e.Content == r.Content {
			m.taken(e, cmp.Or(r.Version, r.Round))
		} else if e == nil && !r.Content.IsZero() {
			m.placed = placed{r.Round, r.Attempt, epoch}
		}
		m.answerDecline(r.Round, r.Content)
	case wire.Settled:
		if e := m.entry(r.Round); e != nil && e.Content == r.Content {
			m.settle(e, r.Verdict, false)
		}
		m.answerDecline(r.Round, r.Content)
	case wire.RefusalReply:
		m.onRefusal(r)
	case wire.Wait:
		if e := m.entry(r.Round); e != nil && e.Content == r.Content && m.sendable(e) {
			if e.ahead = r.Ahead; m.behind(e) { // the order that it is to wait for has come first
				e.set(m.now, m.patience(m.order))
			} else {
				m.putOff(e)
			}
		}
	case wire.Grant:
		m.onGrant(epoch, r)
	case wire.Superseded:
		if r.Instance == m.cfg.Instance {
			m.out.Stop = "another process took over"
		}
	case wire.Standby:
		if r.Instance == m.cfg.Instance {
			m.out.Wait = &Wait{For: ms(min(r.WaitMS, uint64(mostWait))), Host: r.Host} // at most mostWait
		}
	}
}

func (m *Machine) answerDecline(round uint64, content model.Hash) {
	if m.decline != nil && m.decline.Round == round && content.IsZero() {
		m.decline.answered = true
	}
}

// onRefusal sorts a refusal by its reason (S-13).
func (m *Machine) onRefusal(r wire.RefusalReply) {
	why, _ := verdict.Parse(r.Reason) // None: of a later version
	e := m.entry(r.Round)
	about := fmt.Sprintf("round %d", r.Round)
	switch {
	case why == verdict.OldCounter:
		if r.Counter >= m.st.Counter && m.joining.on {
			m.st.Counter = r.Counter
			m.save()
			m.joining.set(m.now+jitter(m.cfg.Rand, 1_000), m.joining.every)
		}
		return
	case e != nil && !r.Content.IsZero() && e.Content == r.Content && e.Attempt == r.Attempt:
		switch refusals[why] {
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
	if (why == verdict.ContractMismatch || why == verdict.Unsupported) && r.Content.IsZero() {
		m.joining = timer{} // nothing changes until a process begins anew: the next order asks again
	}
	if why == verdict.UnknownMember && !m.joining.on {
		m.joining.set(m.now+jitter(m.cfg.Rand, joinFirst), 2*joinFirst)
	}
	m.trouble = fmt.Sprintf("%s refused: %s", about, r.Reason)
	if r.Detail != "" {
		m.trouble += ": " + r.Detail
	}
}

// What a refusal means for the envelope it is about.
const (
	refusedForNow  = iota // repeat: an operator or a restart may mend it
	refusedAttempt        // not before the next order
	refusedForGood        // never: drop it
	refusedLapsed         // the order that lets it lapse is on its way, or asks for no work
)

var refusals = map[verdict.Reason]int{
	verdict.Malformed: refusedForGood, verdict.TooLarge: refusedForGood, verdict.UnknownMember: refusedForNow,
	verdict.BadSignature: refusedForNow, verdict.WrongTopic: refusedForGood, verdict.FutureRound: refusedForNow,
	verdict.StaleRound: refusedLapsed, verdict.WrongBase: refusedForGood, verdict.SchemaMismatch: refusedForGood, verdict.ContractMismatch: refusedForGood,
	verdict.NotFinite: refusedForGood, verdict.OutOfRange: refusedForGood, verdict.NormOutlier: refusedForGood,
	verdict.Conflict: refusedForGood, verdict.NotInCohort: refusedAttempt, verdict.BudgetExhausted: refusedForGood, verdict.Unsupported: refusedForGood,
}

// onRecord takes a record's head: it settles the entry that is in it, unless
// the round was abandoned and will be opened again (S-15).
func (m *Machine) onRecord(h Recorded) {
	m.head = head{h.Round, h.Verdict, false}
	if h.Verdict == verdictAbandoned {
		return
	}
	m.head.counted = m.st.Welcomed && h.Counted(m.st.Index)
	for _, e := range slices.Clone(m.entries) {
		m.recorded(e)
	}
}
