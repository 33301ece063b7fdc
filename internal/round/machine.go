package round

import (
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// Machine is the round machine of one task. It is not safe for concurrent use.
type Machine struct {
	cfg     Config
	s       State
	members []Member

	byPath  map[string]uint32 // looked up only, never ranged over
	sorted  []uint32          // all members in path order
	allowed []bool            // by index: the path still matches the settings
	in      []bool            // by index: in s.Cohort
	slots   []slot            // by index: what came of it in this round
	signs   []sign            // by index: what its presence says
	others  bool              // settings wait that are not those of the open round

	excluded map[string]bool // State.Excluded, looked up only
	leaving  []uint32        // who is excluded and does not know it yet

	accepted int      // slots of that kind; all are in the cohort
	first    int      // in s.Cohort: those before it are done with this attempt
	sending  []uint32 // whose upload runs
	contests []Contest

	now       int64
	started   bool
	connected bool
	fenced    bool
	clock     clock
	why       Close // of the commit under way; "" after a restart
	openAt    int64 // end of JoinWait, 0 if it does not run
	waitUntil int64 // end of Waiting

	r       Ready
	dirty   bool     // the state is to be saved
	changed []uint32 // members that differ from those saved last, each once
	differs []bool   // by index: in changed
	urgent  bool     // changed is to be saved now; else with what is saved next
}

// slot is what came of one member in the current round.
type slot struct {
	kind     slotKind
	v        Verdict // of accepted, promised and refused
	declined bool    // in this attempt
	detail   string  // why
	barred   bool    // because it was refused, of which this machine may know nothing
	unset    bool    // because its trainer does not know a setting
	conflict bool
}

type slotKind uint8

const (
	empty    slotKind = iota
	promised          // accepted before a restart, not offered again yet
	accepted
	refused // for good: the same bytes would be refused again
)

// kept reports whether the member must stay in the round's cohorts.
func (s slot) kept() bool { return s.kind == accepted || s.kind == promised }

// done reports whether nothing more is expected in this attempt.
func (s slot) done() bool { return s.kind == accepted || s.kind == refused || s.declined }

// New returns a machine at rest, for Started to begin with. A nil st is a task
// that never ran; members are by index, and journal is what was appended since
// the last DropJournal. The settings must pass Validate.
func New(cfg Config, st *State, members []Member, journal []Verdict) *Machine {
	m := &Machine{cfg: cfg.withDefaults(), byPath: make(map[string]uint32)}
	if st == nil {
		st = cfg.First()
	}
	m.s = *st.clone()
	m.s.count(m.cfg)
	m.others = cfg.Others
	m.excluded = m.excludedSet()
	for i, mem := range members {
		m.members = append(m.members, mem.clone())
		m.index(uint32(i))
	}
	for _, i := range m.s.Cohort {
		m.in[i] = true
	}
	for _, v := range journal {
		m.replay(v)
	}
	return m
}

// index makes member i known to the look-up tables.
func (m *Machine) index(i uint32) {
	path := m.members[i].Path
	m.byPath[path] = i
	at, _ := slices.BinarySearchFunc(m.sorted, path, func(j uint32, p string) int {
		return strings.Compare(m.members[j].Path, p)
	})
	m.sorted = slices.Insert(m.sorted, at, i)
	m.allowed = append(m.allowed, m.cfg.member(path))
	m.in = append(m.in, false)
	m.slots = append(m.slots, slot{})
	m.signs = append(m.signs, sign{})
	m.differs = append(m.differs, false)
}

// replay takes in one verdict of before the restart. What the state
// has left behind since is skipped.
func (m *Machine) replay(v Verdict) {
	if v.Round != m.s.Round || v.Attempt < m.s.ValidFrom {
		return
	}
	i, ok := m.byPath[v.Member]
	if !ok || i != v.Index {
		return
	}
	s := &m.slots[i]
	switch {
	case v.Reason == verdict.Counted:
		s.kind, s.v = promised, v
	case v.Reason == verdict.Lost:
		s.kind, s.v = empty, Verdict{}
	case v.Reason == verdict.Conflict:
		s.conflict = true
	case s.kind == empty:
		s.kind, s.v = refused, v
	}
}

// State returns a copy of the current state. What it shows is durable only
// once the last Ready was saved.
func (m *Machine) State() *State { return m.s.clone() }

// Members returns a copy of all members, by index.
func (m *Machine) Members() []Member {
	all := make([]Member, len(m.members))
	for i, mem := range m.members {
		all[i] = mem.clone()
	}
	return all
}

// Welcomed returns how many members there are.
func (m *Machine) Welcomed() int { return len(m.members) }

// Path returns the path of the member at an index.
func (m *Machine) Path(i uint32) string { return m.members[i].Path }

// change notes that a member differs from what is saved.
func (m *Machine) change(i uint32) {
	if !m.differs[i] {
		m.differs[i], m.changed = true, append(m.changed, i)
	}
}

// places returns the members that have changed.
func (m *Machine) places() (list []Place) {
	slices.Sort(m.changed)
	for _, i := range m.changed {
		m.differs[i] = false
		list = append(list, Place{i, m.members[i].clone()})
	}
	m.changed = m.changed[:0]
	return list
}

// Accepted returns how many updates the sum of the current round holds.
func (m *Machine) Accepted() int { return m.accepted }

// Known reports whether a member was welcomed and is still allowed.
func (m *Machine) Known(member string) bool {
	_, ok := m.known(member)
	return ok
}

// known returns the index of a member that was welcomed and is still allowed.
func (m *Machine) known(path string) (uint32, bool) {
	i, ok := m.byPath[path]
	return i, ok && m.allowed[i]
}

func (m *Machine) send(msg Message) { m.r.Send = append(m.r.Send, msg) }

func (m *Machine) reply(member string, r wire.Reply) { m.send(SendReply{Member: member, Reply: r}) }

// sendOrder publishes the current order, if there is one and a link.
func (m *Machine) sendOrder() {
	if m.connected && m.s.Order != nil {
		m.send(SendOrder{Order: *m.s.Order})
	}
}

// tell sends a fact about the current attempt.
func (m *Machine) tell(f Fact) {
	f.Round, f.Attempt = m.s.Round, m.s.Attempt
	m.send(SendEvent{Fact: f})
}

// Quorum is how few accepted updates a commit needs.
func (m *Machine) Quorum() int { return m.cfg.Quorum }

// Sending returns the members whose uploads run, as far as the machine was told: they
// are not silent, and a deadline waits for them.
func (m *Machine) Sending() []string {
	list := make([]string, len(m.sending))
	for k, i := range m.sending {
		list[k] = m.members[i].Path
	}
	return list
}
