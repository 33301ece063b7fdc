package transfer

import (
	"bytes"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// upWorld is an aggregator with a Receiver, sites with a Sender each, and a
// broker between them that loses, doubles and mixes up messages. It keeps its
// own books of what is there, in the plainest way.
type upWorld struct {
	t     fataler
	s     *sim
	r     *Receiver
	up    bool // the aggregator's link
	sites []*upSite
	wake  ms

	staged map[Key]*stage
	said   map[Key]offer // last, to the receiver
	done   map[Key]bool
	gone   map[Key]bool // withdrawn
	loss   int          // messages in a thousand
	double int
	spoil  int
	within ms
	broker pipe // all parts, one after the other

	grants int
	trace  hash.Hash64
}

// stage is the twin of an upload: its parts, by bytes.
type stage struct {
	site  *upSite
	offer offer
	bytes []byte
	parts map[uint32]bool
	said  bool // complete
}

// offer is what a site has at a time.
type offer struct {
	n    byte
	data []byte
	blob wire.Blob
}

type upSite struct {
	w   *upWorld
	key Key
	offer
	sender  *Sender
	link    pipe
	on      bool
	counted bool // before
	life    int
	told    string
	every   ms
	flying  int
	ended   ms
	sent    int // parts, every time
}

func newUpWorld(t fataler, seed uint64, cfg ReceiverConfig) *upWorld {
	s := newSim(seed)
	return &upWorld{
		t: t, s: s, r: NewReceiver(cfg), staged: map[Key]*stage{}, said: map[Key]offer{}, done: map[Key]bool{}, gone: map[Key]bool{},
		broker: pipe{s: s, latency: 5}, trace: fnv.New64a(),
	}
}

// site adds a site whose link needs part for each part.
func (w *upWorld) site(parts int, part, latency ms) *upSite {
	name := fmt.Sprintf("m%d", len(w.sites))
	x := &upSite{
		w: w, key: Key{"t", name}, offer: offer{data: testBytes(name, parts), blob: testBlob(name, parts)},
		link: pipe{s: w.s, part: part, latency: latency},
	}
	x.sender = NewSender(x.blob)
	w.sites = append(w.sites, x)
	return x
}

func (w *upWorld) connect() {
	w.up = true
	w.r.Connected(w.s.now)
	w.drive()
}

func (w *upWorld) disconnect() {
	w.up = false
	w.r.Disconnected(w.s.now)
	w.drive()
}

// drive does what the receiver owes, and looks into its books.
func (w *upWorld) drive() {
	w.t.Helper()
	rd := w.r.Ready()
	fmt.Fprintln(w.trace, w.s.now, rd)
	check(w.t, w.r)
	w.checkBudget(rd)
	for _, k := range rd.Release {
		if w.staged[k] == nil {
			w.t.Fatalf("released %v, which has no place", k)
		}
		delete(w.staged, k)
	}
	for _, p := range rd.Admit {
		w.admit(p)
	}
	if len(w.staged) > w.r.cfg.Uploads {
		w.t.Fatalf("%d places", len(w.staged))
	}
	for _, g := range rd.Grants {
		w.grants++
		w.toSite(w.find(g.Key), func(x *upSite) { x.onGrant(g.Reply) })
	}
	for _, wait := range rd.Waits {
		w.toSite(w.find(wait.Key), func(x *upSite) { x.every = 60_000 })
	}
	for _, whole := range rd.Complete {
		w.complete(whole)
	}
	if rd.Wake > 0 && (w.wake <= w.s.now || rd.Wake < w.wake) {
		w.wake = rd.Wake
		w.s.after(max(rd.Wake-w.s.now, 0), func() {
			w.wake = 0
			w.r.Tick(w.s.now)
			w.drive()
		})
	}
}

// checkBudget asserts that what was granted just now fits the budget, but for
// the one part that each upload may have.
func (w *upWorld) checkBudget(rd RecvReady) {
	more := false
	for _, g := range rd.Grants {
		n := 0
		for _, rg := range g.Reply.Ranges {
			n += int(rg.N)
		}
		more = more || n > 1
	}
	lone := w.r.parts - w.r.bound()
	if lone < 0 || lone > len(w.r.admitted()) {
		w.t.Fatalf("%d parts outstanding, %d of them lone, of %d uploads", w.r.parts, lone, len(w.r.admitted()))
	}
	if bound := w.r.bound(); more && (bound > w.r.budget || bound*testData > budgetBytes) {
		w.t.Fatalf("%d parts outstanding, %d of them lone, budget %d", w.r.parts, lone, w.r.budget)
	}
}

// admit makes a place, and fills it.
func (w *upWorld) admit(p Place) {
	had := w.staged[p.Key]
	if (had != nil) != copied(p.Fill) {
		w.t.Fatalf("admitted %v with a place: %v, filled with %v", p.Key, had != nil, p.Fill)
	}
	st := &stage{site: w.find(p.Key), offer: w.said[p.Key], parts: map[uint32]bool{}}
	st.bytes = bytes.Repeat([]byte{7}, len(st.offer.data)) // of another upload
	for _, s := range p.Fill {
		if s.From == Zeros {
			clear(st.bytes[s.To : s.To+s.N])
		} else {
			copy(st.bytes[s.To:s.To+s.N], had.bytes[s.From:])
		}
		for i := s.To / testData; i*testData < s.To+s.N; i++ {
			st.parts[uint32(i)] = true
		}
	}
	w.staged[p.Key] = st
}

func (w *upWorld) find(k Key) *upSite {
	for _, x := range w.sites {
		if x.key == k {
			return x
		}
	}
	return nil
}

// complete compares what is staged with what the site has, byte for byte.
func (w *upWorld) complete(whole Whole) {
	k := whole.Key
	st := w.staged[k]
	if st == nil || st.said {
		w.t.Fatalf("%v is complete without a place, or twice", k)
	}
	st.said = true
	if !bytes.Equal(st.bytes, st.offer.data) {
		w.t.Fatalf("%v: the %d bytes that are complete are not those that were offered", k, len(st.bytes))
	}
	if want := model.ContentOf(st.bytes); whole.Content != want {
		w.t.Fatalf("%v is complete as %v, and its bytes are %v", k, whole.Content, want)
	}
	w.s.after(w.s.rand.Int64N(200), func() {
		if w.staged[k] != st {
			return
		}
		delete(w.staged, k)
		w.done[k] = true
		w.r.Done(w.s.now, k)
		w.drive()
		w.answer(st.site)
	})
}

// answer tells a site what became of its upload, if that is known.
func (w *upWorld) answer(x *upSite) bool {
	switch {
	case w.done[x.key]:
		w.toSite(x, func(x *upSite) { x.tell("accepted") })
	case w.gone[x.key]:
		w.toSite(x, func(x *upSite) { x.tell("withdrawn") })
	default:
		return false
	}
	return true
}

func (w *upWorld) withdraw(x *upSite) {
	if w.done[x.key] {
		return
	}
	w.gone[x.key] = true
	w.r.Withdraw(w.s.now, x.key)
	w.drive()
	w.answer(x)
}

// toSite sends a small message, which may be lost or doubled.
func (w *upWorld) toSite(x *upSite, do func(*upSite)) {
	life := x.life
	for range w.copies() {
		x.link.send(false, func() {
			if x.on && x.life == life {
				do(x)
			}
		})
	}
}

func (w *upWorld) copies() int {
	switch {
	case !w.up || w.s.chance(w.loss):
		return 0
	case w.s.chance(w.double):
		return 2
	}
	return 1
}

// onPart judges a part as the twin does.
func (w *upWorld) onPart(x *upSite, p wire.Part) {
	if !w.up {
		return
	}
	off, verdict := w.r.Part(w.s.now, x.key, p)
	st := w.staged[x.key]
	want := Unknown
	if st != nil && p.Blob == st.offer.blob.Key() {
		from, data := int(p.Index)*testData, st.offer.data
		switch {
		case st.parts[p.Index]:
			want = Duplicate
		case bytes.Equal(p.Data, data[from:min(from+testData, len(data))]):
			want = Wanted
			st.parts[p.Index] = true
			copy(st.bytes[from:], p.Data)
			if off != from {
				w.t.Fatalf("part %d of %v at %d", p.Index, x.key, off)
			}
		default:
			want = Bad
		}
	}
	if verdict != want {
		w.t.Fatalf("part %d of %v: verdict %d, the twin says %d", p.Index, x.key, verdict, want)
	}
	w.drive()
	if st != nil && len(st.parts) == st.offer.blob.Count() && !st.said {
		w.t.Fatalf("%v has all parts and is not complete", x.key)
	}
}

func (x *upSite) connect() {
	x.on = true
	x.life++
	x.every = 10_000
	x.repeat(x.life)
}

func (x *upSite) disconnect() {
	x.on = false
	x.life++
	x.flying, x.link.free = 0, 0
	x.sender.Disconnected()
}

// repeat offers until something is told.
func (x *upSite) repeat(life int) {
	if !x.on || x.life != life || x.told != "" {
		return
	}
	w := x.w
	o := x.offer
	for range w.copies() {
		x.link.send(false, func() { w.broker.send(false, func() { w.onOffer(x, o) }) })
	}
	w.s.after(x.every, func() { x.repeat(life) })
	x.every = min(2*x.every, 60_000)
}

// retrain makes another update of the same round, that shares parts with the one before.
func (x *upSite) retrain() {
	if x.told != "" {
		return
	}
	x.disconnect()
	x.offer.n++
	x.data, x.blob = partly(x.w.s, x.data, 300)
	x.sender = NewSender(x.blob)
	x.connect()
}

func (w *upWorld) onOffer(x *upSite, o offer) {
	if !w.up || w.answer(x) {
		return
	}
	w.said[x.key] = o
	w.r.Offer(w.s.now, Upload{
		Key: x.key, Round: 1, Attempt: 1, Content: [32]byte{1, o.n}, Blob: o.blob, Within: w.within, Counted: x.counted, Keep: true,
	})
	w.drive()
}

func (x *upSite) tell(what string) {
	if x.told != "" && x.told != what {
		x.w.t.Fatalf("%v is told %s and %s", x.key, x.told, what)
	}
	if x.told == "" {
		x.told, x.ended = what, x.w.s.now
	}
}

func (x *upSite) onGrant(g wire.Grant) {
	for _, r := range g.Ranges {
		for i := r.First; g.Blob == x.blob.Key() && i < r.End(); i++ {
			if p := partOf(x.blob, x.data, i); bytes.Count(p.Data, []byte{0}) == len(p.Data) {
				x.w.t.Fatalf("part %d of %v is zeros, and granted", i, x.key)
			}
		}
	}
	if x.told == "" && x.sender.Grant(x.w.s.now, 1, g) {
		x.every = 60_000
		x.publish()
	}
}

// publish sends what the sender owes; each part is acknowledged, also when the
// broker drops it then.
func (x *upSite) publish() {
	w, life := x.w, x.life
	for _, i := range x.sender.Ready() {
		x.flying++
		x.sent++
		if x.flying > inFlight {
			w.t.Fatalf("%v has %d parts in flight", x.key, x.flying)
		}
		x.link.send(true, func() {
			if x.life != life {
				return
			}
			for range w.copies() {
				p := partOf(x.blob, x.data, i)
				if w.s.chance(w.spoil) {
					p.Data = bytes.Clone(p.Data)
					p.Data[w.s.rand.IntN(len(p.Data))] ^= 1
				}
				w.broker.send(true, func() { w.onPart(x, p) })
			}
			x.link.send(false, func() {
				if x.life != life {
					return
				}
				x.flying--
				x.sender.Sent(w.s.now, i, true)
				x.publish()
			})
		})
	}
}

// told reports whether every site was told something.
func (w *upWorld) told() bool {
	for _, x := range w.sites {
		if x.told == "" {
			return false
		}
	}
	return true
}

// atRest asserts that nothing is left.
func (w *upWorld) atRest() {
	w.t.Helper()
	if parts := w.r.parts; parts != 0 || len(w.r.list) != 0 || len(w.staged) != 0 || w.r.Ready().Wake != 0 {
		w.t.Fatalf("at the end %d parts outstanding, %d uploads, %d places, wake at %d", parts, len(w.r.list), len(w.staged), w.r.Ready().Wake)
	}
}
