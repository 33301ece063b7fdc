package round

import (
	"slices"

	"github.com/fedmq/fedmq/wire"
)

// alive notes that the member's process is there.
func (m *Machine) alive(i uint32) {
	m.members[i].AtMS = m.now
	m.back(i)
}

// back notes that the member's process is not gone. If another one claims the member,
// there are two.
func (m *Machine) back(i uint32) {
	m.signs[i].goneMS = 0
	if c := m.contest(m.members[i].Path); c != nil && !c.told() {
		m.tellOf(c)
	}
}

// sign is what the presence of a member's process says. A start forgets it.
type sign struct {
	connection uint64 // the newest that was seen
	goneMS     int64  // from when on the process is taken for ended; 0: it is not known to be
}

// presence takes in what a member's presence says of the process that speaks for it.
// That of another one, and of a connection before the newest, says nothing: a Last
// Will may come late.
func (m *Machine) presence(ev Presence) {
	i, ok := m.byPath[ev.Member]
	if !ok || ev.Instance != m.members[i].Instance || ev.Connection < m.signs[i].connection {
		return
	}
	s := &m.signs[i]
	s.connection = ev.Connection
	switch {
	case ev.Online:
		m.back(i)
	case ev.Ended:
		s.goneMS = m.now
	case s.goneMS == 0 && !m.cameBack(&m.members[i]):
		// The one that comes may have cut it off, as who uses the same client id does.
		s.goneMS = m.now + m.comeback()
	}
}

// comeback is how long a process whose connection another one took over needs to be
// back.
func (m *Machine) comeback() int64 {
	return max(comebackMinMS, comebackMSMember*int64(len(m.members)))
}

// cameBack reports whether the member's process was heard from since a second one
// claims the member: that one cuts it off whenever it looks.
func (m *Machine) cameBack(mem *Member) bool {
	c := m.contest(mem.Path)
	return c != nil && mem.AtMS > c.SinceMS
}

// silence is how long a process must not be heard from before one on another
// disk takes its place.
func (m *Machine) silence() int64 {
	return max(silenceMinMS, silenceBeats*int64(m.heartbeat())) // 10 ms for each of at most 2^32 members
}

// free is from when on another process may speak for the member.
func (m *Machine) free(i uint32) int64 {
	at := m.members[i].AtMS + m.silence()
	if gone := m.signs[i].goneMS; gone != 0 {
		at = min(at, gone)
	}
	return at
}

// contested reports whether a join is of a second process: on another disk,
// while the member's own may be there.
func (m *Machine) contested(i uint32, j Join) bool {
	mem := &m.members[i]
	return j.Instance != mem.Instance && j.Disk != mem.Disk && !mem.Disk.IsZero() && m.now < m.free(i)
}

// standby has a second process wait, and says that there are two.
func (m *Machine) standby(i uint32, j Join) {
	mem := &m.members[i]
	m.reply(mem.Path, wire.Standby{Instance: j.Instance, WaitMS: uint64(m.free(i) - m.now), Host: mem.Host}) // it is contested
	m.contests = slices.DeleteFunc(m.contests, m.settled)
	c := m.contest(mem.Path)
	if c == nil {
		m.contests = append(m.contests, Contest{Member: mem.Path, SinceMS: m.now, toldMS: m.now - contestEveryMS})
		c = &m.contests[len(m.contests)-1]
	}
	c.Hosts, c.lastMS = [2]string{mem.Host, j.Host}, m.now
	if m.signs[i].goneMS != 0 {
		return // it may be the only one: that there are two is said when the other is back
	}
	if m.now-c.toldMS >= contestEveryMS {
		m.tellOf(c)
	}
}

func (m *Machine) tellOf(c *Contest) {
	c.toldMS = m.now
	m.tell(Fact{Kind: FactContested, Member: c.Member, Detail: "hosts " + c.Hosts[0] + " and " + c.Hosts[1]})
}

// contest returns that of a member, nil if there is none.
func (m *Machine) contest(member string) *Contest {
	at := slices.IndexFunc(m.contests, func(c Contest) bool { return c.Member == member && !m.settled(c) })
	if at < 0 {
		return nil
	}
	return &m.contests[at]
}

// replaced forgets what was known of the process before. A claim that nobody answered
// was no contest.
func (m *Machine) replaced(i uint32, j Join) {
	m.signs[i] = sign{}
	if mem := &m.members[i]; mem.Disk != j.Disk {
		m.contests = slices.DeleteFunc(m.contests, func(c Contest) bool { return c.Member == mem.Path && !c.told() })
	}
}

// told reports whether somebody heard of it.
func (c Contest) told() bool { return c.toldMS >= c.SinceMS }

// settled reports whether the second process has not come for long.
func (m *Machine) settled(c Contest) bool { return m.now-c.lastMS >= contestMS }

// Contests returns the members that two processes claim, in the order in which
// that was seen.
func (m *Machine) Contests() []Contest {
	return slices.DeleteFunc(slices.Clone(m.contests), func(c Contest) bool { return m.settled(c) || !c.told() })
}
