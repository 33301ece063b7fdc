package member

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/wire"
)

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
	case m.job != nil && (m.running || m.sealing) && m.job.Round < o.Round:
		return PhaseTraining, fmt.Sprintf("%s for round %d", m.job.Work, m.job.Round)
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
	case m.st.FromRound == math.MaxUint64:
		return PhaseWaiting, "excluded by an operator"
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
	case !m.asked(o) && m.entry(o.Round) == nil:
		return PhaseWaiting, "for the answer to the join"
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

// quiet reports whether the member is idle or waiting.
func (m *Machine) quiet() bool {
	p := m.view().Phase
	return p != PhaseTraining && p != PhaseEvaluating && (p != PhaseSending || m.shut)
}
