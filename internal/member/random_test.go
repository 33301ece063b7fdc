package member

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// TestMachineRandom throws random events at a machine, restarts included, and
// holds its answers against what must never happen.
func TestMachineRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		w := world{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), box: map[uint64]Entry{}, trained: map[trainedKey]bool{}}
		w.restart()
		for range 120 {
			w.event()
		}
		if t.Failed() {
			return
		}
	}
}

// world is a machine with its disk, and what an onlooker has seen of it.
type world struct {
	t    *testing.T
	seed uint64
	r    *rand.Rand
	now  ms
	m    *Machine
	up   bool

	disk State
	box  map[uint64]Entry
	have Stored
	job  *Job
	pull model.Hash

	counter uint64
	seen    wire.Stamp
	trained map[trainedKey]bool // results that reached the outbox, by the valid_from they were made under
}

type trainedKey struct {
	Key
	validFrom uint32
}

func (w *world) restart() {
	var box []Entry
	for _, round := range slices.Sorted(maps.Keys(w.box)) {
		box = append(box, w.box[round])
	}
	w.m = New(Config{Path: "a/b", Instance: named("me"), Rand: rand.New(rand.NewPCG(w.seed, 2))}, w.disk, box, w.have)
	w.up, w.job, w.pull = false, nil, model.Hash{}
}

func (w *world) pick(s ...string) string { return s[w.r.IntN(len(s))] }

func (w *world) order() Order {
	// One of the orders of a history, in any order: epochs change within a
	// round, rounds and attempts only grow. All follows from the number, as
	// orders do not change.
	i := w.r.Uint32N(16)
	o := Order{Stamp: wire.Stamp{Epoch: 1 + uint64(i)/6, Round: 1 + uint64(i)/4, Attempt: 1 + i%4}, Order: wire.Order{SampleThreshold: wire.SampleAll}}
	o.Base = content(string(rune('a' + o.Round)))
	o.Work = []string{wire.WorkTrain, wire.WorkTrain, wire.WorkEvaluate, wire.WorkStatistics, wire.WorkNone}[(o.Round+uint64(o.Attempt))%5]
	if o.Round == 2 {
		o.Work = wire.WorkTrain // with attempts that differ in nothing else
	}
	o.ValidFrom = 1 + o.Attempt/3*2
	o.PaceMS = o.Round * 100
	o.PartSize = []uint32{9000, 5000, 7000}[i%3]
	o.Hash, o.Origin = model.Hash(hash(o.String())), named("o")
	return o
}

func (w *world) event() {
	w.now += ms(w.r.IntN(9000))
	round, id := 1+w.r.Uint64N(4), content("u")
	if w.r.IntN(4) == 0 {
		id = model.Hash{}
	}
	var ev Event = Tick{}
	switch w.r.IntN(20) {
	case 16:
		ev = Replied{Epoch: w.r.Uint64N(4), Reply: wire.Wait{Round: round, Content: id, Ahead: w.r.Uint32N(3)}}
	case 17, 18:
		ev = Replied{Epoch: w.r.Uint64N(4), Reply: wire.Grant{Round: round, Blob: blobOf(5000 + 2000*w.r.Uint32N(3)), Seq: w.r.Uint64()}}
	case 19:
		ev = PartTaken{round}
		if w.r.IntN(8) == 0 {
			ev = EntryLost{round}
		}
	case 0:
		w.restart()
		return
	case 1:
		w.up = true
		ev = Connected{}
	case 2:
		if w.r.IntN(3) == 0 {
			w.up = false
			ev = Disconnected{}
		}
	case 3, 4, 5:
		ev = Ordered{w.order()}
	case 6, 7:
		w.have = Stored{Content: content(string(rune('a' + round)))}
		ev = ModelStored{w.have}
	case 8:
		ev = Replied{Epoch: 3, Reply: wire.Welcome{FromRound: 1, FromAttempt: 1}}
	case 9:
		ev = Replied{Epoch: w.r.Uint64N(4), Reply: wire.Receipt{Round: round, Attempt: 1, Content: id}}
	case 10:
		ev = Replied{Epoch: w.r.Uint64N(4), Reply: wire.Settled{Round: round, Content: id, Verdict: "counted"}}
	case 11:
		ev = Replied{Epoch: 3, Reply: wire.RefusalReply{
			Round: round, Content: id, Counter: w.r.Uint64N(1 << 20),
			Reason: w.pick("conflict", "not_in_cohort", "bad_signature", "unknown_member", "old_counter", "of_tomorrow"),
		}}
	case 12:
		counted := w.r.IntN(2) == 0
		ev = Recorded{Round: round, Verdict: w.pick("committed", verdictAbandoned), Counted: func(uint32) bool { return counted }}
	default:
		if w.job != nil {
			ev = w.jobEvent()
		}
	}
	w.take(ev)
}

func (w *world) jobEvent() Event {
	id := w.job.ID
	switch w.r.IntN(4) {
	case 0:
		return Began{id}
	case 1:
		w.job = nil
		return Finished{ID: id, Reason: wire.DeclineFailed}
	case 2:
		w.have = Stored{}
		return ModelLost{}
	}
	w.job = nil
	return Finished{ID: id}
}

// take steps the machine and judges what it owes.
func (w *world) take(ev Event) {
	for ev != nil {
		if e, ok := ev.(EntryLost); ok { // made again
			maps.DeleteFunc(w.trained, func(k trainedKey, _ bool) bool { return k.Round == e.Round })
		}
		w.m.Step(w.now, ev)
		r := w.m.Ready()
		ev = nil
		if r.Save != nil {
			w.disk = *r.Save
		}
		for _, round := range r.Drop {
			if _, ok := w.box[round]; !ok {
				w.t.Errorf("seed %d: dropped an entry of round %d that was not there", w.seed, round)
			}
			delete(w.box, round)
		}
		if w.disk.Seen.Compare(w.seen) < 0 {
			w.t.Errorf("seed %d: %s after %s", w.seed, w.disk.Seen, w.seen)
		}
		w.seen = w.disk.Seen
		if len(r.Send)+len(r.Ask) > 0 && !w.up {
			w.t.Errorf("seed %d: sends without a link", w.seed)
		}
		for _, m := range r.Send {
			w.judge(m)
		}
		for _, g := range r.Grants {
			if e, ok := w.box[g.Round]; !ok || !w.up || e.Blob != g.Blob || g.Epoch < w.seen.Epoch {
				w.t.Errorf("seed %d: grant %+v for entry %+v", w.seed, g, e)
			}
		}
		w.pulls(r.Pull)
		if r.Cancel != 0 && w.job != nil && w.job.ID == r.Cancel {
			w.job = nil
		}
		if r.Start != nil {
			w.started(*r.Start)
		}
		if r.Seal != nil {
			e := Entry{
				Round: r.Seal.Stamp.Round, Attempt: r.Seal.Stamp.Attempt, Base: r.Seal.Base, Work: r.Seal.Work, Content: content("u"),
				Blob: blobOf(r.Seal.PartSize), PartSize: r.Seal.PartSize,
			}
			w.box[e.Round] = e
			w.trained[trainedKey{w.m.order.key(), w.m.order.ValidFrom}] = true
			ev = EntryStored{e}
		}
		if r.Reseal != nil {
			ev = w.reseal(*r.Reseal, ev)
		}
		if r.Wake != 0 && r.Wake <= w.now && ev == nil {
			w.t.Errorf("seed %d: wake at %d, it is %d", w.seed, r.Wake, w.now)
		}
	}
}

// blobOf names the parts of an update at a part size.
func blobOf(size uint32) wire.BlobKey { return wire.BlobKey(named(string(rune('a' + size/1000)))) }

// Reseal seals an entry anew, or says that it cannot be.
func (w *world) reseal(r Reseal, other Event) Event {
	e, ok := w.box[r.Round]
	if !ok || other != nil || r.PartSize >= e.PartSize || r.PartSize != w.m.order.PartSize {
		w.t.Errorf("seed %d: reseal %+v of %+v, beside %v", w.seed, r, e, other)
	}
	switch w.r.IntN(6) {
	case 0:
		return EntryStuck{Round: r.Round}
	case 1:
		return EntryLost{r.Round}
	}
	e.Blob, e.PartSize = blobOf(r.PartSize), r.PartSize
	w.box[e.Round] = e
	return EntryStored{e}
}

// pulls judges what is to be pulled after an event.
func (w *world) pulls(told *model.Hash) {
	if told != nil {
		if *told == w.pull {
			w.t.Errorf("seed %d: told twice to pull %v", w.seed, *told)
		}
		w.pull = *told
	}
	if w.pull.IsZero() {
		return
	}
	if o := w.m.order; o == nil || w.pull != o.Base || w.have.Content == o.Base || o.Work == wire.WorkNone || !w.disk.Welcomed {
		w.t.Errorf("seed %d: pulls %v under %+v", w.seed, w.pull, o)
	}
}

func (w *world) started(j Job) {
	o := w.m.order
	if w.job != nil {
		w.t.Errorf("seed %d: two jobs", w.seed)
	}
	if j.Base != w.have.Content || o.Work == wire.WorkNone || !w.disk.Welcomed {
		w.t.Errorf("seed %d: job %+v without model, order or welcome", w.seed, j)
	}
	if w.trained[trainedKey{o.key(), o.ValidFrom}] {
		w.t.Errorf("seed %d: trains %+v twice", w.seed, j.Key)
	}
	w.job = &j
}

func (w *world) judge(m Send) {
	switch m := m.(type) {
	case SendJoin:
		if m.Counter <= w.counter || m.Counter != w.disk.Counter || m.Seen != w.disk.Seen {
			w.t.Errorf("seed %d: join %+v after counter %d, saved %d", w.seed, m, w.counter, w.disk.Counter)
		}
		w.counter = m.Counter
	case SendEntry:
		e, ok := w.box[m.Round]
		if !ok {
			w.t.Errorf("seed %d: sends an entry of round %d that is not in the outbox", w.seed, m.Round)
		}
		if e.PartSize > w.m.order.PartSize {
			w.t.Errorf("seed %d: sends an entry for %d bytes, the order has %d", w.seed, e.PartSize, w.m.order.PartSize)
		}
	case SendDecline:
		if m.Stamp != w.disk.Seen {
			w.t.Errorf("seed %d: declines %s, the order is %s", w.seed, m.Stamp, w.disk.Seen)
		}
	}
}
