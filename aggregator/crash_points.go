package aggregator

import (
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/owner"
)

// beforeSave passes the crash points ahead of a transaction of the machine's.
func (t *task) beforeSave(s owner.Save) {
	if s.Committed {
		crash.At("commit.before-tx")
		return
	}
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

// afterSave passes those after it; t.state is still the one before.
func (t *task) afterSave(s owner.Save) {
	if s.Committed {
		crash.At("commit.after-tx")
		return
	}
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

// passPart passes the crash point after a part that is on the broker.
func (t *task) passPart() {
	if t.m.Shelved() {
		crash.At("mend.part-k")
	} else {
		crash.At("publish.part-k")
	}
}

// passOwn passes the crash point after an own message that is on the broker.
func passOwn(which owner.Own) {
	switch which {
	case owner.OwnModel:
		crash.At("publish.model")
	case owner.OwnHead:
		crash.At("publish.record")
	case owner.OwnOrder:
		crash.At("publish.order")
	case owner.OwnReleased:
		crash.At("publish.released")
	}
}

// newOrder reports whether a transaction brings an order.
func (t *task) newOrder(s owner.Save) bool {
	return s.State != nil && s.State.Order != nil && (t.state.Order == nil || s.State.Order.Stamp != t.state.Order.Stamp)
}
