package aggregator

import (
	"maps"

	"github.com/fedmq/fedmq/internal/round"
)

// show puts what the driver knows into the monitor.
func (a *aggregator) show() {
	m := a.cfg.Monitor
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn, m.ready = a.conn, a.machine.Started() && a.up && !a.machine.Deaf()
	m.tasks = m.tasks[:0]
	for _, t := range a.order {
		m.tasks = append(m.tasks, t.stats())
	}
}

// stats are the task's numbers.
func (t *task) stats() TaskStats {
	s, n := t.state, &t.tally
	v := TaskStats{
		Task: t.cfg.Name, Epoch: s.Epoch, Round: s.Round, Attempt: s.Attempt, Version: s.Version, Phase: string(s.Phase),
		Members: t.m.Round().Welcomed(), Committed: n.committed, Abandoned: n.abandoned, RoundSeconds: n.seconds, Refused: maps.Clone(n.refused),
		BytesUp: n.up, BytesDown: n.down, ExportErrors: t.keeping.failures,
		Contested: len(t.m.Round().Contests()), NeedBytes: n.needed, Metrics: t.telling.measured.Metrics, Guess: t.telling.measured.Guess,
	}
	if s.Phase == round.Open {
		v.Cohort, v.Accepted = len(s.Cohort), len(t.sum.in)
	}
	for _, up := range t.m.Uploads() {
		if up.Running {
			v.UploadsRunning++
		} else {
			v.UploadsWaiting++
		}
	}
	return v
}
