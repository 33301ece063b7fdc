package transfer

import (
	"bytes"
	"fmt"
	"hash"
	"hash/fnv"

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
	parts map[uint32][]byte
	said  bool // complete
}

type upSite struct {
	w       *upWorld
	key     Key
	data    []byte
	blob    wire.Blob
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
		t: t, s: s, r: NewReceiver(cfg), staged: map[Key]*stage{}, done: map[Key]bool{}, gone: map[Key]bool{},
		broker: pipe{s: s, latency: 5}, trace: fnv.New64a(),
	}
}

// site adds a site whose link needs part for each part.
func (w *upWorld) site(parts int, part, latency ms) *upSite {
	name := fmt.Sprintf("m%d", len(w.sites))
	x := &upSite{
		w: w, key: Key{"t", name}, data: testBytes(name, parts), blob: testBlob(name, parts),
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
	for _, k := range rd.Admit {
		if w.staged[k] != nil {
			w.t.Fatalf("admitted %v twice", k)
		}
		w.staged[k] = &stage{site: w.find(k), parts: map[uint32][]byte{}}
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
	for _, k := range rd.Complete {
		w.complete(k)
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
	lone, more := 0, false
	for _, g := range rd.Grants {
		n := 0
		for _, rg := range g.Reply.Ranges {
			n += int(rg.N)
		}
		if n == 1 && w.r.byKey[g.Key].nOwed == 1 {
			lone++
		} else {
			more = true
		}
	}
	if parts, budget := w.r.Load(); more && parts-lone > budget || more && (parts-lone)*testData > budgetBytes {
		w.t.Fatalf("%d parts outstanding, %d of them lone, budget %d", parts, lone, budget)
	}
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
func (w *upWorld) complete(k Key) {
	st := w.staged[k]
	if st == nil || st.said {
		w.t.Fatalf("%v is complete without a place, or twice", k)
	}
	st.said = true
	var whole []byte
	for i := range uint32(len(st.parts)) {
		whole = append(whole, st.parts[i]...)
	}
	if !bytes.Equal(whole, st.site.data) {
		w.t.Fatalf("%v: %d bytes are complete, they are not the %d that were offered", k, len(whole), len(st.site.data))
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
	if st != nil {
		from := int(p.Index) * testData
		switch {
		case st.parts[p.Index] != nil:
			want = Duplicate
		case bytes.Equal(p.Data, x.data[from:min(from+testData, len(x.data))]):
			want = Wanted
			st.parts[p.Index] = p.Data
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
	if st != nil && len(st.parts) == x.blob.Count() && !st.said {
		w.t.Fatalf("%v has all parts and is not complete", x.key)
	}
}

func (x *upSite) connect() {
	x.on = true
	x.life++
	x.every = 10_000
	x.offer(x.life)
}

func (x *upSite) disconnect() {
	x.on = false
	x.life++
	x.flying, x.link.free = 0, 0
	x.sender.Disconnected()
}

// offer is repeated until something is told.
func (x *upSite) offer(life int) {
	if !x.on || x.life != life || x.told != "" {
		return
	}
	w := x.w
	for range w.copies() {
		x.link.send(false, func() { w.broker.send(false, func() { w.onOffer(x) }) })
	}
	w.s.after(x.every, func() { x.offer(life) })
	x.every = min(2*x.every, 60_000)
}

func (w *upWorld) onOffer(x *upSite) {
	if !w.up || w.answer(x) {
		return
	}
	w.r.Offer(w.s.now, Upload{Key: x.key, Round: 1, Attempt: 1, Content: [32]byte{1}, Blob: x.blob, Within: w.within, Counted: x.counted})
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
	if parts, _ := w.r.Load(); parts != 0 || len(w.r.list) != 0 || len(w.staged) != 0 || w.r.Ready().Wake != 0 {
		w.t.Fatalf("at the end %d parts outstanding, %d uploads, %d places, wake at %d", parts, len(w.r.list), len(w.staged), w.r.Ready().Wake)
	}
}
