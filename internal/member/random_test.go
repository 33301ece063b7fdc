package member

import (
	"bytes"
	"fmt"
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
	cut  wire.Blob
	job  *Job

	file     []bool          // parts of the model that is received, nil: there is none
	asked    map[uint32]bool // subscribed to
	flying   map[uint64]bool // entries
	uploads  map[SendPart]bool
	granted  map[SendPart]bool // upload 0
	assemble *Stored

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
	w.m = New(Config{Path: "a/b", Instance: named("me"), Line: NewLine([]int64{0, 1_000}[w.seed%2]), Rand: rand.New(rand.NewPCG(w.seed, 2))}, w.disk, box, w.have, w.cut)
	w.up, w.job, w.file, w.assemble = false, nil, nil, nil
	w.asked, w.flying, w.uploads, w.granted = map[uint32]bool{}, map[uint64]bool{}, map[SendPart]bool{}, map[SendPart]bool{}
}

func (w *world) pick(s ...string) string { return s[w.r.IntN(len(s))] }

func (w *world) order() Order {
	// One of the orders of a history, in any order: epochs change within a
	// round, rounds and attempts only grow. All follows from the number, as
	// orders do not change.
	i := w.r.Uint32N(16)
	o := Order{Stamp: wire.Stamp{Epoch: 1 + uint64(i)/6, Round: 1 + uint64(i)/4, Attempt: 1 + i%4}, Order: wire.Order{SampleThreshold: wire.SampleAll}}
	o.Base = content(letter(o.Round))
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
	switch w.r.IntN(24) {
	case 20:
		ev = ManifestCame{Manifest{Manifest: wire.Manifest{Slot: w.r.Uint32N(2), Blob: blobOf(letter(round))}, Is: Stored{Content: content(letter(round))}}}
	case 21, 22:
		i := w.r.Uint32N(blobParts)
		ev = PartCame{Slot: w.r.Uint32N(2), Index: i, Part: wire.Part{Blob: blobOf(letter(round)).Key(), Index: i, Count: blobParts, Data: partOf(letter(round), int(i))}}
	case 23:
		ev = HoursChanged{Open: w.r.IntN(4) > 0}
	case 16:
		ev = Replied{Epoch: w.r.Uint64N(4), Reply: wire.Wait{Round: round, Content: id, Ahead: w.r.Uint32N(3)}}
	case 17, 18:
		g := wire.Grant{Round: round, Blob: sealedFor(5000 + 2000*w.r.Uint32N(3)).Key(), Seq: w.r.Uint64(), Ranges: []wire.Range{{First: w.r.Uint32N(9), N: 1 + w.r.Uint32N(3)}}}
		for i := g.Ranges[0].First; i < g.Ranges[0].End(); i++ {
			w.granted[SendPart{Round: round, Index: i}] = true
		}
		ev = Replied{Epoch: w.r.Uint64N(4), Reply: g}
	case 19:
		ev = EntrySent{round}
		for p := range w.uploads {
			ev = PartSent{Upload: p.Upload, Index: p.Index, OK: w.r.IntN(2) == 0}
			break
		}
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
			clear(w.granted)
			clear(w.uploads)
			ev = Disconnected{}
		}
	case 3, 4, 5:
		ev = Ordered{w.order()}
	case 6, 7:
		ev = ModelCame{Stored{Content: content(letter(round))}}
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
		w.have, w.cut = Stored{}, wire.Blob{}
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
		if e, ok := ev.(PartSent); ok {
			maps.DeleteFunc(w.uploads, func(p SendPart, _ bool) bool { return p.Upload == e.Upload && p.Index == e.Index })
		}
		if e, ok := ev.(EntrySent); ok {
			delete(w.flying, e.Round)
		}
		w.m.Step(w.now, ev)
		r := w.m.Ready()
		ev = nil
		if r.Save != nil {
			w.disk = *r.Save
		}
		if r.Store != nil {
			w.have, w.cut = *r.Store, wire.Blob{}
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
		w.pulls(r)
		if r.Cancel != 0 && w.job != nil && w.job.ID == r.Cancel {
			w.job = nil
		}
		if r.Start != nil {
			w.started(*r.Start)
		}
		if r.Seal != nil {
			e := Entry{
				Round: r.Seal.Stamp.Round, Attempt: r.Seal.Stamp.Attempt, Base: r.Seal.Base, Work: r.Seal.Work, Content: content("u"),
				Parts: sealedFor(r.Seal.PartSize), PartSize: r.Seal.PartSize,
			}
			e.Blob = e.Parts.Key()
			w.box[e.Round] = e
			w.trained[trainedKey{w.m.order.key(), w.m.order.ValidFrom}] = true
			ev = EntryStored{e}
		}
		if w.assemble != nil && ev == nil {
			ev = w.assembled()
		}
		if r.Reseal != nil {
			ev = w.reseal(*r.Reseal, ev)
		}
		if r.Wake != 0 && r.Wake <= w.now && ev == nil {
			w.t.Errorf("seed %d: wake at %d, it is %d", w.seed, r.Wake, w.now)
		}
	}
}

// sealedFor is the parts of an update at a part size.
func sealedFor(size uint32) wire.Blob { return blobOf(fmt.Sprint("u", size)) }

// letter names the model of a round.
func letter(round uint64) string { return "~" + string(rune('a'+round)) }

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
	e.Parts, e.PartSize = sealedFor(r.PartSize), r.PartSize
	e.Blob = e.Parts.Key()
	w.box[e.Round] = e
	return EntryStored{e}
}

// pulls judges what is pulled after an event.
func (w *world) pulls(r Ready) {
	for _, p := range r.Write {
		if i := p.Off / blobData; w.file == nil || w.file[i] {
			w.t.Errorf("seed %d: writes part %d, received are %v", w.seed, i, w.file)
		} else {
			w.file[i] = true
		}
	}
	if r.Discard {
		if w.file == nil {
			w.t.Errorf("seed %d: nothing to discard", w.seed)
		}
		w.file = nil
	}
	if r.Receive != 0 {
		if w.file != nil || r.Receive != blobParts*blobData {
			w.t.Errorf("seed %d: receives %d bytes beside %v", w.seed, r.Receive, w.file)
		}
		w.file = make([]bool, blobParts)
	}
	w.copies(r.Copy)
	if a := r.Assemble; a != nil {
		if slices.Contains(w.file, false) {
			w.t.Errorf("seed %d: not all is there: %v", w.seed, w.file)
		}
		w.assemble, w.file = &a.Is, nil
	}
	for _, f := range r.Unsubscribe {
		delete(w.asked, f.Slot<<16|f.Index)
	}
	for _, f := range r.Subscribe {
		w.asked[f.Slot<<16|f.Index] = true
		if w.m.shut || !w.up {
			w.t.Errorf("seed %d: asks for parts, up %v, shut %v", w.seed, w.up, w.m.shut)
		}
	}
	if w.file == nil && len(w.asked) > 0 {
		w.t.Errorf("seed %d: asks for %v, for nothing", w.seed, w.asked)
	}
	if w.file == nil {
		return
	}
	if o := w.m.order; o == nil || w.m.pull.target.Is.Content != o.Base || w.have.Content == o.Base || o.Work == wire.WorkNone || !w.disk.Welcomed {
		w.t.Errorf("seed %d: pulls %+v under %+v", w.seed, w.m.pull.target, o)
	}
}

// copies judges what is taken from the model at hand.
func (w *world) copies(c *Copy) {
	if c == nil {
		return
	}
	target := w.m.pull.target.Blob
	for _, s := range c.Same {
		for at := 0; at < s.N; at += blobData {
			from, to := (s.From+at)/blobData, (s.To+at)/blobData
			if c.Of != w.have.Content || !bytes.Equal(w.cut.Hashes[from*wire.PartHash:][:wire.PartHash], target.Hashes[to*wire.PartHash:][:wire.PartHash]) || w.file[to] {
				w.t.Errorf("seed %d: part %d of %v becomes part %d of %v, which has it: %v", w.seed, from, c.Of, to, target.Key(), w.file[to])
			}
			w.file[to] = true
		}
	}
}

// assembled makes a model of the parts, mostly.
func (w *world) assembled() Event {
	is := *w.assemble
	w.assemble = nil
	if w.r.IntN(5) == 0 {
		return ModelBroken{}
	}
	w.have, w.cut = is, w.m.pull.target.Blob
	return ModelStored{is}
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
	case SendPart:
		e := w.box[m.Round]
		if !w.granted[SendPart{Round: m.Round, Index: m.Index}] || w.uploads[m] || w.m.shut || e.PartSize > w.m.order.PartSize {
			w.t.Errorf("seed %d: sends %+v of %+v, shut %v, under way %v", w.seed, m, e, w.m.shut, w.uploads)
		}
		w.uploads[m] = true
	case SendEntry:
		if w.flying[m.Round] {
			w.t.Errorf("seed %d: sends an entry of round %d that is on its way", w.seed, m.Round)
		}
		w.flying[m.Round] = true
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
