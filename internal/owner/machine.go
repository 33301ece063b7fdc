package owner

import (
	"github.com/fedmq/fedmq/internal/transfer"
)

// Times of a node.
const (
	ownStateWait = 3_000  // for the own presence to come back before the first order
	echoWithin   = 5_000  // for the presence to come back
	echoEvery    = 10_000 // between two times that all subscriptions are asked for again
	beatMin      = 30_000 // heartbeat: at least, and for each member
	beatMember   = 10
	retryEvery   = 10_000 // between two publications of an order without a PUBACK
	answerEvery  = 1_000  // between two answers that anybody can provoke, and to one member
)

// Machine is all of an owner's process that decides: its tasks, and what they
// share. It is not safe for concurrent use.
type Machine struct {
	cfg    Config
	now    int64
	tasks  []*Task
	byName map[string]*Task
	recv   *transfer.Receiver // one for all tasks: uploads share a budget
	recvAt int64
	writes int // parts that are being checked and staged

	up      bool
	started bool
	startBy int64 // when to stop waiting for the own presence, 0: it does not wait
	echoBy  int64 // when the presence must have come back; 0: it has
	beatAt  int64
	deaf    bool
	said    transfer.Copy // the presence
	out     []Message
}

// New returns a machine at rest, without a link.
func New(cfg Config) *Machine {
	m := &Machine{
		cfg: cfg, byName: map[string]*Task{},
		recv: transfer.NewReceiver(transfer.ReceiverConfig{Uploads: cfg.Uploads}),
	}
	for _, c := range cfg.Tasks {
		t := newTask(m, c)
		m.tasks, m.byName[c.Name] = append(m.tasks, t), t
	}
	return m
}

// Task returns a task by name, nil if there is none.
func (m *Machine) Task(name string) *Task { return m.byName[name] }

// Started reports whether the tasks run: before, nothing of members is heard.
func (m *Machine) Started() bool { return m.started }

// Deaf reports whether the own presence has not come back in time.
func (m *Machine) Deaf() bool { return m.deaf }

// Turned reports whether what is owed changes what the next message means: it is to
// be done first.
func (m *Machine) Turned() bool {
	for _, t := range m.tasks {
		if t.turned || t.stop != nil {
			return true
		}
	}
	return false
}

// Step takes in one event of the node. Times are milliseconds of any clock that does
// not fall.
func (m *Machine) Step(now int64, ev Event) {
	m.now = max(m.now, now)
	switch ev := ev.(type) {
	case LinkUp:
		m.linkUp()
	case LinkDown:
		m.linkDown()
	case Echo:
		m.echo(ev.Own)
	case Tick:
		m.tick()
	}
}

// Ready returns what is owed: for the node, else for the first task that is owed
// something. It is called until it is empty.
func (m *Machine) Ready() Ready {
	rd := Ready{Wake: 0}
	m.watch()
	if rd.Send = m.out; len(rd.Send) > 0 {
		m.out = nil
		return rd
	}
	if m.started {
		if m.writes == 0 { // what is wrong with a part ends its upload before more is granted
			m.receive()
		}
		for _, t := range m.tasks {
			if rd = t.ready(); !rd.Empty() {
				return rd
			}
		}
	}
	rd.Task, rd.Wake = "", m.wake()
	return rd
}

// receive does within the machine what the receiver owes, until it owes nothing.
func (m *Machine) receive() {
	m.recv.Tick(m.now)
	for {
		rd := m.recv.Ready()
		m.recvAt = rd.Wake
		if len(rd.Release)+len(rd.Admit)+len(rd.Grants)+len(rd.Waits)+len(rd.Complete) == 0 {
			return
		}
		for _, k := range rd.Release {
			m.byName[k.Task].released(k.Member)
		}
		for _, p := range rd.Admit {
			m.byName[p.Key.Task].placed(p)
		}
		for _, g := range rd.Grants {
			m.byName[g.Key.Task].reply(g.Key.Member, g.Reply)
		}
		for _, w := range rd.Waits {
			m.byName[w.Key.Task].waits(w)
		}
		for _, k := range rd.Complete {
			m.recv.Done(m.now, k)
			m.byName[k.Task].complete(k.Member)
		}
		for _, t := range m.tasks {
			t.settle()
		}
	}
}

// wake returns when the next Tick is wanted.
func (m *Machine) wake() int64 {
	at := first(m.startBy, m.beatAt)
	if !m.started {
		return at
	}
	at = first(at, m.recvAt)
	if m.up {
		at = first(at, m.said.RepairAt(), m.echoBy)
	}
	for _, t := range m.tasks {
		at = first(at, t.wake())
	}
	return at
}

// first returns the first of some moments; 0 is none.
func first(moments ...int64) (at int64) {
	for _, m := range moments {
		if m > 0 && (at == 0 || m < at) {
			at = m
		}
	}
	return at
}
