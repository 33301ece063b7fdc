package sim

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// agg is an aggregator of one task: the round machine, the receiver and the
// mender with their driver, in package aggregator's order of effects.
type agg struct {
	w     *World
	n     int // its number
	rng   *rand.Rand
	disk  *aggDisk
	lives uint64
	over  bool // fenced: it does not start again
	conn  *client

	// of the process
	p        *process
	instance wire.Nonce
	machine  *round.Machine
	state    *round.State // as last saved
	base     []byte
	recv     *transfer.Receiver
	recvAt   ms
	mender   *transfer.Mender
	mendAt   ms
	inbox    []message
	busy     bool // a turn is on its way

	started bool
	up      bool
	startBy ms
	echoBy  ms
	beatAt  ms
	own     *stateMsg

	seen     *orderMsg // highest own order found at start
	fencedBy uint64

	owed    round.Ready
	turned  bool
	wakeTo  ms
	staged  map[contentKey]*staged
	offers  map[contentKey]*agUpload
	uploads map[transfer.Key]*agUpload
	again   []round.Verdict
	folded  map[string]*staged
	sum     map[string]share
	prev    uint64
	issued  map[wire.Stamp][32]byte // hashes of the open round's orders
	settled map[string]ms

	retained [3]retained // model, head, order
	orderOf  wire.Stamp
	modelOf  version
	shelf    *shelf
	shelved  bool
	held     *publication
	found    found
	pub      publisher
	pubs     int
	flying   bool
	landed   bool // the current order has its PUBACK
	triedAt  ms
	headDue  bool
}

type version struct {
	content model.Hash
	number  uint64
}

type contentKey struct {
	member  string
	content model.Hash
}

// staged is one update at hand.
type staged struct {
	content model.Hash
	samples uint64
	bytes   []byte
}

// share is what a member has in the sum: the bytes that were added, and how
// often.
type share struct {
	content model.Hash
	weight  uint64
	times   int
}

const task = "t"

var allMembers = func() topics.MemberFilter {
	f, err := topics.ParseMemberFilter("+/+")
	if err != nil {
		panic(err)
	}
	return f
}()

func (w *World) newAgg(n int, disk *aggDisk) *agg {
	return &agg{w: w, n: n, disk: disk, rng: rand.New(rand.NewPCG(w.plan.Seed, uint64(n)+10))} // #nosec G115 G404 -- a simulation
}

func (a *agg) node() int { return len(a.w.sites) + a.n }

func (a *agg) now() ms { return epoch + a.w.now }

// start begins a life of the aggregator.
func (a *agg) start() {
	if a.over || a.p != nil && !a.p.dead {
		return
	}
	a.lives++
	w := a.w
	w.note(noteStart, a.node(), a.lives, 0, 0)
	fresh := agg{w: w, n: a.n, rng: a.rng, disk: a.disk, lives: a.lives}
	*a = fresh
	a.p = &process{w: w, node: a.node(), wake: a.turn, died: a.died}
	binary.BigEndian.PutUint64(a.instance[:], a.rng.Uint64()|1)
	a.staged, a.offers = map[contentKey]*staged{}, map[contentKey]*agUpload{}
	a.uploads, a.folded, a.sum = map[transfer.Key]*agUpload{}, map[string]*staged{}, map[string]share{}
	a.issued, a.settled = map[wire.Stamp][32]byte{}, map[string]ms{}
	a.recv = transfer.NewReceiver(transfer.ReceiverConfig{Uploads: w.plan.Uploads})
	a.mender = transfer.NewMender()
	a.pub.a = a
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
	cfg := a.w.plan.round(first, a.rng)
	a.machine = round.New(cfg, d.state, d.members, d.journal)
	a.state = a.machine.State()
	if a.w.plan.Keep {
		a.remember()
	}
	b, err := d.blobs.get(a.state.Base)
	if err != nil {
		a.w.violate("I6", "aggregator %d: base %x is not on the disk", a.n, a.state.Base[:4])
		return
	}
	a.base = b
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
// arrived, and what the machines owe.
func (a *agg) turn() {
	now := a.now()
	a.busy = false
	if a.startBy > 0 && now >= a.startBy {
		a.begin()
	}
	if a.beatAt > 0 && now >= a.beatAt {
		a.beat()
	}
	if a.started {
		a.step(round.Tick{})
	}
	for n := 0; n < batch && len(a.inbox) > 0 && !a.turned; n++ {
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

// work does what the machines owe, and asks to be woken.
func (a *agg) work() {
	if a.started && a.w.fail == nil {
		a.machines()
		a.receiveParts()
		a.machines()
		a.mend()
		if a.up {
			a.listen()
		}
	}
	for _, at := range [...]ms{a.startBy, a.beatAt, a.echoBy, a.wakeTo, a.recvAt, a.mendAt, a.retryAt(), a.repairAt()} {
		if at > 0 {
			a.p.wakeBy(max(at-epoch, a.w.now+1))
		}
	}
}

func (a *agg) machines() {
	a.owes()
	a.acceptAgain()
}

// begin gives the machine its first event, once.
func (a *agg) begin() {
	if a.started {
		return
	}
	a.startBy, a.started = 0, true
	now := a.now()
	if a.up {
		a.recv.Connected(now)
	}
	seen := uint64(0)
	if s := a.seen; s != nil {
		seen = s.Epoch
		if s.Round > a.state.Round || s.Round == a.state.Round && s.Base != a.state.Base {
			a.w.check.behind(a, s)
			a.stop()
		}
	}
	a.step(round.Started{SeenEpoch: seen, Instance: a.instance})
	if a.up {
		a.connected()
	}
}

// link follows the connection: the first time it is up, the own presence must
// come back before the machine starts.
func (a *agg) link(up bool) {
	now := a.now()
	a.w.check.linked(a, up)
	if up {
		a.up = true
		a.sayState()
		a.beatAt = now + a.w.between(24_000, 36_000)
		if !a.started {
			a.startBy = now + 3_000
		} else {
			a.recv.Connected(now)
			a.connected()
		}
		a.work()
		return
	}
	a.up, a.startBy = false, 0
	if a.started {
		a.recv.Disconnected(now)
		a.mender.Disconnected(now)
		a.step(round.Disconnected{})
	}
	a.work()
}

func (a *agg) connected() {
	a.landed, a.headDue = false, a.retained[ownHead].body != nil
	for i := range a.retained {
		a.retained[i].copy.Unasked()
	}
	a.mender.Connected(a.now())
	if a.shelf != nil && a.shelved {
		a.mender.All(a.now())
	}
	a.step(round.Connected{})
}

func (a *agg) sayState() {
	a.own = &stateMsg{by: a.n}
	a.echoBy = a.now() + 5_000
	a.conn.post(message{topic: topic{kind: onState}, body: a.own, retained: true})
}

func (a *agg) beat() {
	if a.up {
		a.sayState()
		for i := range a.retained {
			if r := &a.retained[i]; r.body != nil && a.started && !a.flying && !a.w.bugs.TopicsUnwatched {
				r.copy.Asked(a.now())
				a.conn.resubscribe(r.topic)
			}
		}
	}
	a.beatAt = a.now() + a.w.between(24_000, 36_000)
}

// listen asks for all subscriptions again when the own presence does not come
// back.
func (a *agg) listen() {
	if a.echoBy == 0 || a.now() < a.echoBy {
		return
	}
	for _, t := range a.conn.fixed() {
		a.conn.resubscribe(t)
	}
	a.conn.deaf = 0
	a.echoBy = a.now() + 10_000
}
