package sim

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// agg is an aggregator of one task: the owner's machine with its disk and its link.
type agg struct {
	w      *World
	n      int // its number
	rng    *rand.Rand
	disk   *aggDisk
	lives  uint64
	over   bool // fenced, or behind: it does not start again
	older  bool // its disk was restored from an older copy
	adopts bool // an operator has it adopt, for one start
	nudged ms   // when an operator started it again
	conn   *client

	// of the process
	p        *process
	instance wire.Nonce
	m        *owner.Machine
	t        *owner.Task
	answers  []owner.Event // of what was done, for the task
	inbox    []message
	busy     bool // a turn is on its way
	said     *stateMsg

	state  *round.State // as last saved
	base   []byte
	bodies map[owner.Key]*body
	sum    map[string]share
	prev   uint64
	issued map[wire.Stamp]*orderMsg // the orders of the open round
	closed *closed                  // a round whose record is to be saved
	own    [3]message               // what should be retained: model, head, order
	shown  shown
	shelf  shelf
	out    outgoing
}

// body is what is at hand of an update.
type body struct {
	bytes []byte
	stage []byte // of one that comes in parts, nil: it has no place
	gap   bool   // something that was to be copied was not there
	offer *updateMsg
}

// share is what a member has in the sum: the bytes that were added, and how
// often.
type share struct {
	content model.Hash
	weight  uint64
	times   int
}

// closed is a commit with its record and its model.
type closed struct {
	round.Commit
	record *record
	next   []byte
}

// shelf is one version of a model that goes out in parts.
type shelf struct {
	version uint64
	blob    wire.Blob
	bytes   []byte
}

const (
	task  = "t"
	slots = 2
)

var allMembers = func() topics.MemberFilter {
	f, err := topics.ParseMemberFilter("+/+")
	if err != nil {
		panic(err)
	}
	return f
}()

func (w *World) newAgg(n int, disk *aggDisk) *agg {
	return &agg{w: w, n: n, disk: disk, rng: rand.New(rand.NewPCG(w.plan.Seed, uint64(n)+10))} // a simulation
}

func (a *agg) node() int { return len(a.w.sites) + a.n }

func (a *agg) now() ms { return epoch + a.w.now }

func (a *agg) started() bool { return a.m != nil && a.m.Started() }

// start begins a life of the aggregator.
func (a *agg) start() {
	if a.over || a.p != nil && !a.p.dead {
		return
	}
	a.lives++
	w := a.w
	w.note(noteStart, a.node(), a.lives, 0, 0)
	*a = agg{
		w: w, n: a.n, rng: a.rng, disk: a.disk, lives: a.lives, older: a.older, adopts: a.adopts, nudged: a.nudged,
		bodies: map[owner.Key]*body{}, sum: map[string]share{}, issued: map[wire.Stamp]*orderMsg{}, out: newOutgoing(),
	}
	a.p = &process{w: w, node: a.node(), wake: a.turn, died: a.died}
	binary.BigEndian.PutUint64(a.instance[:], a.rng.Uint64()|1)
	a.p.enter(func() {
		a.load()
		if w.fail == nil {
			a.conn = w.newClient(a.p, a.got, a.link)
		}
	})
}

// load reads the task back, or makes its genesis.
func (a *agg) load() {
	d := a.disk
	first := hashOf(a.w.plan.genesis())
	if d.state == nil {
		d.blobs.put(a.p, first, a.w.plan.genesis(), true)
		if len(d.records) == 0 {
			r := &record{committed: true, work: "init", model: first}
			r.seal()
			d.tx(a.p, func() { d.records = append(d.records, r) })
			a.w.check.recorded(a, r)
		}
	}
	last := d.records[len(d.records)-1]
	a.prev = last.hash
	a.setHead(last)
	is := first
	if d.state != nil {
		is = d.state.Base
	}
	b, err := d.blobs.get(is)
	if err != nil {
		a.w.violate("I6", "aggregator %d: base %x is not on the disk", a.n, is[:4])
		return
	}
	a.base = b
	a.m = owner.New(owner.Config{
		Instance: a.instance, Uploads: a.w.plan.Uploads, Rand: a.random, Heeds: true,
		Tasks: []owner.TaskConfig{{
			Name: task, Round: a.w.plan.round(first, a.rng), State: d.state, Members: d.members, Journal: d.journal,
			Model: a.model(b), Slots: slots, Kept: a.w.plan.Keep,
		}},
	})
	a.t = a.m.Task(task)
	if a.state = d.state; a.state == nil {
		a.state = &round.State{Round: 1, Base: first}
	}
}

func (a *agg) random(p []byte) {
	for i := range p {
		p[i] = byte(a.rng.Uint32())
	}
}

// model is a version as the machine knows it.
func (a *agg) model(b []byte) owner.Model {
	m := owner.Model{Content: hashOf(b)}
	if size := a.w.plan.partSize(a.lives); len(b) > size {
		m.Blob = cut(b, size/2)
	}
	return m
}

// died tidies up after a process.
func (a *agg) died() {
	if a.conn != nil {
		a.conn.close()
	}
	if a.p.loss {
		a.disk.blobs.powerLoss(a.w)
	}
	if a.w.bugs.EpochForgotten && a.disk.state != nil {
		s := *a.disk.state
		s.Epoch--
		a.disk.state = &s
	}
	a.adopts = false
	a.w.at(a.w.between(500, a.w.plan.DownMost), a.start)
}

// stop ends the process for good.
func (a *agg) stop() {
	a.over = true
	panic(crash{a.p})
}

// got queues what arrived; the driver takes it in a little later.
func (a *agg) got(m message) {
	a.inbox = append(a.inbox, m)
	if !a.busy {
		a.busy = true
		a.p.wakeBy(a.w.now + a.w.between(1, 40))
	}
}

// batch is how many events are taken in before the machine's work is done.
const batch = 64

// turn is one round of the driver's loop: what is due by the clock, what has
// arrived, and what the machine owes.
func (a *agg) turn() {
	a.busy = false
	a.m.Step(a.now(), owner.Tick{})
	for n := 0; n < batch && len(a.inbox) > 0 && !a.m.Turned(); n++ {
		m := a.inbox[0]
		a.inbox = a.inbox[1:]
		a.receive(m)
	}
	a.work()
	if len(a.inbox) > 0 {
		a.busy = true
		a.p.wakeBy(a.w.now + 1)
	}
}

// work does what the machine owes, and asks to be woken.
func (a *agg) work() {
	for a.w.fail == nil {
		rd := a.m.Ready()
		if rd.Empty() {
			a.w.check.sending(a)
			if rd.Wake > 0 {
				a.p.wakeBy(max(rd.Wake-epoch, a.w.now+1))
			}
			return
		}
		a.do(rd)
		for _, ev := range a.answers {
			a.t.Step(a.now(), ev)
		}
		a.answers = nil
	}
}

func (a *agg) answer(ev owner.Event) { a.answers = append(a.answers, ev) }

// step tells the task something, and does what follows.
func (a *agg) step(ev owner.Event) {
	a.t.Step(a.now(), ev)
	a.work()
}

// link follows the connection.
func (a *agg) link(up bool) {
	a.w.check.linked(a, up)
	if a.out.order = false; up {
		a.m.Step(a.now(), owner.LinkUp{})
	} else {
		a.m.Step(a.now(), owner.LinkDown{})
	}
	a.work()
}
