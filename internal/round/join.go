package round

import (
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// join answers a join. The same bytes again say that the process
// is there, not that it works.
func (m *Machine) join(j Join) {
	if !m.cfg.member(j.Member) {
		m.refuseJoin(j, verdict.UnknownMember, 0, "")
		return
	}
	i, known := m.byPath[j.Member]
	if known {
		mem := &m.members[i]
		switch {
		case slices.Contains(mem.Superseded, j.Instance):
			m.reply(j.Member, wire.Superseded{Instance: j.Instance})
			return
		case j.Digest == mem.Digest:
			m.alive(i)
			m.welcome(i)
			return
		case m.contested(i, j):
			m.standby(i, j)
			return
		case j.Counter <= mem.Counter:
			m.refuseJoin(j, verdict.OldCounter, mem.Counter, "")
			return
		}
	}
	if !m.cfg.Schema.IsZero() && !j.Schema.IsZero() && j.Schema != m.cfg.Schema {
		m.refuseJoin(j, verdict.SchemaMismatch, 0, "")
		return
	}
	if j.Samples > m.cfg.MaxSamples {
		m.refuseJoin(j, verdict.OutOfRange, 0, m.tooMany(j.Samples))
		return
	}
	if m.disagrees(j) || m.lacks(j) {
		return
	}
	if !known {
		i = uint32(len(m.members))
		m.members = append(m.members, Member{Path: j.Member})
		m.index(i)
	}
	m.enter(i, j, !known)
}

// enter takes over what a new join says and welcomes the member.
func (m *Machine) enter(i uint32, j Join, first bool) {
	mem := &m.members[i]
	if !first && mem.Instance != j.Instance {
		m.replaced(i, j)
		m.supersede(mem)
	}
	if first || mem.Left {
		m.tell(Fact{Kind: FactJoined, Member: j.Member, Count: len(m.members), Detail: m.unknown(j)})
	}
	m.agree(j)
	mem.Samples, mem.Schema, mem.Instance = j.Samples, j.Schema, j.Instance
	mem.Disk, mem.Host = j.Disk, j.Host
	mem.Counter, mem.Digest, mem.Left = j.Counter, j.Digest, false
	mem.FromRound, mem.FromAttempt = m.s.Round, m.s.Attempt
	if !m.in[i] {
		mem.FromAttempt++
	}
	m.change(i)
	m.urgent = true
	m.heard(i)
	if s := &m.slots[i]; s.kind == accepted { // it may have lost what it has sent
		m.reply(mem.Path, s.v.receipt())
	}
	m.welcome(i)
}

// supersede remembers the member's former instance and tells it to stop.
func (m *Machine) supersede(mem *Member) {
	old := mem.Instance
	mem.Superseded = append(mem.Superseded, old)
	if n := len(mem.Superseded); n > maxSuperseded {
		mem.Superseded = slices.Clone(mem.Superseded[n-maxSuperseded:])
	}
	m.reply(mem.Path, wire.Superseded{Instance: old})
	m.tell(Fact{Kind: FactSuperseded, Member: mem.Path})
}

func (m *Machine) welcome(i uint32) {
	mem := &m.members[i]
	w := wire.Welcome{Index: i, FromRound: mem.FromRound, FromAttempt: mem.FromAttempt}
	if !m.out(i) {
		m.reply(mem.Path, w)
		return
	}
	w.FromRound = math.MaxUint64 // it trains for nothing otherwise
	m.reply(mem.Path, w)
	m.reply(mem.Path, wire.RefusalReply{Round: m.s.Round, Attempt: m.s.Attempt, Reason: verdict.NotInCohort.String(), Detail: whyOut})
}

func (m *Machine) refuseJoin(j Join, r verdict.Reason, counter uint64, detail string) {
	m.reply(j.Member, wire.RefusalReply{Round: m.s.Round, Attempt: m.s.Attempt, Reason: r.String(), Detail: detail, Counter: counter})
	if r.Authenticated() {
		m.tell(Fact{Kind: FactRefused, Member: j.Member, Reason: r, Detail: detail})
	}
}

// leave takes a member out of later cohorts.
func (m *Machine) leave(ev Leave) {
	i, ok := m.byPath[ev.Member]
	if !ok || m.members[i].Left {
		return
	}
	m.members[i].Left, m.urgent = true, true
	m.change(i)
	m.tell(Fact{Kind: FactLeft, Member: ev.Member})
}

// roster takes over who may be a member.
func (m *Machine) roster(ev Roster) {
	m.cfg.Members = ev.Members
	for i := range m.members {
		m.allowed[i] = m.cfg.member(m.members[i].Path)
	}
}

// heard notes a sign of life.
func (m *Machine) heard(i uint32) {
	m.members[i].Heard = true
	m.alive(i)
	m.setSilent(i, 0)
}

// setSilent counts the attempts that a member was silent in. Nobody waits for
// it: it is saved with what comes next.
func (m *Machine) setSilent(i uint32, n int) {
	if mem := &m.members[i]; mem.Silent != n {
		mem.Silent = n
		m.change(i)
	}
}
