package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// feed gives the round one event, and what follows from it within this machine.
func (t *Task) feed(ev round.Event) {
	t.todo = append(t.todo, ev)
	t.settle()
}

// settle gives the round what is on its way to it. It does not enter itself: what
// follows from an event waits for its turn.
func (t *Task) settle() {
	for len(t.todo) > 0 {
		ev := t.todo[0]
		t.todo = t.todo[1:]
		t.round.Step(t.m.now, ev)
		t.take(t.round.Ready())
	}
}

// take adds to what is owed what the round wants done.
func (t *Task) take(rd round.Ready) {
	t.wakeAt, t.turned = rd.Wake, t.turned || rd.Turns()
	if rd.Save.State != nil {
		t.state = rd.Save.State
	}
	t.owed.Save.Merge(rd.Save)
	if rd.Restart {
		t.restart()
	}
	for _, acc := range rd.Fold {
		t.fold(acc)
	}
	if len(rd.Save.Records) > 0 {
		t.pub.headChanged()
	}
	for _, m := range rd.Send {
		t.send(m)
	}
	if rd.Commit != nil {
		t.owed.Commit = rd.Commit
	}
}

// send passes on what the round says, but for what is this machine's business.
func (t *Task) send(m round.Message) {
	switch m := m.(type) {
	case round.SendOrder:
		t.owed.Orders = append(t.owed.Orders, m.Order)
		t.pub.publish(m.Order, t.model, t.m.up, t.m.now)
	case round.SendReply:
		if r, refused := m.Reply.(wire.RefusalReply); refused && !Proven(r) {
			t.refuse(m.Member, r)
			return
		}
		t.reply(m.Member, m.Reply)
	case round.SendAdmit:
		t.admit(m)
	case round.SendSettled:
		t.settleOld(m)
	case round.SendEvent:
		t.say(Tell{m.Fact})
	}
}
