package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// site is a member's machine with its driver, in package site's order of
// effects.
type site struct {
	w     *World
	i     int
	path  string
	plan  SitePlan
	rng   *rand.Rand
	disk  *siteDisk
	lives uint64
	made  uint64 // results, for trainers that never give the same twice
	over  bool   // superseded: it does not start again

	// of the process
	p          *process
	conn       *client
	m          *member.Machine
	inst       wire.Nonce
	latest     *modelMsg
	job        *member.Job // the trainer has it
	jobGone    bool
	unreadable bool // an entry is
	lost       bool // its base could not be read
	queue      *member.Job
	result     []byte
	trainedOn  model.Hash // what it was made from
	sending    map[uint64]bool
	pull       pull
	up         *upload
	joined     message
}

// schema is the one schema there is.
var schema = model.Hash{1}

func (w *World) newSite(i int, plan SitePlan) *site {
	return &site{
		w: w, i: i, path: plan.Path, plan: plan, disk: newSiteDisk(),
		rng: rand.New(rand.NewPCG(w.plan.Seed, uint64(i)+100)), // #nosec G115 G404 -- a simulation
	}
}

// start begins a life of the site.
func (s *site) start() {
	if s.over || s.p != nil && !s.p.dead {
		return
	}
	s.lives++
	s.w.note(noteStart, s.i, s.lives, 0, 0)
	s.p = &process{w: s.w, node: s.i, wake: s.tick, died: s.died}
	binary.LittleEndian.PutUint64(s.inst[:], s.rng.Uint64()|1)
	s.latest, s.job, s.queue, s.result, s.up = nil, nil, nil, nil, nil
	s.sending = map[uint64]bool{}
	s.pull = pull{puller: transfer.NewPuller()}
	s.p.enter(func() {
		cfg := member.Config{Path: s.path, Instance: s.inst, Statistics: !s.plan.NoStatistics, Rand: s.rng}
		d := s.disk
		had := d.has
		if _, ok := d.blobs[had.Content]; !ok {
			had = member.Stored{}
		}
		var box []member.Entry
		for _, r := range sortedRounds(d.entries) {
			box = append(box, d.entries[r])
		}
		s.m = member.New(cfg, d.state, box, had)
		s.conn = s.w.newClient(s.p, s.got, s.link)
		s.step(member.Tick{})
	})
}

// died tidies up after a process.
func (s *site) died() {
	s.conn.close()
	if s.p.loss {
		s.disk.blobs.powerLoss(s.w)
	}
	s.w.at(s.w.between(500, s.w.plan.DownMost), s.start)
}

func (s *site) now() ms { return epoch + s.w.now }

// epoch is when virtual time begins, so that no time is 0.
const epoch ms = 1_000_000

func (s *site) tick() {
	now := s.now()
	s.step(member.Tick{})
	if s.pull.wake > 0 && now >= s.pull.wake {
		s.pull.puller.Tick(now)
		s.pullOn()
	}
}

// step gives the machine an event and does what it owes, until it owes nothing.
func (s *site) step(ev member.Event) {
	for ev != nil && s.w.fail == nil {
		s.m.Step(s.now(), ev)
		r := s.m.Ready()
		ev = s.do(r)
		s.stopUpload()
		if lost := s.uploadOn(); ev == nil {
			ev = lost
		}
	}
}

// do works one Ready off, in its order.
func (s *site) do(r member.Ready) (next member.Event) {
	if r.Save != nil || len(r.Drop) > 0 {
		s.save(r.Save, r.Drop)
	}
	if r.Cancel != 0 {
		s.cancel(r.Cancel)
	}
	if r.Seal != nil {
		next = s.seal(*r.Seal)
	}
	if r.Reseal != nil {
		next = s.reseal(*r.Reseal)
	}
	if r.Pull != nil {
		s.pull.want = *r.Pull
		s.aim()
	}
	for _, g := range r.Grants {
		s.onGrant(g)
	}
	for _, m := range r.Send {
		s.send(m)
	}
	for _, a := range r.Ask {
		s.conn.resubscribe(s.asked(a))
	}
	if r.Start != nil {
		s.queue = r.Start
		s.feed()
	}
	if r.Wake > 0 {
		s.p.wakeBy(r.Wake - epoch)
	}
	if r.Wait != nil {
		s.w.violate("S-20", "site %d waits, and there is no other process", s.i)
	}
	if r.Stop != "" {
		s.over = true
		s.p.kill()
	}
	return next
}

func (s *site) asked(a member.Ask) topic {
	switch a {
	case member.AskOrder:
		return topic{kind: onOrder}
	case member.AskRecord:
		return topic{kind: onRecord}
	case member.AskModel:
		return topic{kind: onModel}
	case member.AskReply:
	}
	return topic{kind: onReply, a: int32(s.i)} // #nosec G115 -- few sites
}

func (s *site) save(st *member.State, drop []uint64) {
	d := s.disk
	var gone []model.Hash
	d.tx(s.p, func() {
		for _, r := range drop {
			if e, ok := d.entries[r]; ok {
				s.w.check.dropped(s, e)
				if e.Blob != (wire.BlobKey{}) {
					gone = append(gone, e.Content)
				}
			}
			s.w.note(noteDrop, s.i, r, 0, 0)
			delete(d.entries, r)
			delete(d.envelopes, r)
		}
		if st != nil {
			s.w.check.saves(s, *st)
			d.state = *st
		}
	})
	for _, id := range gone {
		d.release(id)
	}
}

func (s *site) send(m member.Send) {
	switch m := m.(type) {
	case member.SendJoin:
		j := &joinMsg{samples: s.plan.Samples, counter: m.Counter, seen: m.Seen}
		copy(j.instance[:], s.inst[:])
		copy(j.disk[:], s.path)
		binary.LittleEndian.PutUint64(j.digest[:], s.rng.Uint64())
		s.joined = message{topic: topic{kind: onJoin, a: int32(s.i)}, body: j} // #nosec G115 -- few sites
		s.conn.post(s.joined)
	case member.SendAgain:
		s.conn.post(s.joined)
	case member.SendDecline:
		s.conn.post(message{topic: topic{kind: onUpdate, a: int32(s.i)}, body: &updateMsg{ // #nosec G115 -- few sites
			round: m.Stamp.Round, attempt: m.Stamp.Attempt, base: m.Base, decline: m.Reason,
		}})
	case member.SendEntry:
		if s.sending[m.Round] {
			return
		}
		u := s.disk.envelopes[m.Round]
		if u == nil {
			s.w.violate("S-11", "site %d sends an entry of round %d that is not in its outbox", s.i, m.Round)
			return
		}
		s.sending[m.Round] = true
		s.conn.within(120_000, message{topic: topic{kind: onUpdate, a: int32(s.i)}, body: u}, func(bool) { // #nosec G115 -- few sites
			delete(s.sending, m.Round)
		})
	}
}

// link follows the connection.
func (s *site) link(up bool) {
	if up {
		s.pull.puller.Connected(s.now())
		s.pullOn()
		s.step(member.Connected{})
		return
	}
	if s.up != nil {
		s.up.lives++
		s.up.sender.Disconnected()
	}
	s.pull.puller.Disconnected(s.now())
	s.pullOn()
	s.step(member.Disconnected{})
}

// got takes what arrived.
func (s *site) got(m message) {
	switch b := m.body.(type) {
	case *orderMsg:
		s.onOrder(b)
	case *modelMsg:
		s.onModel(b)
	case *headMsg:
		s.w.check.shown(s, b)
		s.step(member.Recorded{Round: b.round, Verdict: b.verdict, Counted: func(i uint32) bool { return b.counted[i] }})
	case *replyMsg:
		s.w.check.heard(s, b)
		s.step(member.Replied{Epoch: b.epoch, Reply: b.reply})
	case *partMsg:
		s.onPart(m.topic, b.Part)
	}
}

func (s *site) onOrder(b *orderMsg) {
	s.w.check.given(s, b)
	o := member.Order{
		Stamp: b.Stamp, Order: b.Order.Order, Base: b.Base, Schema: schema, Hash: model.Hash(b.hash), Origin: wire.Nonce{1},
	}
	o.PartSize = uint32(b.partSize) // #nosec G115 -- of the plan
	if o.Compare(s.m.Seen()) >= 0 {
		s.keep(o.Base)
	}
	s.step(member.Ordered{Order: o})
}

func (s *site) onModel(b *modelMsg) {
	is := member.Stored{Content: b.content, Schema: schema}
	if is == s.m.Have() || s.latest != nil && s.latest.content == b.content {
		return
	}
	if b.bytes == nil {
		s.onManifest(b)
		return
	}
	s.latest = b
	if base, ok := s.m.Base(); ok {
		s.keep(base)
	}
}

// keep stores the model that has arrived if it is the base of an order.
func (s *site) keep(base model.Hash) {
	l := s.latest
	if l == nil || l.content != base {
		return
	}
	s.latest = nil
	s.keepModel(l.content, l.bytes)
	s.step(member.ModelStored{Model: member.Stored{Content: l.content, Schema: schema}})
}

// keepModel writes a model unsynced and makes it the task's.
func (s *site) keepModel(id model.Hash, b []byte) {
	d := s.disk
	d.blobs.put(s.p, id, b, false)
	old := d.has.Content
	d.tx(s.p, func() { d.has = member.Stored{Content: id, Schema: schema} })
	if old != id {
		d.release(old)
	}
}

func sortedRounds[V any](m map[uint64]V) []uint64 {
	list := make([]uint64, 0, len(m))
	for r := range m {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}
