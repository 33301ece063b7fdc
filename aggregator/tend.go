package aggregator

import (
	"time"

	"github.com/fedmq/fedmq/internal/round"
)

// tend looks after what people read.
func (t *task) tend(now int64) {
	if !t.a.machine.Started() {
		return
	}
	if t.a.up {
		if t.viewDue && now-t.viewAt >= viewEvery.Milliseconds() {
			t.view(now)
		}
		t.publishKPIs(now)
		t.publishCurve(&t.keeping.curve, now)
		t.publishStatistics()
	}
	t.end()
}

// due is the time until the task's views want to be looked at again.
func (t *task) due(now int64) time.Duration {
	if !t.a.up || !t.a.machine.Started() {
		return time.Hour
	}
	view := int64(0)
	if t.viewDue {
		view = t.viewAt + viewEvery.Milliseconds()
	}
	return until(now, view, t.kpisDue(), t.curveDue())
}

// end reports once that the task is over.
func (t *task) end() {
	over := t.state.Phase == round.Halted && (t.state.Finished || t.state.Stopped)
	if !over {
		t.ended = false
		return
	}
	if t.ended || !t.m.Published() || !t.m.LinesServed() {
		return
	}
	t.ended = true
	t.view(t.a.nowMS())
	t.log.Info().Bool("finished", t.state.Finished).Str("reason", t.state.Reason).Msg("task ended")
	t.a.show()
	if t.a.cfg.OnEnd != nil {
		t.a.cfg.OnEnd(t.cfg.Name, t.state.Finished, t.state.Reason)
	}
}

// until is the time from now to the first of some moments, all in ms; 0 is no
// moment. An hour stands for never.
func until(now int64, moments ...int64) time.Duration {
	next := time.Hour
	for _, at := range moments {
		if at > 0 {
			next = min(next, time.Duration(max(at-now, 0))*time.Millisecond)
		}
	}
	return next
}
