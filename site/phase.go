package site

import "github.com/fedmq/fedmq/internal/member"

// Phase is what a site is doing in a task, as its status says.
type Phase = member.Phase

// The phases of a site in a task.
const (
	PhaseIdle       = member.PhaseIdle       // no order asks for work
	PhaseJoining    = member.PhaseJoining    // not welcomed yet
	PhaseWaiting    = member.PhaseWaiting    // nothing to do before the next message
	PhaseTraining   = member.PhaseTraining   // the trainer trains, or computes statistics
	PhaseEvaluating = member.PhaseEvaluating // the trainer evaluates
	PhaseSending    = member.PhaseSending    // an update is not answered yet
	PhaseError      = member.PhaseError      // no work, for a reason given
)

// ms is a point in time (since the epoch) or a duration, in milliseconds.
type ms = int64
