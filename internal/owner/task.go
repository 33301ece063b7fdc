package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// begin is the start of the process: what was seen of this owner beyond the disk ends
// it, else the round begins its next attempt, and what was kept comes again.
func (t *Task) begin() {
	t.begun = true
	if t.later() {
		t.end(t.shown.Stamp, nil)
		return
	}
	kept := t.kept()
	same := t.cfg.Inside != nil && t.cfg.Inside(t.state.Stamp())
	t.feed(round.Started{SeenEpoch: t.shown.Epoch, Instance: t.m.cfg.Instance, Same: same})
	if t.m.up {
		t.connected()
	}
	t.again(kept)
}

func (t *Task) connected() {
	t.pub.connected(t.m.now)
	t.rel.connected(t.m.now)
	t.can.connected(t.m.now)
	for _, ev := range []*Release{t.lines, t.early} {
		if ev != nil {
			t.release(*ev)
		}
	}
	t.feed(round.Connected{})
}

func (t *Task) disconnected() {
	t.pub.disconnected(t.m.now)
	t.rel.disconnected(t.m.now)
	t.can.disconnected(t.m.now)
	t.feed(round.Disconnected{})
}

func (t *Task) tick() { t.feed(round.Tick{}) }

// Step takes in one event of the task. Before the start only what the broker shows
// counts.
func (t *Task) Step(now int64, ev Event) {
	t.m.now = max(t.m.now, now)
	switch ev := ev.(type) {
	case OrderShown:
		t.orderShown(ev)
	case ManifestShown:
		t.publicationOf(ev.Own).found = ev
	case MemberShown:
		t.feed(ev.Presence)
	case Seen:
		if t.begun {
			t.publicationOf(ev.Own).seen(ev, t.m.now)
		}
	default:
		if t.begun && t.stop == nil {
			t.step(ev)
		}
	}
	t.settle()
}

// step takes in the events that need a task that has begun.
func (t *Task) step(ev Event) {
	switch ev := ev.(type) {
	case Join:
		t.join(ev)
	case Update:
		t.update(ev)
	case Offer:
		t.offer(ev)
	case Part:
		t.part(ev)
	case Need:
		t.need(ev)
	case Said:
		t.feed(ev.Event)
	case Refused:
		t.refuse(ev.Member, ev.Reply)
	case Asked:
		t.asked(ev.Member)
	case Written:
		t.written(ev)
	case Checked:
		t.checked(ev)
	case Committed:
		t.committed(ev)
	case Release:
		t.release(ev)
	case Withdraw:
		t.early = nil
		t.can.withdraw(ev.Parts)
	case Sent:
		if ev.Own == OwnReleased || ev.Own == OwnCanary {
			t.publicationOf(ev.Own).sent(ev.OK, t.m.now)
		} else if o, out := t.pub.sent(ev.OK, t.m.now); out {
			t.feed(round.Published{Order: o})
		}
	case PartSent:
		t.publicationOf(ev.Own).partSent(ev, t.m.now)
	case Cleared:
		former, gone := t.publicationOf(ev.Own).cleared(ev.OK)
		t.owed.Save.Cleared = t.owed.Save.Cleared || former && len(t.pub.stale)+len(t.rel.stale)+len(t.can.stale) == 0
		t.owed.Save.Withdrawn = t.owed.Save.Withdrawn || gone
	}
}

// publicationOf is that which an own message belongs to.
func (t *Task) publicationOf(o Own) *publication {
	switch o {
	case OwnReleased:
		return &t.rel
	case OwnCanary:
		return &t.can
	}
	return &t.pub
}

// release has the released version, or the canary, on the broker, beside the orders.
func (t *Task) release(ev Release) {
	if ev.Own == OwnCanary {
		t.early = &ev
	} else {
		t.lines = &ev
	}
	t.publicationOf(ev.Own).publish(round.Order{Stamp: wire.Stamp{Epoch: t.state.Epoch}, Base: ev.Model.Content, Version: ev.Version}, ev.Model, t.m.up, t.m.now)
}

// ready returns what is owed, and owes it no longer.
func (t *Task) ready() Ready {
	if t.stop != nil {
		return Ready{Task: t.cfg.Name, Stop: t.stop}
	}
	if t.m.up {
		t.owed.Send = append(t.owed.Send, t.pub.ready(t.m.now)...)
		t.owed.Send = append(t.owed.Send, t.rel.ready(t.m.now)...)
		t.owed.Send = append(t.owed.Send, t.can.ready(t.m.now)...)
	}
	if t.owed.Check == nil {
		t.owed.Check = t.ups.next()
	}
	rd := t.owed
	rd.Task = t.cfg.Name
	t.owed, t.after, t.turned = Ready{Drop: t.after}, nil, false
	t.held.hold(&rd, t.m.now)
	return rd
}

// wake is when the task's next tick is wanted.
func (t *Task) wake() int64 {
	at := first(t.wakeAt, t.held.until)
	if t.m.up {
		at = first(at, t.pub.wake(), t.rel.wake(), t.can.wake())
	}
	return at
}

// Swift reports whether parts of a model may leave as many at a time as ever: the line has
// shown that it takes them (TR-57).
func (t *Task) Swift() bool { return t.m.up && t.pub.mender.Swift() }

// SlotOf is where the parts of a version of the model lie (TR-53).
func (t *Task) SlotOf(number uint64) uint32 { return t.pub.slotOf(number) }
