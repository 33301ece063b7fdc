package round

import (
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// update answers an update, in the order of R-33: what it is about, then what
// was said before, then whether it may count, then whether it is good.
func (m *Machine) update(u Update) {
	i, ok := m.known(u.Member)
	switch {
	case !ok:
		m.refuse(u, verdict.UnknownMember)
		return
	case u.Round > m.s.Round || u.Round == m.s.Round && u.Attempt > m.s.Attempt:
		m.heard(i)
		m.refuse(u, verdict.FutureRound)
		return
	}
	m.heard(i)
	if u.Round < m.s.Round && m.late(i, u) {
		return
	}
	s, asked := &m.slots[i], m.asks(u.Round)
	switch {
	case s.kind == accepted && s.v.is(u):
		m.reply(u.Member, s.v.receipt())
	case s.kept() && s.v.Of() != u.Round:
		m.putOff(u)
	case s.kept() && s.v.Content != u.Content && u.Attempt >= asked.ValidFrom:
		m.conflict(i, u)
	case m.s.Phase == Closing:
		if m.s.Params.Late > 0 && s.kind == empty {
			m.putOff(u) // it may count in the next round
		} // else its record will tell: the set is closed
	case u.Attempt < asked.ValidFrom:
		m.refuse(u, verdict.StaleRound)
	case !m.in[i]:
		if m.out(i) {
			u.Detail = whyOut
		}
		m.refuse(u, verdict.NotInCohort)
	case u.Base != asked.Base:
		m.refuse(u, verdict.WrongBase)
	default:
		m.judge(i, u)
	}
}

// judge accepts an update that may count, admits its offer, or refuses
// either for good.
func (m *Machine) judge(i uint32, u Update) {
	weight := m.s.Params.weigh(u.Samples)
	why := u.Problem
	if why == verdict.None && u.Samples > m.cfg.MaxSamples {
		why, u.Detail = verdict.OutOfRange, m.tooMany(u.Samples)
	}
	switch {
	case why != verdict.None && !why.Refusal():
		why = verdict.Malformed
	case why == verdict.None && (math.IsNaN(u.Norm) || math.IsInf(u.Norm, 0)):
		why = verdict.NotFinite
	case why == verdict.None && weight == 0:
		why = verdict.OutOfRange
	}
	v := Verdict{
		Round: m.s.Round, Attempt: m.s.Attempt, Member: u.Member, Index: i,
		Content: u.Content, Samples: u.Samples, Bytes: u.Bytes, Reason: why, Staleness: m.s.Round - u.Round,
	}
	s := &m.slots[i]
	if u.Offer && why == verdict.None {
		if s.kind == refused && s.v.is(u) {
			m.refuse(u, s.v.Reason)
			return
		}
		m.send(SendAdmit{Member: u.Member, Round: u.Round, Attempt: u.Attempt, Content: u.Content, Counted: m.members[i].Counted, Staleness: v.Staleness})
		return
	}
	if why != verdict.None {
		if s.kind == empty {
			s.kind, s.v = refused, v
			m.journal(v)
		}
		m.refuse(u, why)
		return
	}
	v.Weight, v.Norm, v.Reason = weight, u.Norm, verdict.Counted
	s.kind, s.v = accepted, v
	m.accepted++
	m.journal(v)
	m.r.Fold = append(m.r.Fold, Accepted{Member: u.Member, Index: i, Content: u.Content, Weight: weight, Staleness: v.Staleness})
	m.reply(u.Member, v.receipt())
	m.tell(Fact{Kind: FactAccepted, Member: u.Member, Content: u.Content, Detail: stale(v.Staleness), Count: m.accepted})
}

// conflict refuses other content than what holds the member's place, and flags
// the member in the record once.
func (m *Machine) conflict(i uint32, u Update) {
	s := &m.slots[i]
	if !s.conflict && m.s.Phase != Closing {
		s.conflict = true
		m.journal(Verdict{
			Round: m.s.Round, Attempt: m.s.Attempt, Member: u.Member, Index: i,
			Content: u.Content, Samples: u.Samples, Bytes: u.Bytes, Reason: verdict.Conflict, Staleness: m.s.Round - u.Round,
		})
	}
	m.refuse(u, verdict.Conflict)
}

func (m *Machine) journal(v Verdict) { m.r.Save.Verdicts = append(m.r.Save.Verdicts, v) }

func (m *Machine) refuse(u Update, why verdict.Reason) {
	m.reply(u.Member, wire.RefusalReply{Round: u.Round, Attempt: u.Attempt, Content: u.Content, Reason: why.String(), Detail: u.Detail})
	if why.Authenticated() {
		m.tell(Fact{Kind: FactRefused, Member: u.Member, Content: u.Content, Reason: why, Detail: u.Detail})
	}
}

// uploading notes who is sending an offered update.
func (m *Machine) uploading(ev Uploading) {
	i, ok := m.known(ev.Member)
	if !ok {
		return
	}
	m.sending = slices.DeleteFunc(m.sending, func(j uint32) bool { return j == i })
	if ev.On {
		m.sending = append(m.sending, i)
		m.heard(i)
	}
}

// decline notes that a member sits this attempt out.
func (m *Machine) decline(d Decline) {
	i, ok := m.known(d.Member)
	if !ok {
		m.refuse(declined(d), verdict.UnknownMember)
		return
	}
	m.heard(i)
	s := &m.slots[i]
	switch {
	case d.Round > m.s.Round || d.Round == m.s.Round && d.Attempt > m.s.Attempt:
		m.refuse(declined(d), verdict.FutureRound)
	case d.Round < m.s.Round:
		m.send(SendSettled{Member: d.Member, Round: d.Round, Until: d.Round})
	case s.kind == accepted && s.v.Of() == d.Round:
		m.reply(d.Member, s.v.receipt())
	case !m.in[i]:
		m.refuse(declined(d), verdict.NotInCohort)
	default:
		if m.s.Phase == Open && d.Attempt == m.s.Attempt && !s.declined {
			s.declined, s.detail, s.barred, s.unset = true, d.Reason, d.Refused, d.Setting
			m.tell(Fact{Kind: FactDeclined, Member: d.Member, Detail: d.Reason})
		}
		m.reply(d.Member, wire.Receipt{Round: d.Round, Attempt: d.Attempt})
	}
}

func declined(d Decline) Update {
	return Update{Member: d.Member, Round: d.Round, Attempt: d.Attempt}
}
