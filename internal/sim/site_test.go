package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// site is the machine of a member with a driver of disk, network and trainer, in
// package site's order of effects.
type site struct {
	w      *World
	i      int
	path   string
	plan   SitePlan
	rng    *rand.Rand
	disk   *siteDisk
	lives  uint64
	made   uint64 // results, for trainers that never give the same twice
	timers int    // for what is not durable
	over   bool   // superseded: it does not start again
	empty  uint64 // how often its data directory was lost
	waits  int    // in a row
	waitTo ms
	lossy  bool // a power loss has taken what was not synced

	// of the process
	p          *process
	conn       *client
	m          *member.Machine
	events     []member.Event
	inst       wire.Nonce
	shut       bool      // outside of the hours of parts
	latest     *modelMsg // that came whole
	held       *modelMsg // at hand, in memory
	file       []byte    // of the model that is received
	job        *member.Job
	jobGone    bool
	unreadable bool // an entry is
	unsaved    unsaved
	lost       bool // the base of the job could not be read
	queue      *member.Job
	result     []byte
	trainedOn  model.Hash // what it was made from
	joined     message
}

// schema is the one schema there is.
var schema = model.Hash{1}

func (w *World) newSite(i int, plan SitePlan) *site {
	return &site{
		w: w, i: i, path: plan.Path, plan: plan, disk: newSiteDisk(),
		rng: rand.New(rand.NewPCG(w.plan.Seed, uint64(i)+100)), // a simulation
	}
}

// start begins a life of the site.
func (s *site) start() {
	if s.over || s.p != nil && !s.p.dead {
		return
	}
	if s.w.now < s.waitTo { // this start, or an earlier one, is of a process that waits
		s.w.at(s.waitTo-s.w.now, s.start)
		return
	}
	s.lives++
	s.w.note(noteStart, s.i, s.lives, 0, 0)
	s.w.check.starts(s)
	s.p = &process{w: s.w, node: s.i, wake: func() { s.step(member.Tick{}) }, died: s.died}
	binary.LittleEndian.PutUint64(s.inst[:], s.rng.Uint64()|1)
	s.latest, s.job, s.queue, s.result, s.file, s.events, s.shut = nil, nil, nil, nil, nil, nil, false
	s.held, s.unsaved = nil, unsaved{}
	s.p.enter(func() {
		cfg := member.Config{
			Path: s.path, Instance: s.inst, Statistics: !s.plan.NoStatistics, Line: member.NewLine(s.plan.Bandwidth), Rand: s.rng,
		}
		if j := s.disk.jotted; j != nil {
			s.unsaved = *j
			s.flush()
		}
		have, cut := s.disk.model()
		s.m = member.New(cfg, s.disk.state, s.disk.outbox(), have, cut)
		s.conn = s.w.newClient(s.p, s.got, s.link)
		inst := s.inst
		s.conn.will = func(n uint64) message { return s.presence(inst, n, false) }
		s.hours(s.p)
		s.step(member.Tick{})
	})
}

// died tidies up after a process.
func (s *site) died() {
	s.conn.close()
	if s.p.loss {
		s.lossy = true
		s.disk.blobs.powerLoss(s.w)
		if s.disk.jotted != nil && s.w.rng.IntN(3) > 0 {
			s.disk.jotted = nil
			s.w.check.restored(s)
		}
	}
	s.w.at(s.w.between(500, s.w.plan.DownMost), s.start)
}

func (s *site) now() ms { return epoch + s.w.now }

// epoch is when virtual time begins, so that no time is 0.
const epoch ms = 1_000_000

// hours follows the hours of parts in a life of the site; when all is to become
// well they stay open.
func (s *site) hours(p *process) {
	if s.plan.Shut == 0 || s.p != p {
		return
	}
	at := s.w.now % (s.plan.Open + s.plan.Shut)
	shut, next := at >= s.plan.Open && !s.w.quiet, s.plan.Open-at
	if at >= s.plan.Open {
		next += s.plan.Shut
	}
	if shut != s.shut {
		s.shut = shut
		s.step(member.HoursChanged{Open: !shut})
	}
	if !s.w.quiet {
		s.w.at(next, func() { p.enter(func() { s.hours(p) }) })
	}
}

// step gives the machine an event and does what it owes, until it owes nothing.
func (s *site) step(ev member.Event) {
	s.events = append(s.events, ev)
	for len(s.events) > 0 && s.w.fail == nil && !s.p.dead {
		ev := s.events[0]
		s.events = s.events[1:]
		s.m.Step(s.now(), ev)
		s.do(s.m.Ready())
		s.feed()
	}
}

// answer is what came of something that a Ready asked for.
func (s *site) answer(ev member.Event) { s.events = append(s.events, ev) }

// do works one Ready off, in its order.
func (s *site) do(r member.Ready) {
	s.later(r.Save, r.Drop)
	if says(r.Send) {
		s.flush()
	}
	if r.Store != nil {
		s.keepModel(r.Store.Content, s.latest.bytes, wire.Blob{})
		s.latest = nil
	}
	if r.Cancel != 0 {
		s.cancel(r.Cancel)
	}
	if r.Seal != nil {
		s.seal(*r.Seal)
	}
	if r.Reseal != nil {
		s.reseal(*r.Reseal)
	}
	s.receive(r)
	for _, m := range r.Send {
		s.send(m)
	}
	for _, a := range r.Ask {
		s.conn.resubscribe(s.asked(a))
	}
	if r.Start != nil {
		s.queue = r.Start
	}
	if r.Wake > 0 {
		s.p.wakeBy(r.Wake - epoch)
	}
	for _, f := range r.Settled {
		s.w.check.settles(s, f)
	}
	if r.Wait != nil {
		s.standBy(r.Wait)
	}
	if r.Stop != "" {
		s.over = true
		s.p.kill()
	}
}

// standBy ends the process for a while: one on another disk may speak for the member
// (S-20). There is none but the one before, whose disk is lost.
func (s *site) standBy(by *member.Wait) {
	if s.empty == 0 {
		s.w.violate("S-20", "site %d waits, and there is no other process", s.i)
		return
	}
	wait := by.For // what the aggregator says
	if s.waits++; s.waits > 1 {
		wait = max(wait, 90_000)
	}
	s.waitTo = s.w.now + wait
	s.p.kill()
}

// receive takes in what came of a model in parts, and asks for more.
func (s *site) receive(r member.Ready) {
	for _, p := range r.Write {
		copy(s.file[p.Off:], p.Data)
	}
	if r.Discard {
		s.file = nil
	}
	if r.Receive > 0 {
		s.file = make([]byte, r.Receive)
	}
	if r.Copy != nil {
		s.copySame(*r.Copy)
	}
	if r.Assemble != nil {
		s.assemble(r.Assemble)
	}
	for _, f := range r.Unsubscribe {
		if !s.w.bugs.KeepSubscribed {
			s.conn.unsubscribe(partTopic(f.Slot, f.Index))
		}
	}
	for _, f := range r.Subscribe {
		s.w.check.asks(s)
		s.conn.subscribe(partTopic(f.Slot, f.Index))
	}
}

// copySame takes what is the same from the model at hand, as it lies on the disk.
func (s *site) copySame(c member.Copy) {
	had := s.disk.blobs[c.Of].b
	for _, p := range c.Same {
		if p.From+p.N <= len(had) {
			copy(s.file[p.To:p.To+p.N], had[p.From:])
		}
	}
}

func partTopic(slot, index uint32) topic {
	return topic{kind: onModelPart, a: int32(slot), b: int32(index)} // a few
}

// assemble makes the task's model of the parts.
func (s *site) assemble(a *member.Assemble) {
	b, id := s.file, a.Is.Content
	s.file = nil
	if sha256.Sum256(b) != id {
		if _, err := s.disk.blobs.get(s.disk.has.Content); a.Copied == 0 || err == nil {
			s.w.violate("I7", "site %d: the parts of %x are another content", s.i, id[:4])
		}
		s.answer(member.ModelBroken{})
		return
	}
	s.keepModel(id, b, a.Blob)
	s.answer(member.ModelStored{Model: member.Stored{Content: id, Schema: schema}})
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
	return s.own(onReply)
}

// own is a topic of this member.
func (s *site) own(k topicKind) topic { return topic{kind: k, a: int32(s.i)} } // few sites

func (s *site) send(m member.Send) {
	switch m := m.(type) {
	case member.SendJoin:
		j := &joinMsg{samples: s.plan.Samples, counter: m.Counter, seen: m.Seen}
		copy(j.instance[:], s.inst[:])
		copy(j.disk[:], s.path)
		j.disk[len(j.disk)-1] = byte(s.empty) // few
		binary.LittleEndian.PutUint64(j.digest[:], s.rng.Uint64())
		s.joined = message{topic: s.own(onJoin), body: j}
		s.conn.post(s.joined)
	case member.SendAgain:
		s.conn.post(s.joined)
	case member.SendNeed:
		s.conn.post(message{topic: s.own(onNeed), body: &needMsg{m.Need}})
	case member.SendDecline:
		s.conn.post(message{topic: s.own(onUpdate), body: &updateMsg{
			round: m.Stamp.Round, attempt: m.Stamp.Attempt, base: m.Base, decline: m.Reason,
		}})
	case member.SendEntry:
		u := s.envelope(m.Round)
		if u == nil {
			s.w.violate("S-11", "site %d sends an entry of round %d that is not in its outbox", s.i, m.Round)
			return
		}
		s.conn.within(120_000, message{topic: s.own(onUpdate), body: u}, func(bool) { s.step(member.EntrySent(m)) })
	case member.SendPart:
		s.sendPart(m)
	}
}

// sendPart reads a part of an update, and sends it if it is what was offered.
func (s *site) sendPart(m member.SendPart) {
	u := s.envelope(m.Round)
	f := s.disk.blobs[u.content].b
	off, n := u.blob.Span(int(m.Index))
	if off+n > len(f) || !u.blob.Holds(int(m.Index), f[off:off+n]) {
		s.w.check.unreadable(s, m.Round)
		s.unreadable = true
		s.answer(member.EntryLost{Round: m.Round})
		return
	}
	body := &partMsg{partOf(u.blob, u.blob.Key(), f, m.Index)}
	s.conn.within(120_000, message{topic: s.own(onPart), body: body}, func(ok bool) {
		s.step(member.PartSent{Upload: m.Upload, Index: m.Index, OK: ok})
	})
}

// link follows the connection.
func (s *site) link(up bool) {
	if up {
		s.conn.post(s.presence(s.inst, s.conn.links, true))
		s.step(member.Connected{})
		return
	}
	s.step(member.Disconnected{})
}

func (s *site) presence(of wire.Nonce, connection uint64, online bool) message {
	return message{topic: s.own(onPresence), body: &presenceMsg{of, connection, online}, retained: true}
}

// got takes what arrived.
func (s *site) got(m message) {
	switch b := m.body.(type) {
	case *orderMsg:
		s.w.check.given(s, b)
		s.step(member.Ordered{Order: orderOf(b)})
	case *modelMsg:
		s.onModel(b)
	case *headMsg:
		s.w.check.shown(s, b)
		s.step(member.Recorded{Round: b.round, Verdict: b.verdict, Counted: func(i uint32) bool { return b.counted[i] }})
	case *replyMsg:
		s.w.check.heard(s, b)
		if _, ok := b.reply.(wire.Welcome); ok {
			s.waits = 0
		}
		s.step(member.Replied{Epoch: b.epoch, Reply: b.reply})
	case *partMsg:
		s.step(member.PartCame{Slot: uint32(m.topic.a), Index: uint32(m.topic.b), Part: b.Part}) // a few
	}
}

func orderOf(b *orderMsg) member.Order {
	o := member.Order{Stamp: b.Stamp, Order: b.Order.Order, Base: b.Base, Schema: schema, Hash: model.Hash(b.hash), Origin: wire.Nonce{1}}
	o.PartSize = uint32(b.partSize) // of the plan
	return o
}

func (s *site) onModel(b *modelMsg) {
	is := member.Stored{Content: b.content, Schema: schema}
	switch {
	case s.m.Knows(is):
	case b.bytes == nil:
		s.step(member.ManifestCame{Manifest: member.Manifest{Manifest: wire.Manifest{Version: b.version, Slot: b.slot, Blob: b.blob}, Is: is}})
	default:
		s.latest = b
		s.step(member.ModelCame{Model: is})
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
