package round

import (
	"fmt"
	"slices"
)

// command does an operator's command, once.
func (m *Machine) command(c Command) {
	if c.ID == "" || len(c.ID) > maxCommandID {
		m.tell(Fact{Kind: FactCommand, Detail: string(c.Op) + ": refused, an id has 1 to 64 bytes"})
		return
	}
	what := "repeated"
	if !slices.Contains(m.s.Commands, c.ID) {
		m.s.Commands = append(m.s.Commands, c.ID)
		if n := len(m.s.Commands); n > maxCommands {
			m.s.Commands = slices.Clone(m.s.Commands[n-maxCommands:])
		}
		m.dirty = true
		what = m.do(c)
	}
	m.tell(Fact{Kind: FactCommand, Member: c.ID, Detail: string(c.Op) + ": " + what})
}

// do returns what came of a command: done, or refused and why.
func (m *Machine) do(c Command) string {
	if pausing := c.Op == OpPause || c.Op == OpPauseNow; !pausing && c.AtRound != m.s.Round {
		return fmt.Sprintf("refused, at round %d of %d", c.AtRound, m.s.Round)
	}
	var why string
	switch c.Op {
	case OpStart:
		why = m.doStart()
	case OpPause, OpPauseNow:
		why = m.doPause(c.Op == OpPauseNow)
	case OpResume:
		why = m.doResume()
	case OpStop:
		why = m.doStop()
	default:
		why = "unknown"
	}
	if why != "" {
		return "refused, " + why
	}
	return "done"
}

func (m *Machine) doStart() string {
	switch {
	case m.s.Finished:
		return "finished"
	case m.s.Stopped:
		m.s.Stopped, m.s.Reason = false, ""
		m.s.Abandons, m.s.RefusalAbandons = 0, 0
		m.next()
	case m.s.StopAsked:
		m.s.StopAsked = false
	case m.s.Paused:
		return "paused"
	case m.s.Phase != Idle:
		return "running"
	default:
		m.s.StartAsked = true // settle opens, with a quorum
	}
	return ""
}

func (m *Machine) doPause(now bool) string {
	switch {
	case m.s.Finished:
		return "finished"
	case m.s.Stopped:
		return "stopped"
	case m.s.Paused:
	case m.s.Phase == Closing, m.s.Phase == Open && !now:
		m.s.PauseAsked = true
	case m.s.Phase == Open:
		m.s.Paused, m.s.PauseAsked = true, false
		m.abandon(ClosePause)
	default: // idle or waiting
		m.s.Paused = true
		m.halt()
	}
	return ""
}

func (m *Machine) doResume() string {
	switch {
	case m.s.Finished:
		return "finished"
	case m.s.PauseAsked:
		m.s.PauseAsked = false
	case !m.s.Paused:
		return "not paused"
	case m.s.Stopped:
		m.s.Paused = false
	default:
		m.s.Paused, m.s.Abandons = false, 0
		m.next()
	}
	return ""
}

func (m *Machine) doStop() string {
	switch {
	case m.s.Finished:
		return "finished"
	case m.s.Stopped:
	case m.s.Phase == Closing:
		m.s.StopAsked = true
	case m.s.Phase == Open:
		m.s.Stopped, m.s.Reason = true, reasonOperator
		m.abandon(CloseStop)
	default: // idle, waiting or paused
		m.s.Stopped, m.s.Reason = true, reasonOperator
		m.halt()
	}
	return ""
}
