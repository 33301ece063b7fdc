package aggregator

import (
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/round"
)

// beforeSave passes the crash points ahead of a transaction of the machine's.
func (t *task) beforeSave(s round.Save) {
	if t.newOrder(s) {
		crash.At("order.before-tx")
	}
	if len(s.Verdicts) > 0 {
		crash.At("verdicts.before-tx")
	}
	if len(s.Records) > 0 {
		crash.At("abandon.before-tx")
	}
}

// afterSave passes those behind it; t.state is still the one before.
func (t *task) afterSave(s round.Save) {
	if s.State != nil && s.State.Epoch > t.state.Epoch {
		crash.At("epoch.after-tx")
	}
	if t.newOrder(s) {
		crash.At("order.after-tx")
	}
	if len(s.Verdicts) > 0 {
		crash.At("verdicts.after-tx")
	}
	if len(s.Records) > 0 {
		crash.At("abandon.after-tx")
	}
	if s.State != nil && !slices.Equal(s.State.Commands, t.state.Commands) {
		crash.At("command.after-tx")
	}
}

// passPart passes the crash point behind a part that is on the broker.
func (t *task) passPart() {
	if t.shelved {
		crash.At("mend.part-k")
	} else {
		crash.At("publish.part-k")
	}
}

// passMessage passes the crash point behind a message of a publication.
func (t *task) passMessage(topic string) {
	switch topic {
	case t.topics.Model():
		crash.At("publish.model")
	case t.topics.Record():
		crash.At("publish.record")
	case t.topics.Order():
		crash.At("publish.order")
	}
}

// newOrder reports whether a transaction brings an order.
func (t *task) newOrder(s round.Save) bool {
	return s.State != nil && s.State.Order != nil && (t.state.Order == nil || s.State.Order.Stamp != t.state.Order.Stamp)
}
