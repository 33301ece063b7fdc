package aggregator

import "github.com/fedmq/fedmq/internal/round"

// waiting says what the task waits for, and since when; nil when it has ended.
// An open attempt is waited for since its order, or since the last break: what
// members sent into it may be lost, and is sent again.
func (t *task) waiting(now int64) *round.Wait {
	w := t.m.Round().Waiting(named)
	if w == nil {
		t.waited = waited{}
		return nil
	}
	opened := t.openedMS()
	if w.Why == round.WhyUpdates && t.broken(opened) {
		w.Why = round.WhyAgain
	}
	if t.waited.why != w.Why {
		t.waited = waited{w.Why, now}
	}
	w.SinceMS = t.waited.since
	switch {
	case w.Why == round.WhyUpdates && opened > 0:
		w.SinceMS = opened
	case w.Why == round.WhyAgain:
		w.SinceMS = t.a.upSince
	}
	return w
}

// broken tells whether the connection or this process began in the open round.
func (t *task) broken(opened int64) bool {
	s := t.state
	return opened > 0 && opened < t.a.upSince || s.Round == t.cut.Round && s.Attempt == t.cut.Attempt
}

// openedMS is when the current order was made, 0 if this process did not.
func (t *task) openedMS() int64 {
	if t.state.Order == nil {
		return 0
	}
	return t.published.issued[t.state.Order.Stamp].opened
}
