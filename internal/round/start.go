package round

import (
	"bytes"
	"math"

	"github.com/fedmq/fedmq/wire"
)

// start takes the next epoch and opens the next attempt. Nobody
// is silent for an attempt that a restart cut short.
func (m *Machine) start(ev Started) {
	if m.started {
		return
	}
	m.started = true
	seen := max(m.s.Epoch, ev.SeenEpoch)
	if seen == math.MaxUint64 { // no epoch is above it
		m.fenced = true
		return
	}
	m.s.Epoch, m.s.Instance = seen+1, ev.Instance
	m.dirty = true
	if m.cfg.Gate == nil {
		m.endCanary(false, "the task has no gate any more")
	}
	if m.s.Params != nil {
		m.r.Restart = true
	}
	m.forgive()
	for i := range m.members {
		m.members[i].AtMS = m.now // until it is known who is there
	}
	if m.s.Order == nil && m.s.Version == 0 {
		m.greet() // settle opens the first attempt when enough are welcomed
		return
	}
	if ev.Same && m.s.Phase == Open {
		m.sameAttempt()
		return
	}
	if m.s.Rollback != nil {
		m.rollBack()
		return
	}
	m.corrected()
	m.endOfAttempt()
	if m.halted() {
		m.halt()
		return
	}
	m.goOn()
}

// sameAttempt goes on with the attempt that is open: its order, but for the epoch and
// the process that it is of.
func (m *Machine) sameAttempt() {
	o := *m.s.Order
	o.Stamp, o.Instance = m.s.Stamp(), m.s.Instance
	m.store(o)
	m.sendOrder()
}

// forgive gives silent members another chance if without them there is no
// quorum: what was heard before the restart is old by now.
func (m *Machine) forgive() {
	if len(m.eligible()) >= m.cfg.Quorum {
		return
	}
	for i := range m.members {
		m.setSilent(uint32(i), 0)
	}
}

// fence silences the machine if the other process outranks it.
func (m *Machine) fence(ev Fenced) {
	if ev.Epoch < m.s.Epoch {
		return
	}
	if ev.Epoch == m.s.Epoch && bytes.Compare(ev.Instance[:], m.s.Instance[:]) <= 0 {
		return
	}
	m.fenced = true
}

// next goes on after an attempt has ended: it halts, waits or opens.
func (m *Machine) next() {
	if m.s.Rollback != nil {
		m.rollBack()
		return
	}
	m.endOfAttempt()
	switch {
	case m.halted():
		m.halt()
	case m.s.Abandons >= abandonsUntilWait:
		m.wait()
	default:
		m.goOn()
	}
}

// goOn opens the next attempt. If that must wait for members, an order of this
// epoch stands on the broker all the same: the last one if it still asks for
// work in this round, else one with work none.
func (m *Machine) goOn() {
	m.tryOpen()
	if m.s.Phase != Idle {
		return
	}
	if o := m.s.Order; o == nil || o.Epoch != m.s.Epoch || o.Round != m.s.Round || o.Work == wire.WorkNone {
		m.none(m.idle())
	}
}

// idle is why nothing is asked for now.
func (m *Machine) idle() string {
	if m.notDue() {
		return reasonTime
	}
	return reasonMembers
}

// notDue reports that the next round of a survey is to come later.
func (m *Machine) notDue() bool { return m.now < m.s.NotBefore && !m.s.StartAsked }

// endOfAttempt lets what was asked for this moment take effect.
func (m *Machine) endOfAttempt() {
	if m.s.StopAsked {
		m.s.StopAsked = false
		m.stop(reasonOperator)
	}
	if m.s.PauseAsked {
		m.s.PauseAsked, m.s.Paused = false, true
	}
	if m.s.Finished = m.work() == wire.WorkNone; m.s.Finished {
		m.releaseEnd()
	}
}

const (
	reasonMembers  = "waiting for members"
	reasonTime     = "the next round is not due"
	reasonOperator = "by an operator"
	reasonSetting  = "trainers do not know a setting"
	reasonRefusals = "refusals made the quorum unreachable three times"
)

// stop takes the place of a pause, so that start goes on.
func (m *Machine) stop(reason string) {
	m.s.Stopped, m.s.Reason = true, reason
	m.s.Paused, m.s.PauseAsked, m.s.Pause = false, false, ""
}

func (m *Machine) halted() bool { return m.s.Paused || m.s.Stopped || m.s.Finished }

// halt stores an order with work none, so that nobody trains for nothing
// . The round's cohort and sum stay: what is still under way is kept.
func (m *Machine) halt() {
	why := "paused"
	switch {
	case m.s.Finished:
		why = "finished"
	case m.s.Stopped:
		why = "stopped: " + m.s.Reason
	}
	m.s.Phase = Halted
	m.none(why)
}

// greet stores the order of a task that never ran: none, before the first
// attempt. Members whose joins nobody heard see its epoch and join at once
// instead of at their next repetition.
func (m *Machine) greet() {
	o := m.newOrder(wire.WorkNone)
	o.Attempt, o.Reason = 0, reasonMembers
	m.s.Attempt = 0
	m.store(o)
	m.sendOrder()
}

// none stores and sends an order with work none.
func (m *Machine) none(why string) {
	o := m.newOrder(wire.WorkNone)
	o.Reason = why
	m.store(o)
	m.tell(Fact{Kind: FactHalted, Work: wire.WorkNone, Detail: why})
	m.sendOrder()
}

// wait backs off after three abandons in a row.
func (m *Machine) wait() {
	k := min(m.s.Abandons-abandonsUntilWait, 32)
	ms := min(int64(m.cfg.DeadlineMS), int64(firstWaitMS)<<k)
	m.s.Phase = Waiting
	m.waitUntil = m.now + ms
	m.dirty = true
	m.tell(Fact{Kind: FactWaiting, Count: int(ms)})
}
