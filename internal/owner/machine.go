package owner

import (
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// Times of a node.
const (
	ownStateWait = 3_000  // for the own presence to come back before the first order
	echoWithin   = 5_000  // for the presence to come back
	echoEvery    = 10_000 // between two times that all subscriptions are asked for again
	beatMin      = 30_000 // heartbeat: at least, and for each member
	beatMember   = 10
	answerEvery  = 1_000 // between two answers that anybody can provoke, and to one member
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

// Task is one task of a [Machine].
type Task struct {
	m     *Machine
	cfg   TaskConfig
	round *round.Machine
	state *round.State // as the last Ready that brought one has it
	pub   publication
	rel   publication // of the released version
	can   publication // of the canary
	model Model       // the base of the next order
	lines *Release    // nil: none is released
	early *Release    // nil: there is no canary
	ups   updates

	todo   []round.Event // for the round, of the machine's own doing
	owed   Ready
	held   held  // verdicts that wait for others
	after  []Key // to be dropped once what is owed now is done
	turned bool
	wakeAt int64 // the round's next tick

	begun  bool
	stop   *Stop
	shown  Shown // the highest own order that the broker showed before the start
	claims map[string]wire.Stamp

	answered int64 // when anybody was answered last
	settled  map[string]settled
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

func newTask(m *Machine, cfg TaskConfig) *Task {
	t := &Task{
		m: m, cfg: cfg, model: cfg.Model, round: round.New(cfg.Round, cfg.State, cfg.Members, cfg.Journal),
		ups: newUpdates(), held: held{kept: cfg.Kept}, claims: map[string]wire.Stamp{}, settled: map[string]settled{},
	}
	t.state = t.round.State()
	t.pub = newPublication(cfg.Slots, cfg.Stale, OwnModel, OwnHead, OwnOrder)
	t.rel = newPublication(cfg.Slots, slices.Clone(cfg.Stale), OwnReleased)
	t.can = newPublication(cfg.Slots, slices.Clone(cfg.Stale), OwnCanary)
	return t
}

// Task returns a task by name, nil if there is none.
func (m *Machine) Task(name string) *Task { return m.byName[name] }

// Started reports whether the tasks run: before, nothing of members is heard.
func (m *Machine) Started() bool { return m.started }

// Deaf reports whether the own presence has not come back in time.
func (m *Machine) Deaf() bool { return m.deaf }

func (t *Task) say(m Message) { t.owed.Send = append(t.owed.Send, m) }

func (t *Task) reply(member string, r wire.Reply) { t.say(Reply{member, r}) }

// then has the round hear of something when it has dealt with what it hears now.
func (t *Task) then(ev round.Event) { t.todo = append(t.todo, ev) }

func (t *Task) key(member string) transfer.Key { return transfer.Key{Task: t.cfg.Name, Member: member} }
