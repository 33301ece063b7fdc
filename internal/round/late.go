package round

import (
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Past is a former round of asynchronous training, whose updates may count yet.
type Past struct {
	Round     uint64     `json:"round"`
	Base      model.Hash `json:"base"`       // that its updates were trained on
	ValidFrom uint32     `json:"valid_from"` // updates of earlier attempts have lapsed
}

// droppedAfter attempts of silence a member is asked no more; as many more as an update may
// be behind, while its process is there: it trains. What others close is none of them.
const droppedAfter = 2

func (m *Machine) patience(i uint32) int {
	if m.cfg.Late == 0 || m.now >= m.free(i) {
		return droppedAfter
	}
	return droppedAfter + int(m.cfg.Late) // at most strategy.MostLate
}

// tellTooSlow tells members that are there, and people, that asynchronous training has gone
// on without them for longer than an update may be behind: once, until one counts again.
func (m *Machine) tellTooSlow() {
	late := m.s.Params.Late
	if late == 0 || m.s.Attempt != 1 {
		return
	}
	for _, i := range m.s.Cohort {
		mem := &m.members[i]
		last := max(mem.LastCounted+1, mem.FromRound, m.s.Since)
		if m.s.Since == 0 || m.s.Round != last+late+1 || m.now >= m.free(i) {
			continue
		}
		detail := fmt.Sprintf("no update of it has counted in the last %d rounds: what is more than %d behind is begun anew with the newest model (strategy: a larger max_staleness or K)", late+1, late)
		m.reply(mem.Path, wire.RefusalReply{Round: last, Attempt: 1, Reason: verdict.StaleRound.String(), Detail: detail})
		m.tell(Fact{Kind: FactRefused, Member: mem.Path, Reason: verdict.StaleRound, Detail: detail})
	}
}

// Stale returns how many versions an update of a former round would be behind in the
// open one, and whether it may count there; of the open round it is 0.
func (m *Machine) Stale(round uint64) (by uint64, ok bool) {
	if round == m.s.Round {
		return 0, true
	}
	p := m.s.Params
	if round > m.s.Round || p == nil || m.s.Round-round > p.Late || m.past(round) == nil {
		return 0, false
	}
	return m.s.Round - round, true
}

// Past is what updates of a former round were trained on; nil: none of them may count.
func (m *Machine) past(round uint64) *Past {
	at := slices.IndexFunc(m.s.Past, func(p Past) bool { return p.Round == round })
	if at < 0 {
		return nil
	}
	return &m.s.Past[at]
}

// asks is what an update of a round must be: its base, and the first of the attempts that
// did not lapse.
func (m *Machine) asks(round uint64) Past {
	if p := m.past(round); p != nil {
		return *p
	}
	return Past{Round: m.s.Round, Base: m.s.Base, ValidFrom: m.s.ValidFrom}
}

// Kept is a verdict's update as it is judged again after a restart.
func (m *Machine) Kept(v Verdict) Update {
	p := m.asks(v.Of())
	return Update{
		Member: v.Member, Round: v.Of(), Attempt: max(v.Attempt, p.ValidFrom), Base: p.Base,
		Content: v.Content, Samples: v.Samples, Bytes: v.Bytes,
	}
}

// late answers an update of a former round that cannot count in this one, and reports
// whether it is answered.
func (m *Machine) late(i uint32, u Update) bool {
	counted := m.members[i].LastCounted
	if _, ok := m.Stale(u.Round); ok && u.Round > counted {
		return false
	}
	switch p := m.s.Params; {
	case p == nil && u.Round > counted && m.past(u.Round) != nil && m.work() == wire.WorkTrain && m.cfg.Late > 0:
		m.putOff(u) // until the next order
	case p != nil && p.Late > 0 && u.Round > counted && m.s.Since > 0 && u.Round >= m.s.Since && m.s.Round-u.Round > p.Late:
		u.Detail = fmt.Sprintf("its staleness is %d, want at most %d (strategy: max_staleness)", m.s.Round-u.Round, p.Late)
		m.refuse(u, verdict.StaleRound)
	default:
		m.send(SendSettled{Member: u.Member, Round: u.Round, Until: max(u.Round, min(m.s.Round-1, u.Round+m.s.Late)), Content: u.Content})
	}
	return true
}

// putOff has a member offer an update again with the next order: another one of it is in
// the open round.
func (m *Machine) putOff(u Update) {
	m.reply(u.Member, wire.Wait{Round: u.Round, Attempt: u.Attempt, Content: u.Content, Ahead: 1})
}

// stale tells people that an update is late; "" for one that is not.
func stale(by uint64) string {
	if by == 0 {
		return ""
	}
	return fmt.Sprintf("staleness %d", by)
}

// Of is the round that the update was made for.
func (v Verdict) Of() uint64 { return v.Round - v.Staleness }

// is reports whether the verdict is on this update.
func (v Verdict) is(u Update) bool { return v.Content == u.Content && v.Of() == u.Round }

// receipt names the round of the update, and that whose record will have it.
func (v Verdict) receipt() wire.Receipt {
	r := wire.Receipt{Round: v.Of(), Attempt: v.Attempt, Content: v.Content}
	if v.Staleness > 0 {
		r.Version = v.Round
	}
	return r
}

// passed remembers what a round that is committed was asked with, while updates of it may
// count. One that takes no late updates ends that for all before it.
func (m *Machine) passed() {
	p := m.s.Params
	if p.Late == 0 {
		m.s.Since, m.s.Past = 0, nil
		return
	}
	if m.s.Since == 0 {
		m.s.Since = m.s.Round
	}
	m.s.Late = max(m.s.Late, p.Late)
	past := append(slices.Clone(m.s.Past), Past{Round: m.s.Round, Base: m.s.Base, ValidFrom: m.s.ValidFrom})
	m.s.Past = past[max(0, len(past)-int(p.Late)):] // at most strategy.MostLate
	for i := range m.slots {
		if s := &m.slots[i]; s.kind == accepted {
			m.members[i].LastCounted = s.v.Of()
			m.change(uint32(i)) // an index
		}
	}
}
