package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

// Task is one task of a [Machine].
type Task struct {
	m     *Machine
	cfg   TaskConfig
	round *round.Machine
	state *round.State // as the last Ready that brought one has it
	pub   publication
	model Model // the base of the next order
	ups   updates

	todo   []round.Event // for the round, of the machine's own doing
	owed   Ready
	after  []Key // to be dropped once what is owed now is done
	turned bool
	wakeAt int64 // the round's next tick

	begun  bool
	stop   *Stop
	shown  Shown // the highest own order that the broker showed before the start
	claims map[string]wire.Stamp

	answered int64 // when anybody was answered last
	settled  map[string]int64
}

func newTask(m *Machine, cfg TaskConfig) *Task {
	t := &Task{
		m: m, cfg: cfg, model: cfg.Model, round: round.New(cfg.Round, cfg.State, cfg.Members, cfg.Journal),
		ups: newUpdates(), claims: map[string]wire.Stamp{}, settled: map[string]int64{},
	}
	t.state = t.round.State()
	t.pub = newPublication(cfg.Slots, cfg.Stale, OwnModel, OwnHead, OwnOrder)
	return t
}

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
	t.feed(round.Connected{})
}

func (t *Task) disconnected() {
	t.pub.disconnected(t.m.now)
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
		t.pub.found = ev
	case Seen:
		if t.begun {
			t.pub.seen(ev, t.m.now)
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
	case Sent:
		if o, out := t.pub.sent(ev.OK, t.m.now); out {
			t.feed(round.Published{Order: o})
		}
	case PartSent:
		t.pub.partSent(ev, t.m.now)
	case Cleared:
		t.owed.Save.Cleared = t.pub.cleared(ev.OK) || t.owed.Save.Cleared
	}
}

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

// then has the round hear of something when it has dealt with what it hears now.
func (t *Task) then(ev round.Event) { t.todo = append(t.todo, ev) }

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

// committed takes over the next model; the round goes on, and its sum is done with.
func (t *Task) committed(ev Committed) {
	if ev.Model.Content != t.state.Base {
		t.pub.outdated()
	}
	t.model = ev.Model
	t.dropAll()
	t.owed.Save.Committed = true
	t.pub.headChanged()
	t.feed(round.Committed{Base: ev.Model.Content, RecordHash: ev.Record, Thresholds: ev.Thresholds})
}

func (t *Task) say(m Message) { t.owed.Send = append(t.owed.Send, m) }

func (t *Task) reply(member string, r wire.Reply) { t.say(Reply{member, r}) }

// ready returns what is owed, and owes it no longer.
func (t *Task) ready() Ready {
	if t.stop != nil {
		return Ready{Task: t.cfg.Name, Stop: t.stop}
	}
	if t.m.up {
		t.owed.Send = append(t.owed.Send, t.pub.ready(t.m.now)...)
	}
	if t.owed.Check == nil {
		t.owed.Check = t.ups.next()
	}
	rd := t.owed
	rd.Task = t.cfg.Name
	t.owed, t.after, t.turned = Ready{Drop: t.after}, nil, false
	return rd
}

// wake is when the task's next tick is wanted.
func (t *Task) wake() int64 {
	at := t.wakeAt
	if t.m.up {
		at = first(at, t.pub.wake())
	}
	return at
}
