package transfer

import (
	"slices"

	"github.com/fedmq/fedmq/wire"
)

// Defaults and bounds of a receiver (TR-20 to TR-25).
const (
	defaultUploads = 64
	defaultOffers  = 4_096
	waitBytes      = 16 << 20 // hashes of all offers that wait

	budgetFirst = 64
	budgetMost  = 256
	budgetBytes = 32 << 20
)

// ReceiverConfig is what a receiver is told once.
type ReceiverConfig struct {
	Uploads int // admitted at once; default 64
	Offers  int // known at once, admitted or waiting; default 4,096
}

// Receiver grants and proves the parts of all uploads of one link (TR-20 and
// up). It starts disconnected.
type Receiver struct {
	cfg       ReceiverConfig
	now       ms
	connected bool

	byKey   map[Key]*upload // looked up only, never ranged over
	list    []*upload       // in order of their offers; the first cfg.Uploads are admitted
	waiting int             // bytes of hashes of those that are not
	paces   []float64       // of the uploads that came complete last
	down    ms              // since when there is no link

	seq    uint64
	budget int // parts
	parts  int // outstanding
	bytes  int // outstanding
	halved ms  // when the budget last was
	busy   ms  // since when something is outstanding, or a part came
	gap    ms  // between two parts of the link, smoothed
	turns  turns

	ready RecvReady
}

// PartVerdict says what a part is worth.
type PartVerdict uint8

// The verdicts. Only a Wanted part is to be kept.
const (
	Unknown   PartVerdict = iota // of no admitted upload
	Wanted                       // proven and new
	Duplicate                    // of a part that is there
	Bad                          // not the part that the offer described
)

// RecvReady is what a Receiver owes, in the order of the fields.
type RecvReady struct {
	Release  []Key   // drop the staging place
	Admit    []Place // make a staging place
	Grants   []Grant
	Waits    []Wait
	Complete []Whole // every part is there; said once, then Done or Withdraw
	Wake     int64   // when the next Tick is wanted, 0 for never
}

// NewReceiver returns a receiver without uploads.
func NewReceiver(cfg ReceiverConfig) *Receiver {
	if cfg.Uploads <= 0 {
		cfg.Uploads = defaultUploads
	}
	if cfg.Offers <= 0 {
		cfg.Offers = defaultOffers
	}
	return &Receiver{cfg: cfg, byKey: make(map[Key]*upload), budget: budgetFirst, halved: -1, turns: turns{n: turnsMost, fewer: true, rests: looksFirst}}
}

// Offer takes a member's offer, first or again (TR-20, TR-21, TR-28).
func (r *Receiver) Offer(now int64, o Upload) {
	r.time(now)
	defer r.settle()
	if old := r.byKey[o.Key]; old != nil {
		if old.Content == o.Content && old.Blob.Equal(o.Blob) {
			r.repeat(old, o)
			return
		}
	}
	u := &upload{Upload: o, blob: o.Blob.Key(), count: uint32(o.Blob.Count())} // at most topics.MaxParts
	if old := r.byKey[o.Key]; old != nil {
		u.slow = old.slow
		if _, untold := r.untold(o.Key); !untold && len(r.list) <= r.cfg.Uploads {
			u.serve(old)
		}
		r.remove(old, !copied(u.fill))
	}
	if o.Counted {
		r.push(u)
	}
	switch {
	case u.count == 0:
		return
	case len(r.list) >= r.cfg.Uploads && (len(r.list) >= r.cfg.Offers || r.waiting+len(o.Blob.Hashes) > waitBytes):
		r.wait(u, len(r.list)) // not kept: its sender repeats it
		return
	}
	r.byKey[o.Key] = u
	if len(r.list) >= r.cfg.Uploads {
		r.waiting += len(o.Blob.Hashes)
		r.wait(u, r.queue(u))
		return
	}
	r.list = append(r.list, u)
	r.admit(u)
}

// repeat takes an offer that is known: its sender may have lost its grants.
func (r *Receiver) repeat(u *upload, o Upload) {
	u.Round, u.Attempt = o.Round, o.Attempt
	if !u.place {
		r.wait(u, slices.Index(r.list, u))
		return
	}
	if u.left > 0 {
		u.recall = max(r.now, u.granted+recallMin)
	}
}

func (r *Receiver) wait(u *upload, ahead int) {
	r.ready.Waits = append(r.ready.Waits, Wait{u.Key, wire.Wait{
		Round: u.Round, Attempt: u.Attempt, Content: u.Content, Ahead: uint32(ahead), // at most cfg.Offers
	}})
}

func (r *Receiver) admit(u *upload) {
	r.ready.Admit = append(r.ready.Admit, Place{u.Key, u.admit(r.now)})
	if u.left == 0 {
		r.complete(u)
	}
}

// Withdraw forgets an upload that is not wanted any more, and releases its
// place.
func (r *Receiver) Withdraw(now int64, key Key) { r.forget(now, key, true) }

// Done forgets an upload whose place the driver has taken over.
func (r *Receiver) Done(now int64, key Key) { r.forget(now, key, false) }

func (r *Receiver) forget(now ms, key Key, release bool) {
	r.time(now)
	if u := r.byKey[key]; u != nil {
		r.remove(u, release)
	}
	r.settle()
}

// remove forgets an upload and what is owed to it; the longest waiting one
// gets its place.
func (r *Receiver) remove(u *upload, release bool) {
	r.untell(u, release)
	r.takeBack(u, u.drop())
	delete(r.byKey, u.Key)
	at := slices.Index(r.list, u)
	r.list = slices.Delete(r.list, at, at+1)
	if !u.place {
		r.waiting -= len(u.Blob.Hashes)
		return
	}
	r.admitNext()
}

// untell takes out of Ready what is owed to an upload that goes, and owes the
// release of a place that the driver knows of.
func (r *Receiver) untell(u *upload, release bool) {
	place, told := r.untold(u.Key)
	told = !told || copied(place.Fill)
	r.ready.Admit = slices.DeleteFunc(r.ready.Admit, func(p Place) bool { return p.Key == u.Key })
	r.ready.Complete = slices.DeleteFunc(r.ready.Complete, func(w Whole) bool { return w.Key == u.Key })
	r.ready.Grants = slices.DeleteFunc(r.ready.Grants, func(g Grant) bool { return g.Key == u.Key })
	r.ready.Waits = slices.DeleteFunc(r.ready.Waits, func(w Wait) bool { return w.Key == u.Key })
	if release && u.place && told {
		r.ready.Release = append(r.ready.Release, u.Key)
	}
}

// untold is a place that the driver has not heard of yet.
func (r *Receiver) untold(k Key) (p Place, ok bool) {
	i := slices.IndexFunc(r.ready.Admit, func(p Place) bool { return p.Key == k })
	if i < 0 {
		return p, false
	}
	return r.ready.Admit[i], true
}

// admitNext gives a place that got free to the longest waiting upload.
func (r *Receiver) admitNext() {
	if len(r.list) < r.cfg.Uploads || r.list[r.cfg.Uploads-1].place {
		return
	}
	next := r.list[r.cfg.Uploads-1]
	r.waiting -= len(next.Blob.Hashes)
	r.admit(next)
}

// giveUp takes the place of an upload for one that waits. It waits from now on,
// behind the others of its rank.
func (r *Receiver) giveUp(u *upload) {
	r.untell(u, true)
	r.takeBack(u, u.drop())
	u.wait()
	at := slices.Index(r.list, u)
	r.list = slices.Delete(r.list, at, at+1)
	r.queue(u)
	r.waiting += len(u.Blob.Hashes)
	r.admitNext()
}

// takeBack returns credit of an upload.
func (r *Receiver) takeBack(u *upload, parts int) {
	r.parts -= parts
	r.bytes -= parts * int(u.Blob.Data)
}

// Part takes a part that arrived from a member. If it is Wanted, the caller
// keeps its data at off of the blob. A part need not be granted to count: it
// may come after its grant has expired (TR-30).
func (r *Receiver) Part(now int64, key Key, p wire.Part) (off int, verdict PartVerdict) {
	r.time(now)
	u := r.byKey[key]
	_, untold := r.untold(key)
	switch {
	case u == nil || !u.place || p.Blob != u.blob || p.Count != u.count || p.Index >= u.count:
		return 0, Unknown
	case untold:
		return 0, Unknown // late, and the caller has not heard that there is a place for it again
	case u.have.has(p.Index):
		r.beat()
		return 0, Duplicate
	}
	if off, verdict = u.prove(p); verdict != Wanted {
		return 0, verdict
	}
	r.beat()
	u.have.add(p.Index)
	u.left--
	if u.owed.has(p.Index) {
		r.takeBack(u, 1)
		if u.came(r.now, p.Index) && (u.took > grantFast || r.budget < budgetFirst) {
			r.budget = min(r.budget+1, budgetMost)
		}
	} else {
		u.again.del(p.Index)
	}
	if u.left == 0 {
		u.recall = 0
		r.paced(u)
		r.complete(u)
	}
	r.settle()
	return off, Wanted
}

// prove holds a part against its hash in the offer, and keeps the hashes of its leaves.
func (u *upload) prove(p wire.Part) (off int, verdict PartVerdict) {
	off, n := u.Blob.Span(int(p.Index))
	if n != len(p.Data) || !u.Blob.Has(int(p.Index), u.proof.put(off, p.Data).Part()) {
		return 0, Bad
	}
	return off, Wanted
}

// complete tells an upload of which every part is there.
func (r *Receiver) complete(u *upload) {
	r.ready.Complete = append(r.ready.Complete, Whole{u.Key, u.proof.content(u.Blob.Length)})
}

// beat notes that a part came over the link: how long that takes, whosever it is,
// says how long those behind it may take (TR-26).
func (r *Receiver) beat() {
	if took := min(r.now-r.busy, gapMost); r.parts > 0 {
		if r.gap == 0 {
			r.gap = took
		}
		r.gap += (took - r.gap) / 8
	}
	r.busy = r.now
	r.turns.came(r.now)
}

// backlog is how long what is outstanding may need to cross the link.
func (r *Receiver) backlog() ms { return 2 * r.gap * ms(r.parts) }

// Connected says that the link is up and its subscriptions are granted.
func (r *Receiver) Connected(now int64) {
	r.time(now)
	if !r.connected {
		for _, u := range r.admitted() {
			u.since += r.now - max(r.down, u.since)
		}
	}
	r.connected = true
	r.settle()
}

// Disconnected says that the link is down: all grants expire (TR-29).
func (r *Receiver) Disconnected(now int64) {
	r.time(now)
	if r.connected {
		r.down = r.now
	}
	r.connected = false
	for _, u := range r.admitted() {
		u.resume(r.now)
		r.takeBack(u, u.drop())
		u.begin(r.now)
	}
	r.ready.Grants = nil
}

// Tick passes the time.
func (r *Receiver) Tick(now int64) {
	r.time(now)
	r.settle()
}

func (r *Receiver) admitted() []*upload { return r.list[:min(len(r.list), r.cfg.Uploads)] }

// settle takes back what has expired and grants what there is room for, oldest
// offer first, and uploads over fast lines a few at a time.
func (r *Receiver) settle() {
	if !r.connected {
		return
	}
	for i := 0; i < len(r.admitted()); i++ {
		u := r.list[i]
		if r.expire(u); u.expired >= patienceOf && len(r.list) > r.cfg.Uploads {
			u.slow = true
			r.giveUp(u)
			i--
		}
	}
	r.makeRoom()
	bound := r.bound()
	r.turns.begin(r.now, r.admitted())
	for _, u := range r.admitted() {
		if u.fast() && r.turns.over() && u.canWait(r.now) {
			u.pause(r.now)
			continue
		}
		u.share = r.turns.share(u, r.budget)
		if n := u.wants(r.room(u, bound)); n > 0 {
			bound -= u.bound()
			r.grant(u, n)
			bound += u.bound()
		}
		if u.left > u.nOwed && u.quick(r.now) {
			bound += u.todo() // kept for it
			r.turns.served++
		}
	}
}

// expire takes back what does not come any more. A part that was lost, and not
// the only one of its upload, halves the budget, once for all that was granted
// before (TR-25).
func (r *Receiver) expire(u *upload) {
	if u.recall > 0 && r.now >= u.recall {
		r.takeBack(u, u.drop())
		u.begin(r.now)
	}
	parts, granted := u.expire(r.now, r.backlog())
	r.takeBack(u, parts)
	if granted > r.halved {
		r.budget, r.halved = max(r.budget/2, 1), r.now
	}
}

// bound is how many of the parts outstanding are under the budget.
func (r *Receiver) bound() (n int) {
	for _, u := range r.admitted() {
		n += u.bound()
	}
	return n
}

// room is how many parts of an upload the budget has left, of which so many are taken.
func (r *Receiver) room(u *upload, bound int) int {
	return max(0, min(r.budget-bound, (budgetBytes-r.bytes)/int(u.Blob.Data)))
}

func (r *Receiver) grant(u *upload, n int) {
	if r.parts == 0 {
		r.busy = r.now
	}
	u.resume(r.now)
	ranges := u.grant(r.now, n)
	r.seq++
	r.parts += n
	r.bytes += n * int(u.Blob.Data)
	r.ready.Grants = append(r.ready.Grants, Grant{u.Key, wire.Grant{
		Round: u.Round, Attempt: u.Attempt, Seq: r.seq, Blob: u.blob, Ranges: ranges,
	}})
}

// Ready returns what is owed since the last call.
func (r *Receiver) Ready() RecvReady {
	rd := r.ready
	r.ready = RecvReady{}
	if !r.connected {
		return rd
	}
	for _, u := range r.admitted() {
		if at := u.wake(r.backlog()); at > 0 && (rd.Wake == 0 || at < rd.Wake) {
			rd.Wake = at
		}
	}
	if at := r.looks(); at > 0 && (rd.Wake == 0 || at < rd.Wake) {
		rd.Wake = at
	}
	return rd
}

func (r *Receiver) time(now ms) { r.now = max(r.now, now) }
