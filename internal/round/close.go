package round

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// over reports whether the attempt has ended, and why.
func (m *Machine) over() (Close, bool) {
	if goal := cmp.Or(m.s.Params.Buffer, m.cfg.Goal); goal > 0 && m.accepted >= goal {
		return CloseGoal, true
	}
	for m.first < len(m.s.Cohort) && m.slots[m.s.Cohort[m.first]].done() {
		m.first++
	}
	switch {
	case m.first == len(m.s.Cohort):
		return CloseAll, true
	case m.clock.elapsed(m.now) >= int64(m.deadline()):
		return CloseDeadline, true
	}
	return "", false
}

// deadline is how long the attempt may last: while anybody that it still waits
// for is uploading, a moment longer.
func (m *Machine) deadline() uint64 {
	d := m.cfg.DeadlineMS
	if slices.ContainsFunc(m.sending, func(i uint32) bool { return m.in[i] && !m.slots[i].done() }) {
		d += min(d/graceShare, maxGraceMS)
	}
	return d
}

// close ends the attempt: a commit with a quorum, else an abandon.
func (m *Machine) close(why Close) {
	m.clock.stop(m.now)
	if m.accepted < m.cfg.Quorum {
		m.abandon(why)
		return
	}
	m.s.Phase, m.why = Closing, why
	c := &Commit{
		Stamp: m.s.Stamp(), Work: m.s.Params.Work,
		Base: m.s.Base, Params: *m.s.Params, Reason: why,
		Entries: m.entries(why, verdict.Counted),
	}
	for _, i := range m.s.Cohort {
		if s := m.slots[i]; s.kind == accepted {
			c.Accepted = append(c.Accepted, Accepted{
				Member: s.v.Member, Index: i, Content: s.v.Content, Weight: s.v.Weight, Staleness: s.v.Staleness,
			})
		}
	}
	m.r.Commit = c
	m.tell(Fact{Kind: FactClosing, Work: c.Work, Detail: string(why), Count: m.accepted})
}

// abandon records the attempt and reopens the same round on the same base
// . What was accepted stays, unless refusals made the quorum
// unreachable: then everybody's earlier updates lapse.
func (m *Machine) abandon(why Close) {
	operator := why == ClosePause || why == CloseStop || why == CloseRollback
	lapse := !operator && m.refusalsAlone()
	m.r.Save.Records = append(m.r.Save.Records, Record{
		Stamp: m.s.Stamp(), Work: m.s.Params.Work,
		Base: m.s.Base, Params: *m.s.Params, Reason: why,
		Entries: m.entries(why, fateOf(why, lapse)),
	})
	m.dirty = true
	m.tell(Fact{Kind: FactAbandoned, Work: m.s.Params.Work, Detail: string(why), Count: m.accepted})
	if !operator {
		m.s.Abandons++
		m.s.Vain = lapse || m.declines()
		m.countSilent(why)
		m.unset()
	}
	switch {
	case lapse:
		m.lapse()
	case !operator:
		m.lose()
	}
	m.next()
}

// countSilent notes who was asked and said nothing. An attempt that a
// restart or an operator cut short asked nobody for long enough, and one of asynchronous
// training that others have closed not those who are there: they train.
func (m *Machine) countSilent(why Close) {
	others := m.s.Params.Late > 0 && why != CloseDeadline
	for _, i := range m.s.Cohort {
		if others && m.now < m.free(i) {
			continue
		}
		if s := m.slots[i]; !m.members[i].Heard && (s.kind == empty || s.kind == promised) {
			m.setSilent(i, m.members[i].Silent+1)
		}
	}
}

// refusalsAlone reports whether refusals, and not absence, made the quorum
// unreachable. Who declined this attempt could not be accepted either; if
// that alone is too many, training again does not help.
func (m *Machine) refusalsAlone() bool {
	able, refusals, declines := len(m.s.Cohort), 0, 0
	for _, i := range m.s.Cohort {
		switch s := m.slots[i]; {
		case s.kind == refused, s.barred && !s.kept():
			refusals++
		case s.declined && !s.kept():
			declines++
		}
	}
	return able-refusals < m.cfg.Quorum ||
		able-refusals-declines < m.cfg.Quorum && able-declines >= m.cfg.Quorum
}

// unset stops the task if declines for a setting of the order kept the attempt
// from its quorum: the next order has the same settings.
func (m *Machine) unset() {
	could, detail := m.accepted, ""
	for _, i := range m.s.Cohort {
		if s := m.slots[i]; s.declined && s.unset {
			could++
			detail = cmp.Or(detail, s.detail)
		}
	}
	if detail != "" && could >= m.cfg.Quorum {
		m.stop(reasonSetting + " (" + detail + ")")
	}
}

// lose gives up what was promised before a restart and not offered again by
// the end of a whole attempt: the record has named it, and the member
// is free to send what it has.
func (m *Machine) lose() {
	for _, i := range m.s.Cohort {
		s := &m.slots[i]
		if s.kind != promised {
			continue
		}
		v := s.v
		v.Attempt, v.Reason = m.s.Attempt, verdict.Lost
		m.journal(v)
		s.kind, s.v = empty, Verdict{}
	}
}

// lapse drops every update of the round: sites train it again.
func (m *Machine) lapse() {
	m.s.RefusalAbandons++
	if m.s.RefusalAbandons < refusalsUntilStop {
		m.drop()
		return
	}
	who := m.refusedBy() // before they are dropped
	m.drop()
	m.stop(reasonRefusals + " (" + who + ")")
}

// refusedBy says who was refused in the attempt and why, and what helps where it is the
// size of most.
func (m *Machine) refusedBy() string {
	const most = 3
	of, beyond := map[verdict.Reason][]string{}, 0
	for _, i := range m.s.Cohort {
		s := m.slots[i]
		switch {
		case s.kind == refused:
			of[s.v.Reason] = append(of[s.v.Reason], m.members[i].Path)
		case s.barred:
			of[verdict.Declined] = append(of[verdict.Declined], m.members[i].Path)
		}
		if s.kind == refused && s.v.Reason.Beyond() {
			beyond++
		}
	}
	var said []string
	for _, why := range verdict.All() {
		names := of[why]
		if len(names) == 0 {
			continue
		}
		slices.Sort(names)
		if n := len(names) - most; n > 0 {
			names = append(names[:most], fmt.Sprintf("%d more", n))
		}
		said = append(said, why.String()+": "+strings.Join(names, ", "))
	}
	if 2*beyond > len(m.s.Cohort) {
		said = append(said, verdict.Scale)
	}
	return strings.Join(said, "; ")
}

// entries says what became of every member of the cohort, in path order;
// fate is that of the accepted ones.
func (m *Machine) entries(why Close, fate verdict.Reason) []Entry {
	absent := verdict.NotDue
	if why == CloseDeadline {
		absent = verdict.Missing
	}
	out := make([]Entry, 0, len(m.s.Cohort))
	for _, i := range m.s.Cohort {
		s := m.slots[i]
		e := Entry{
			Member: m.members[i].Path, Index: i, Content: s.v.Content, Samples: s.v.Samples,
			Weight: s.v.Weight, Norm: s.v.Norm, Bytes: s.v.Bytes, Conflict: s.conflict, Staleness: s.v.Staleness,
		}
		switch {
		case s.kind == accepted:
			e.Verdict = fate
		case s.kind == promised && fate == verdict.Lapsed:
			e.Verdict = verdict.Lapsed
		case s.kind == promised:
			e.Verdict = verdict.Lost
		case s.kind == refused:
			e.Verdict = s.v.Reason
		case s.declined:
			e.Verdict, e.Detail = verdict.Declined, s.detail
		default:
			e.Verdict = absent
		}
		out = append(out, e)
	}
	return out
}

// committed goes on to the next round. State, next order and the
// dropped journal are one Ready.
func (m *Machine) committed(ev Committed) {
	if m.s.Phase != Closing {
		return
	}
	m.tell(Fact{Kind: FactCommitted, Work: m.s.Params.Work, Content: ev.Base, Count: m.accepted})
	m.countSilent(m.why)
	m.measure(ev.Score)
	m.try(ev.Score)
	m.tryCanary(ev.Score)
	m.s.Worked = m.s.Params.Work
	if m.s.Worked == wire.WorkTrain {
		m.s.Trained++
	}
	m.passed()
	m.s.Version, m.s.Base, m.s.Record = m.s.Round, ev.Base, ev.RecordHash
	if m.s.NotBefore = 0; m.cfg.EveryMS > 0 && m.s.Version >= m.cfg.EveryFrom {
		m.s.NotBefore = m.now + m.cfg.EveryMS
	}
	m.rolledBack()
	m.cfg.Thresholds = ev.Thresholds
	m.s.Round++
	m.s.Attempt, m.s.ValidFrom = 0, 1
	m.s.Params, m.s.Cohort = nil, nil
	m.s.Abandons, m.s.RefusalAbandons = 0, 0
	for i := range m.slots {
		if m.slots[i].kind == accepted && !m.members[i].Counted {
			m.members[i].Counted = true
			m.change(uint32(i)) // an index
		}
	}
	clear(m.slots)
	clear(m.in)
	m.sending, m.accepted = nil, 0
	m.r.Save.DropJournal, m.r.Save.Verdicts = true, nil
	m.dirty = true
	m.next()
}
