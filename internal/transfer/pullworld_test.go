package transfer

import (
	"bytes"
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// pullWorld is an owner with a Mender, sites with a Puller each, and a broker
// that keeps retained parts, loses some, and delivers some QoS badly.
type pullWorld struct {
	t     fataler
	s     *sim
	m     *Mender
	up    bool // the owner's link
	life  int
	link  pipe
	wake  ms
	slots int

	changed int // parts of a thousand from version to version, 0: all

	name  string // of the model
	data  []byte
	blob  wire.Blob
	slot  uint32
	model int // its number
	said  int // number of the model that the manifest names

	kept  map[PartFilter]wire.Part // QoS 0
	mute  int                      // a QoS at which nothing retained is delivered, -1 for none
	loss  int                      // of a thousand deliveries
	sites []*pullSite

	published int // parts, every time
	trace     hash.Hash64
}

type pullSite struct {
	w     *pullWorld
	p     *Puller
	link  pipe
	on    bool
	life  int
	wake  ms
	subs  map[PartFilter]byte // at the broker
	model int                 // that it pulls
	data  []byte
	blob  wire.Blob
	had   []byte // the model before
	held  wire.Blob
	done  int // the last model that is whole
	needs int
	came  map[uint32]bool
	got   int // parts, every time
	most  int // outstanding
}

func newPullWorld(t fataler, seed uint64, slots int) *pullWorld {
	s := newSim(seed)
	return &pullWorld{t: t, s: s, m: NewMender(), link: pipe{s: s, part: 1, latency: 5}, slots: slots, kept: map[PartFilter]wire.Part{}, mute: -1, trace: fnv.New64a()}
}

func (w *pullWorld) site(part, latency ms) *pullSite {
	x := &pullSite{w: w, p: NewPuller(), link: pipe{s: w.s, part: part, latency: latency}, subs: map[PartFilter]byte{}}
	w.sites = append(w.sites, x)
	return x
}

// publish makes a new model of n parts in the next slot.
func (w *pullWorld) publish(n int) {
	w.model++
	w.name = fmt.Sprint("model", w.model%5)
	if w.changed > 0 && w.data != nil {
		w.data, w.blob = partly(w.s, w.data, w.changed)
	} else {
		w.data, w.blob = testBytes(w.name, n), testBlob(w.name, n)
	}
	w.slot = uint32(w.model % w.slots)
	w.m.Hold(w.blob)
	w.m.All(w.s.now)
	w.drive()
}

func (w *pullWorld) connect() {
	if w.up {
		return
	}
	w.up = true
	w.life++
	w.m.Connected(w.s.now)
	if w.model > 0 {
		w.m.All(w.s.now)
	}
	w.drive()
}

func (w *pullWorld) disconnect() {
	w.up = false
	w.life++
	w.link.free = 0
	w.m.Disconnected(w.s.now)
	w.drive()
}

func (w *pullWorld) drive() {
	rd := w.m.Ready()
	fmt.Fprintln(w.trace, w.s.now, rd)
	w.published += len(rd.Publish)
	if w.m.nFlying > inFlight || w.m.nFlying != w.m.flying.count() || !w.up && len(rd.Publish) > 0 {
		w.t.Fatalf("%d parts in flight, counted %d, publish %v", w.m.nFlying, w.m.flying.count(), rd.Publish)
	}
	life, model, slot, key := w.life, w.model, w.slot, w.blob.Key()
	for _, i := range rd.Publish {
		part := partOf(w.blob, w.data, i)
		w.link.send(true, func() {
			if w.life != life {
				return
			}
			w.keep(PartFilter{Slot: slot, Index: i}, part)
			w.link.send(false, func() {
				if w.life == life && w.blob.Key() == key {
					w.m.Sent(w.s.now, i, !w.s.chance(w.loss))
					w.drive()
				}
			})
		})
	}
	if rd.Done {
		w.said = model
		for _, x := range w.sites {
			x.manifest()
		}
	}
	if rd.Wake > 0 && (w.wake <= w.s.now || rd.Wake < w.wake) {
		w.wake = rd.Wake
		w.s.after(max(rd.Wake-w.s.now, 0), func() {
			w.wake = 0
			w.m.Tick(w.s.now)
			w.drive()
		})
	}
}

// keep retains a part and passes it to who has subscribed.
func (w *pullWorld) keep(f PartFilter, p wire.Part) {
	w.kept[f] = p
	for _, x := range w.sites {
		if _, ok := x.subs[f]; ok {
			x.deliver(f, p)
		}
	}
}

// forget loses retained parts, n of a thousand.
func (w *pullWorld) forget(n int) {
	for slot := range uint32(topics.MaxSlots) {
		for i := range uint32(200) {
			if w.s.chance(n) {
				delete(w.kept, PartFilter{Slot: slot, Index: i})
			}
		}
	}
}

// spoil has others write over what is retained, n of a thousand parts.
func (w *pullWorld) spoil(n int) {
	for i := range uint32(w.blob.Count()) {
		if !w.s.chance(n) {
			continue
		}
		part := partOf(w.blob, w.data, i)
		switch w.s.rand.IntN(4) {
		case 0:
			part = wire.Part{}
		case 1:
			part.Blob[0] ^= 1
		case 2:
			part.Index++
		default:
			part.Data = bytes.Repeat([]byte{7}, len(part.Data))
		}
		f := PartFilter{Slot: w.slot, Index: i}
		w.kept[f] = part
		for _, x := range w.sites {
			if _, ok := x.subs[f]; ok {
				x.deliver(f, part)
			}
		}
	}
}

// manifest reaches a site a little later.
func (x *pullSite) manifest() {
	w := x.w
	if w.said == 0 || w.said != w.model {
		return
	}
	model, data, blob, slot := w.model, w.data, w.blob, w.slot
	x.small(func() {
		if model <= x.model {
			return
		}
		x.model, x.blob, x.data, x.came = model, blob, make([]byte, len(data)), map[uint32]bool{}
		x.p.Want(w.s.now, blob, slot, x.held)
		x.drive()
	})
}

func (x *pullSite) small(do func()) {
	life := x.life
	x.link.send(false, func() {
		if x.on && x.life == life {
			do()
		}
	})
}

func (x *pullSite) connect() {
	if x.on {
		return
	}
	x.on = true
	x.life++
	x.p.Connected(x.w.s.now)
	x.drive()
	x.manifest()
}

func (x *pullSite) disconnect() {
	x.on = false
	x.life++
	x.link.free = 0
	x.p.Disconnected(x.w.s.now)
	x.drive()
	clear(x.subs)
}

func (x *pullSite) drive() {
	w := x.w
	rd := x.p.Ready()
	fmt.Fprintln(w.trace, w.s.now, rd)
	x.most = max(x.most, x.p.nAsked)
	if x.p.nAsked > pullMost || x.p.nAsked != x.p.asked.count() && x.p.wanted || !x.on && len(rd.Subscribe) > 0 {
		w.t.Fatalf("%d parts outstanding, subscribe %v", x.p.nAsked, rd.Subscribe)
	}
	x.copy(rd.Copy)
	for _, f := range rd.Subscribe {
		if slices.Contains(partHashes(x.held), hashOf(x.blob, int(f.Index))) {
			w.t.Fatalf("part %d is asked for, and lies in the model before", f.Index)
		}
	}
	x.small(func() {
		for _, f := range rd.Unsubscribe {
			f.QoS = 0
			delete(x.subs, f)
		}
		for _, f := range rd.Subscribe {
			qos := f.QoS
			f.QoS = 0
			x.subs[f] = qos
			if p, ok := w.kept[f]; ok && int(qos) != w.mute {
				x.deliver(f, p)
			}
		}
	})
	if rd.Need != nil {
		x.needs++
		need := wire.Need{Blob: x.blob.Key(), Ranges: rd.Need}
		if _, err := wire.Encode(need); err != nil {
			w.t.Fatalf("need %v: %v", rd.Need, err)
		}
		x.small(func() {
			if w.up && !w.s.chance(w.loss) {
				w.m.Need(w.s.now, fmt.Sprintf("%p", x), need)
				w.drive()
			}
		})
	}
	if rd.Done {
		x.whole()
	}
	if rd.Wake > 0 && (x.wake <= w.s.now || rd.Wake < x.wake) {
		x.wake = rd.Wake
		w.s.after(max(rd.Wake-w.s.now, 0), func() {
			x.wake = 0
			x.p.Tick(w.s.now)
			x.drive()
		})
	}
}

// whole asserts that a pull that is done has the model's bytes.
func (x *pullSite) whole() {
	if key := x.blob.Key(); x.p.key != key {
		x.w.t.Fatalf("done with %v, the manifest says %v", x.p.key, key)
	}
	blob, err := wire.NewBlob(x.data, wire.MinPart)
	if err != nil || blob.ID() != x.blob.ID() {
		x.w.t.Fatalf("model %d is whole, and its bytes are others", x.model)
	}
	if got, want := x.p.Content(), model.ContentOf(x.data); got != want {
		x.w.t.Fatalf("model %d is %v, the puller says %v", x.model, want, got)
	}
	x.done, x.had, x.held = x.model, x.data, x.blob
}

// copy takes from the model before what the puller says is there.
func (x *pullSite) copy(list []Same) {
	for _, s := range list {
		copy(x.data[s.To:s.To+s.N], x.had[s.From:s.From+s.N])
		x.p.Copied(s.To, x.data[s.To:s.To+s.N])
	}
}

func partHashes(b wire.Blob) (list []string) {
	for i := range b.Count() {
		list = append(list, hashOf(b, i))
	}
	return list
}

func (x *pullSite) deliver(f PartFilter, p wire.Part) {
	if x.w.s.chance(x.w.loss) {
		return
	}
	life := x.life
	x.link.send(true, func() {
		if !x.on || x.life != life {
			return
		}
		x.got++
		if p.Data == nil {
			x.p.Spoilt(x.w.s.now, f.Slot, f.Index)
		} else if off, ok := x.p.Part(x.w.s.now, p, f.Slot, f.Index); ok {
			if x.came[p.Index] {
				x.w.t.Fatalf("part %d came twice", p.Index)
			}
			x.came[p.Index] = true
			copy(x.data[off:], p.Data)
		}
		x.drive()
	})
}

// pulled reports whether every site has the last model.
func (w *pullWorld) pulled() bool {
	for _, x := range w.sites {
		if x.done != w.model {
			return false
		}
	}
	return true
}
