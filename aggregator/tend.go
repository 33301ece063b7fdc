package aggregator

import "github.com/fedmq/fedmq/internal/round"

// tend looks after everything that is not owed to the machine: retained
// topics, an order without its PUBACK, views.
func (t *task) tend() error {
	now := t.a.nowMS()
	if t.a.up {
		if t.headDue {
			t.headDue = false
			t.a.conn.Post(t.own[ownHead].message())
		}
		for i := range t.own {
			if !t.flying { // else a publication brings what should be there, in its order
				t.own[i].mend(t.a, now)
			}
		}
		if at := t.retryAt(); at > 0 && now >= at && t.state.Order != nil {
			if err := t.publish(*t.state.Order); err != nil {
				return err
			}
		}
		if t.viewDue && now-t.viewAt >= viewEvery.Milliseconds() {
			t.view(now)
		}
		t.publishCurve(&t.keeping.curve, now)
	}
	t.end()
	return t.forgetStale()
}

// end reports once that the task is over.
func (t *task) end() {
	over := t.state.Phase == round.Halted && (t.state.Finished || t.state.Stopped)
	if !over {
		t.ended = false
		return
	}
	if t.ended || !t.published {
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
