package transfer

import (
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Bounds of a puller (TR-11 to TR-16).
const (
	pullMost    = 16 // parts outstanding
	pullFast ms = 1_000
	pullSlow ms = 4_000

	otherQoS  ms = 2_000  // without progress: ask at the other QoS
	otherMost ms = 60_000 // the same, on the slowest link
	dryAfter  ms = 20_000 // without progress: other parts
	gapLeast  ms = 1_000  // what one part is taken to need, when it came twice
	gapMost   ms = 30_000 // the same, at most

	needFirst ms = 20_000
	needMost  ms = 60_000

	spoiltLeast ms = 1_000 // between two needs for what came as other bytes
)

// Puller fetches one blob at a time from the retained topics of its slot
// (TR-10 and up). It starts disconnected. What it learned of the link (the
// QoS that works, the time of a part) outlives a target.
type Puller struct {
	now       ms
	connected bool

	wanted bool
	blob   wire.Blob
	key    wire.BlobKey
	slot   uint32
	count  uint32
	have   bitmap
	proof  leaves // of the parts that are there
	left   int    // parts that are not there

	out     []batch
	asked   bitmap // parts in out
	nAsked  int
	next    uint32 // where to look for more
	window  int
	changed ms // when the window last changed

	room int // parts that may still be asked for, -1 for no bound

	qos    byte
	since  ms     // of the last progress
	gap    ms     // what a part needs, a maximum that fades
	other  bool   // asked at the other QoS since then
	again  ms     // when that was
	silent bitmap // parts that were given up, and have not come since
	dry    int    // windows that brought nothing since there were none
	tried  ms     // when the last of them began
	needAt ms     // no need before
	pause  ms     // between two needs

	spoilt      bitmap // parts outstanding that came as other bytes, since the last need
	spoiltAt    ms     // when that was
	spoiltPause ms     // until the next

	ready PullReady
}

// batch is parts that were asked for at once.
type batch struct {
	parts  []uint32 // that have not come
	asked  ms
	spoilt bool // some came as other bytes: how long it takes says nothing of the link
}

// PullReady is what a Puller owes, in the order of the fields.
type PullReady struct {
	Copy        []Same // what of a new target the model at hand has; then call Copied
	Unsubscribe []PartFilter
	Subscribe   []PartFilter // at most 16 are outstanding
	Need        []wire.Range // ask the owner for these; nil mostly, at most wire.MaxRanges
	Done        bool         // every part is there; said once
	Held        bool         // more would be asked for if there were room
	Wake        int64        // when the next Tick is wanted, 0 for never
}

// NewPuller returns a puller that wants nothing.
func NewPuller() *Puller { return &Puller{room: -1} }

// Room says how many parts may be asked for before the next call, -1 for as
// many as the window allows, as at first (TR-19).
func (p *Puller) Room(now int64, parts int) {
	p.time(now)
	p.room = max(parts, -1)
	p.fill()
}

// Want sets the target. Another blob or slot drops the old target; for the
// same blob and slot nothing changes. A target that is complete stays so until
// Drop (TR-10). What it has in common with the model at hand is copied, not asked
// for (TR-71).
func (p *Puller) Want(now int64, blob wire.Blob, slot uint32, held wire.Blob) {
	p.time(now)
	if p.wanted && p.slot == slot && p.blob.Equal(blob) {
		return
	}
	p.drop()
	n := blob.Count()
	p.wanted, p.blob, p.key, p.slot = n > 0, blob, blob.Key(), slot
	p.count, p.left = uint32(n), n // at most topics.MaxParts
	p.have, p.asked, p.spoilt, p.silent = newBitmap(n), newBitmap(n), newBitmap(n), newBitmap(n)
	p.proof = newLeaves(blob)
	p.ready.Copy = copies(blob, held, nil, p.have)
	p.left -= p.have.count()
	p.ready.Done = n > 0 && p.left == 0
	p.begin()
}

// Drop forgets the target.
func (p *Puller) Drop(now int64) {
	p.time(now)
	p.drop()
}

func (p *Puller) drop() {
	p.unask()
	p.wanted, p.blob, p.proof, p.have, p.asked, p.spoilt, p.silent, p.count, p.left = false, wire.Blob{}, leaves{}, nil, nil, nil, nil, 0, 0
	p.ready.Copy, p.ready.Need, p.ready.Done = nil, nil, false
}

// Connected says that the link is up.
func (p *Puller) Connected(now int64) {
	p.time(now)
	p.connected = true
	p.begin()
}

// Disconnected says that the link is down: its subscriptions are gone. What is
// there stays (TR-17).
func (p *Puller) Disconnected(now int64) {
	p.time(now)
	p.connected = false
	p.unask()
}

// begin starts anew with a window of one part.
func (p *Puller) begin() {
	p.window, p.changed, p.next = 1, p.now, 0
	p.spoiltPause = 0
	clear(p.silent)
	p.progress()
	p.fill()
}

// Part takes what arrived on the topic of a slot and index. If ok, it is
// proven and new, and the caller keeps part.Data at off of the blob (TR-18).
func (p *Puller) Part(now int64, part wire.Part, slot, index uint32) (off int, ok bool) {
	p.time(now)
	if !p.wanted || slot != p.slot || index >= p.count {
		return 0, false
	}
	if index != part.Index || part.Blob != p.key || part.Count != p.count {
		p.spoil(index)
		return 0, false
	}
	if p.have.has(index) { // asked for twice: too early
		p.gap = min(max(2*p.gap, gapLeast), gapMost)
		return 0, false
	}
	off, n := p.blob.Span(int(index))
	if n != len(part.Data) || !p.blob.Has(int(index), p.proof.put(off, part.Data).Part()) {
		p.spoil(index)
		return 0, false
	}
	p.have.add(index)
	p.silent.del(index)
	p.left--
	if p.asked.has(index) {
		p.came(index)
	}
	p.progress()
	if p.left == 0 {
		p.unask()
		p.ready.Done = true
	}
	p.fill()
	return off, true
}

// Copied takes bytes that were copied to an offset of the target: what came from the
// model at hand is hashed as what comes over the link is. It begins with a leaf, and
// ends with one or with the target.
func (p *Puller) Copied(off int, b []byte) {
	if p.wanted {
		p.proof.put(off, b)
	}
}

// Content is the content id of a target of which every part is there: of what came and
// of what was copied, whatever its manifest says.
func (p *Puller) Content() model.Hash { return p.proof.content(p.blob.Length) }

// Spoilt takes what arrived on the topic of a slot and index and is no part.
func (p *Puller) Spoilt(now int64, slot, index uint32) {
	p.time(now)
	if p.wanted && slot == p.slot && index < p.count {
		p.spoil(index)
	}
}

// spoil notes that the broker has other bytes of a part that was asked for.
// Waiting brings no better ones: the owner is asked (TR-16).
func (p *Puller) spoil(index uint32) {
	if !p.asked.has(index) {
		return
	}
	p.spoilt.add(index)
	for i := range p.out {
		b := &p.out[i]
		b.spoilt = b.spoilt || slices.Contains(b.parts, index)
	}
	p.needSpoilt()
}

// needSpoilt asks the owner for what came as other bytes, if it is time. The
// subscriptions stay, and bring what it publishes.
func (p *Puller) needSpoilt() {
	if p.spoilt.count() == 0 || p.now < p.spoiltAt+p.spoiltPause {
		return
	}
	p.ready.Need = p.spoilt.present(p.count)
	clear(p.spoilt)
	p.spoiltAt, p.spoiltPause = p.now, min(max(2*p.spoiltPause, spoiltLeast), needFirst)
}

// progress starts the times of TR-14 over. While a part is silent that was given
// up, the broker may lack more of them, and a dry window counts on: else one part
// that comes between two that are not there keeps the owner from being asked.
func (p *Puller) progress() {
	p.since, p.tried, p.other = p.now, p.now, false
	p.spoiltPause = min(p.spoiltPause, spoiltLeast)
	if p.silent.count() == 0 {
		p.dry, p.needAt, p.pause = 0, 0, needFirst
		p.ready.Need = nil
	}
}

// came takes a part out of its batch, and measures it, and the batch that it
// ends (TR-12, TR-14).
func (p *Puller) came(index uint32) {
	p.unsubscribe(index)
	for i := range p.out {
		b := &p.out[i]
		at := slices.Index(b.parts, index)
		if at < 0 {
			continue
		}
		b.parts = slices.Delete(b.parts, at, at+1)
		if !b.spoilt {
			p.gap = max(min(p.now-max(p.since, b.asked, p.again), gapMost), p.gap-p.gap/8)
		}
		if len(b.parts) > 0 {
			return
		}
		asked := b.asked
		p.out = slices.Delete(p.out, i, i+1)
		switch took := p.now - asked; {
		case asked < p.changed:
		case took <= pullFast:
			p.window, p.changed = min(2*p.window, pullMost), p.now
		case took > pullSlow:
			p.window, p.changed = max(p.window/2, 1), p.now
		}
		return
	}
}

// due is how many parts the window has to ask for: some when half of it is
// free (TR-11).
func (p *Puller) due() int {
	todo := p.left - p.nAsked
	if !p.connected || !p.wanted || todo == 0 || p.nAsked > p.window/2 {
		return 0
	}
	return min(p.window-p.nAsked, todo)
}

// fill asks for what is due, as far as there is room.
func (p *Puller) fill() {
	n := p.due()
	if p.room >= 0 {
		n = min(n, p.room)
		p.room -= n
	}
	if n == 0 {
		return
	}
	if p.nAsked == 0 {
		p.tried = p.now // it may have been held
	}
	b := batch{asked: p.now}
	for ; n > 0; n-- {
		i := free(p.next, p.count, p.have, p.asked)
		if i == p.count {
			i = free(0, p.count, p.have, p.asked)
		}
		p.next = i + 1
		p.asked.add(i)
		p.nAsked++
		p.subscribe(i)
		b.parts = append(b.parts, i)
	}
	p.out = append(p.out, b)
}

// Tick passes the time.
func (p *Puller) Tick(now int64) {
	p.time(now)
	if p.nAsked == 0 {
		return
	}
	p.needSpoilt()
	if p.now >= p.tried+p.patience() {
		p.dryWindow()
		return
	}
	if !p.other && p.now >= p.tried+p.otherAfter() { // TR-14
		p.other, p.again = true, p.now
		p.qos = 1 - p.qos
		for _, b := range p.out {
			for _, i := range b.parts {
				p.subscribe(i)
			}
		}
	}
}

// dryWindow gives a window up that brought nothing, and asks for other parts;
// from the second one on also the owner (TR-15, TR-16).
func (p *Puller) dryWindow() {
	p.dry++
	p.tried, p.other = p.now, false
	p.window, p.changed = max(p.window/2, 1), p.now
	for i := range p.silent {
		p.silent[i] |= p.asked[i]
	}
	p.unask()
	p.fill()
	if p.dry >= 2 && p.now >= p.needAt {
		p.ready.Need = p.have.missing(p.count)
		p.needAt, p.pause = p.now+p.pause, min(p.pause+needFirst, needMost)
	}
}

func (p *Puller) otherAfter() ms { return max(otherQoS, min(4*p.gap, otherMost)) }
func (p *Puller) patience() ms   { return max(dryAfter, 2*p.otherAfter()) }

// unask gives up everything outstanding.
func (p *Puller) unask() {
	for _, b := range p.out {
		for _, i := range b.parts {
			p.unsubscribe(i)
		}
	}
	p.out = nil
}

// unsubscribe is owed for every part that was asked for, else the next model
// is pushed to everybody (TR-13).
func (p *Puller) unsubscribe(i uint32) {
	p.asked.del(i)
	p.spoilt.del(i)
	p.nAsked--
	p.ready.Subscribe = slices.DeleteFunc(p.ready.Subscribe, func(f PartFilter) bool { return f.Slot == p.slot && f.Index == i })
	p.ready.Unsubscribe = append(p.ready.Unsubscribe, PartFilter{Slot: p.slot, Index: i})
}

func (p *Puller) subscribe(i uint32) {
	p.ready.Subscribe = slices.DeleteFunc(p.ready.Subscribe, func(f PartFilter) bool { return f.Slot == p.slot && f.Index == i })
	p.ready.Subscribe = append(p.ready.Subscribe, PartFilter{Slot: p.slot, Index: i, QoS: p.qos})
}

// Ready returns what is owed since the last call.
func (p *Puller) Ready() PullReady {
	rd := p.ready
	p.ready = PullReady{}
	rd.Held = p.room == 0 && p.due() > 0
	if p.nAsked > 0 {
		rd.Wake = p.tried + p.patience()
		if !p.other {
			rd.Wake = p.tried + p.otherAfter()
		}
		if p.spoilt.count() > 0 {
			rd.Wake = min(rd.Wake, p.spoiltAt+p.spoiltPause)
		}
	}
	return rd
}

// Progress returns how many parts of the target are there, 0 of 0 without one.
func (p *Puller) Progress() (have, count int) { return int(p.count) - p.left, int(p.count) }

func (p *Puller) time(now ms) { p.now = max(p.now, now) }
