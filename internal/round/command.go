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
	about := ""
	if len(c.Members) > 0 {
		about = named(c.Members)
	}
	if len(c.Settings) > 0 {
		about = assigned(c.Settings)
	}
	m.tell(Fact{Kind: FactCommand, Member: c.ID, Detail: string(c.Op) + about + ": " + what})
}

// do returns what came of a command: done, or refused and why.
func (m *Machine) do(c Command) string {
	if aimed := c.Op == OpStart || c.Op == OpStop; aimed && c.AtRound != m.s.Round {
		return fmt.Sprintf("refused, at round %d of %d", c.AtRound, m.s.Round)
	}
	var why string
	switch c.Op {
	case OpStart:
		why = m.doStart()
	case OpPause, OpPauseNow:
		why = m.doPause(c)
	case OpResume:
		why = m.doResume(c.Pause)
	case OpStop:
		why = m.doStop()
	case OpExclude:
		why = m.doExclude(c.Members)
	case OpInclude:
		why = m.doInclude(c.Members)
	case OpRollback:
		why = m.doRollback(c)
	case OpRelease:
		why = m.doRelease(c)
	case OpSet:
		why = m.doSet(c.Settings)
	default:
		why = "unknown"
	}
	if why != "" {
		return "refused, " + why
	}
	what := "done" + m.strangers(c.Members)
	if left := m.left(); c.Op == OpExclude && left < m.cfg.Quorum {
		what += fmt.Sprintf("; %d members can be asked now, the quorum is %d: rounds wait", left, m.cfg.Quorum)
	}
	return what
}

func (m *Machine) doStart() string {
	switch {
	case m.s.Finished:
		return "finished"
	case m.s.Stopped:
		m.unstop()
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

// doPause takes the place of an earlier pause: whoever ends that one does not
// know of this.
func (m *Machine) doPause(c Command) string {
	switch {
	case m.s.Finished:
		return "finished"
	case m.s.Stopped, m.s.StopAsked:
		return "stopped"
	case m.s.Paused:
		m.s.Pause = c.ID
	case m.s.Phase == Closing, m.s.Phase == Open && c.Op == OpPause:
		m.s.PauseAsked, m.s.Pause = true, c.ID
	case m.s.Phase == Open:
		m.s.Paused, m.s.PauseAsked, m.s.Pause = true, false, c.ID
		m.abandon(ClosePause)
	default: // idle or waiting
		m.s.Paused, m.s.Pause = true, c.ID
		m.halt()
	}
	return ""
}

func (m *Machine) doResume(pause string) string {
	switch {
	case m.s.Finished:
		return "finished"
	case !m.s.Paused && !m.s.PauseAsked:
		return "not paused"
	case pause != m.s.Pause:
		return fmt.Sprintf("it ends the pause %q, the task has the pause %q", pause, m.s.Pause)
	}
	asked := m.s.PauseAsked
	m.s.Paused, m.s.PauseAsked, m.s.Pause = false, false, ""
	if !asked {
		m.s.Abandons = 0
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
		m.stop(reasonOperator)
		m.abandon(CloseStop)
	default: // idle, waiting or paused
		m.stop(reasonOperator)
		m.halt()
	}
	return ""
}
