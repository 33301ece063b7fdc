package round

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// tryOpen opens the next attempt if enough members can be asked, else the
// machine is idle until they are.
func (m *Machine) tryOpen() {
	if m.s.Phase != Idle {
		m.s.Phase, m.dirty = Idle, true
	}
	if m.notDue() {
		m.openAt = m.s.NotBefore
		return
	}
	begun, need := m.need()
	if len(m.members) < need {
		m.openAt = 0
		return
	}
	if m.others && m.s.Vain && m.askable() >= need {
		m.renew()
	}
	can := m.eligible()
	if len(can) < need {
		m.openAt = 0
		return
	}
	if begun {
		m.open(can)
		return
	}
	if m.openAt == 0 {
		m.openAt = m.now + m.cfg.JoinWaitMS
	}
	if m.now >= m.openAt {
		m.open(can)
	}
}

// need is how many members an order wants, before its first round and after.
func (m *Machine) need() (begun bool, need int) {
	if m.s.Round > 1 || m.s.Params != nil || m.s.StartAsked {
		return true, m.cfg.Quorum
	}
	return false, m.cfg.StartWhen
}

// eligible returns who can be asked, in path order: welcomed, still
// allowed, not left, not excluded, and not silent for too long; and whoever was
// promised a place in the sum.
func (m *Machine) eligible() []uint32 {
	var can []uint32
	for _, i := range m.sorted {
		if m.slots[i].kept() || m.able(i) {
			can = append(can, i)
		}
	}
	return can
}

// able reports whether a member can be asked, whatever it has in the sum.
func (m *Machine) able(i uint32) bool {
	mem := &m.members[i]
	return m.allowed[i] && !m.excluded[mem.Path] && !mem.Left && mem.Silent < m.patience(i)
}

// askable is how many could be asked if nobody had an update in the sum.
func (m *Machine) askable() (n int) {
	for _, i := range m.sorted {
		if m.able(i) {
			n++
		}
	}
	return n
}

// open fixes the cohort and stores and sends the order of the next attempt.
func (m *Machine) open(can []uint32) {
	m.s.Vain = false
	allowance := m.cfg.Allowance
	if m.s.Params != nil {
		allowance = m.s.Params.Allowance
	}
	cohort, seed, threshold := m.draw(can)
	cohort = m.limit(cohort, allowance)
	if m.s.Params == nil {
		m.s.Params = m.params(cohort)
		m.r.Restart, m.others = true, false
	}
	m.s.Phase, m.s.StartAsked, m.openAt = Open, false, 0
	m.s.Cohort, m.first = cohort, 0
	clear(m.in)
	for _, i := range cohort {
		m.in[i] = true
	}
	for i := range m.slots {
		s := &m.slots[i]
		s.declined, s.detail, s.barred, s.unset = false, "", false, false
		m.members[i].Heard = false
	}
	m.clock = clock{}

	o := m.newOrder(m.s.Params.Work)
	o.DeadlineMS = m.cfg.DeadlineMS
	o.PaceMS = m.pace(len(cohort))
	o.GridB, o.GridW, o.Cap = m.s.Params.GridB, m.s.Params.GridW, m.s.Params.Cap
	o.Weights, o.Strategy, o.Local, o.Thresholds = string(m.s.Params.Weights), m.s.Params.told(), m.s.Params.Local, m.s.Params.Thresholds
	o.CohortSize, o.CohortHash = uint32(len(cohort)), m.cohortHash()
	o.SampleSeed, o.SampleThreshold, o.Late = seed, threshold, m.s.Params.Late
	m.store(o)
	m.tell(Fact{Kind: FactOpened, Work: o.Work, Count: len(cohort)})
	m.tellOut()
	m.sendOrder()
	m.tellTooSlow()
}

// newOrder takes the next attempt; the caller fills in the rest and stores it.
func (m *Machine) newOrder(w string) Order {
	m.s.Attempt++
	return Order{
		Stamp: m.s.Stamp(), Base: m.s.Base, Version: m.s.Version,
		Order: wire.Order{
			Work: w, ValidFrom: m.s.ValidFrom, HeartbeatMS: m.heartbeat(), Weights: string(WeightUniform),
			Instance: m.s.Instance, CohortHash: sha256.Sum256(nil), Contract: m.s.Contract.Sum(), Rolled: m.s.Rolled,
		},
	}
}

// heartbeat is the time between two signs of life of a member.
func (m *Machine) heartbeat() uint64 {
	return max(heartbeatMinMS, heartbeatMSMember*uint64(len(m.members)))
}

func (m *Machine) store(o Order) {
	m.s.Order, m.dirty = &o, true
}

// pace returns the spread of the updates of n members.
func (m *Machine) pace(n int) uint64 {
	switch {
	case m.cfg.PaceMS != nil:
		return *m.cfg.PaceMS
	case n <= paceFree:
		return 0
	}
	return paceMSPerMember * uint64(n)
}

// draw samples the cohort: whoever holds a place in the sum is in, of
// the others those whose hash with a fresh seed is below the threshold. A draw
// below the quorum is thrown away; after 64 of those everybody is asked.
func (m *Machine) draw(can []uint32) (cohort []uint32, seed wire.Nonce, threshold uint64) {
	if m.cfg.Sample >= 1 {
		return can, wire.Nonce{}, math.MaxUint64
	}
	threshold = uint64(math.Ldexp(m.cfg.Sample, 64))
	for range sampleDraws {
		m.cfg.Rand(seed[:])
		cohort = nil
		for _, i := range can {
			if m.slots[i].kept() || wire.Sampled(seed, threshold, m.members[i].Path) {
				cohort = append(cohort, i)
			}
		}
		if len(cohort) >= m.cfg.Quorum {
			return cohort, seed, threshold
		}
	}
	return can, wire.Nonce{}, math.MaxUint64
}

// limit keeps a cohort within the allowance of its round: first those
// in the sum, then those who may still bring something, then the longest
// welcomed.
func (m *Machine) limit(cohort []uint32, allowance uint64) []uint32 {
	if allowance == 0 || uint64(len(cohort)) <= allowance {
		return cohort
	}
	class := func(i uint32) int {
		switch s := m.slots[i]; {
		case s.kept():
			return 0
		case s.kind == refused || s.declined: // in this round, in the last attempt
			return 2
		}
		return 1
	}
	rank := slices.Clone(cohort)
	slices.SortFunc(rank, func(a, b uint32) int { return cmp.Or(class(a)-class(b), int(a)-int(b)) })
	stay := make([]bool, len(m.slots))
	for _, i := range rank[:allowance] {
		stay[i] = true
	}
	return slices.DeleteFunc(slices.Clone(cohort), func(i uint32) bool { return !stay[i] })
}

// CohortHash returns the SHA-256 of the paths, which are sorted bytewise, each
// after its length as 4 bytes little-endian.
func CohortHash(paths []string) model.Hash {
	h := sha256.New()
	var n [4]byte
	for _, p := range paths {
		binary.LittleEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return model.Hash(h.Sum(nil))
}

func (m *Machine) cohortHash() model.Hash {
	paths := make([]string, len(m.s.Cohort))
	for k, i := range m.s.Cohort {
		paths[k] = m.members[i].Path
	}
	return CohortHash(paths)
}
