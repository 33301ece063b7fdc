package member

import (
	"fmt"

	"github.com/fedmq/fedmq/wire"
)

// Phase is what a site is doing in a task, as its status says.
type Phase string

// The phases of a site in a task.
const (
	PhaseIdle       Phase = "idle"       // no order asks for work
	PhaseJoining    Phase = "joining"    // not welcomed yet
	PhaseWaiting    Phase = "waiting"    // nothing to do before the next message
	PhaseTraining   Phase = "training"   // the trainer trains, or computes statistics
	PhaseEvaluating Phase = "evaluating" // the trainer evaluates
	PhaseSending    Phase = "sending"    // an update is not answered yet
	PhaseError      Phase = "error"      // no work, for a reason given
)

// View is the part of a status that the machine knows.
type View struct {
	Phase     Phase
	Round     uint64
	Attempt   uint32
	Message   string
	Error     string
	Heartbeat ms
	Members   int // of the task, at least, as the order tells
	Unheard   Unheard
}

// Unheard is what nobody answers, although it was sent twice, or an attempt has
// ended over it.
type Unheard uint8

// What may not be answered.
const (
	UnheardJoin Unheard = iota + 1
	UnheardUpdate
)

// unheardAfter is after how many sends without an answer that is worth a word: the
// broker may deny them, or the answers, and say nothing (S-44).
const unheardAfter = 2

// answerSoon is how long an answer may be on its way when an attempt ends.
const answerSoon ms = 2_000

func (m *Machine) view() View {
	v := View{Phase: PhaseIdle, Error: m.trouble, Unheard: m.unheard}
	if m.order != nil {
		v.Round, v.Attempt, v.Heartbeat = m.order.Round, m.order.Attempt, ms(m.order.HeartbeatMS)
		v.Members = m.order.members()
	}
	v.Phase, v.Message = m.phase()
	return v
}

func (m *Machine) phase() (Phase, string) {
	o := m.order
	switch {
	case m.halted:
		return PhaseError, "order"
	case m.job != nil && m.running && m.job.Work == wire.WorkEvaluate:
		return PhaseEvaluating, ""
	case m.job != nil && (m.running || m.sealing):
		return PhaseTraining, m.job.Work
	case m.job != nil:
		return PhaseWaiting, "for the trainer"
	case m.unanswered():
		return PhaseSending, m.queued()
	case !m.st.Welcomed:
		return PhaseJoining, ""
	case o == nil:
		return PhaseIdle, "for an order"
	case o.Work == wire.WorkNone:
		return PhaseIdle, ""
	case m.decline != nil:
		return PhaseError, ""
	case !m.takesPart():
		return PhaseWaiting, "not in this round"
	case m.fetching.on && m.shut:
		return PhaseWaiting, "for the model, its parts for their hours"
	case m.fetching.on:
		return PhaseWaiting, "for the model"
	case m.st.Over.Key == o.key() && m.st.Over.Refused:
		return PhaseError, m.st.Over.Verdict
	case m.st.Over.Key == o.key():
		return PhaseWaiting, m.st.Over.Verdict
	}
	return PhaseWaiting, "for the record"
}

// queued says how many uploads come before this site's, as it was told last.
func (m *Machine) queued() string {
	for _, e := range m.entries {
		if m.sendable(e) && m.held(e) {
			return "for the hours of parts"
		}
		if m.sendable(e) && e.ahead > 0 {
			return fmt.Sprintf("%d ahead", e.ahead)
		}
	}
	return ""
}

func (m *Machine) unanswered() bool {
	for _, e := range m.entries {
		if m.sendable(e) {
			return true
		}
	}
	return false
}

// mostMembers is the most that a task has.
const mostMembers = 1 << 14

// members is how many members an order is for, at least: those that are asked,
// and those that make its heartbeat slower than every 30 s.
func (o *Order) members() int {
	n := uint64(o.CohortSize)
	if o.HeartbeatMS > 30_000 {
		n = max(n, o.HeartbeatMS/10)
	}
	return int(min(n, mostMembers)) // #nosec G115 -- just bounded
}
