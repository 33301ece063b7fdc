package round

import (
	"slices"

	"github.com/fedmq/fedmq/wire"
)

// alive notes that the member's process is there.
func (m *Machine) alive(i uint32) { m.members[i].AtMS = m.now }

// silence is how long a process must not be heard from before one on another
// disk takes its place.
func (m *Machine) silence() int64 {
	return max(silenceMinMS, silenceBeats*int64(m.heartbeat())) // 10 ms for each of at most 2^32 members
}

// contested reports whether a join is of a second process: on another disk,
// while the member's own was heard from.
func (m *Machine) contested(mem *Member, j Join) bool {
	return j.Instance != mem.Instance && j.Disk != mem.Disk && !mem.Disk.IsZero() && m.now-mem.AtMS < m.silence()
}

// standby has a second process wait, and says that there are two.
func (m *Machine) standby(mem *Member, j Join) {
	m.reply(mem.Path, wire.Standby{Instance: j.Instance, WaitMS: uint64(mem.AtMS + m.silence() - m.now), Host: mem.Host}) // it is contested
	m.contests = slices.DeleteFunc(m.contests, m.settled)
	at := slices.IndexFunc(m.contests, func(c Contest) bool { return c.Member == mem.Path })
	if at < 0 {
		at = len(m.contests)
		m.contests = append(m.contests, Contest{Member: mem.Path, SinceMS: m.now, toldMS: m.now - contestEveryMS})
	}
	c := &m.contests[at]
	c.Hosts, c.lastMS = [2]string{mem.Host, j.Host}, m.now
	if m.now-c.toldMS >= contestEveryMS {
		c.toldMS = m.now
		m.tell(Fact{Kind: FactContested, Member: mem.Path, Detail: "hosts " + c.Hosts[0] + " and " + c.Hosts[1]})
	}
}

// settled reports whether the second process has not come for long.
func (m *Machine) settled(c Contest) bool { return m.now-c.lastMS >= contestMS }

// Contests returns the members that two processes claim, in the order in which
// that was seen.
func (m *Machine) Contests() []Contest {
	return slices.DeleteFunc(slices.Clone(m.contests), m.settled)
}
