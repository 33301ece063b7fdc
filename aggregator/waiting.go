package aggregator

import "github.com/fedmq/fedmq/internal/round"

// waited is since when the task waits for the same.
type waited struct {
	why   round.Why
	since int64
}

// waiting says what the task waits for, and since when; nil when it has ended.
// An open attempt is waited for since its order.
func (t *task) waiting(now int64) *round.Wait {
	w := t.machine.Waiting(named)
	if w == nil {
		t.waited = waited{}
		return nil
	}
	if t.waited.why != w.Why {
		t.waited = waited{w.Why, now}
	}
	w.SinceMS = t.waited.since
	if s := t.state; w.Why == round.WhyUpdates && s.Order != nil {
		if at := t.issued[orderID(*s.Order)].opened; at > 0 {
			w.SinceMS = at
		}
	}
	return w
}
