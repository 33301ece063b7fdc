package sim

import (
	"crypto/sha256"
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// feed gives the trainer the next job, if it is free.
func (s *site) feed() {
	if s.job != nil || s.queue == nil {
		return
	}
	j := s.queue
	s.queue = nil
	if s.plan.Samples == 0 {
		s.answer(member.Finished{ID: j.ID, Reason: wire.DeclineNoData})
		return
	}
	s.job, s.jobGone, s.lost = j, false, false
	if j.Work != wire.WorkStatistics {
		b, err := s.base(j)
		if err != nil && s.w.bugs.LoadUnchecked {
			b, err = s.disk.blobs[s.disk.has.Content].b, nil
		}
		if s.lost = err != nil; !s.lost {
			s.w.check.loaded(s, j.Base, b)
		}
	}
	takes := s.w.between(s.plan.TrainLeast, s.plan.TrainMost)
	if s.w.quiet {
		takes = min(takes, 5_000)
	}
	s.w.note(noteTrain, s.i, j.Round, uint64(j.Attempt), 0)
	p := s.p
	s.w.at(takes, func() { p.enter(func() { s.trained(j) }) })
	s.answer(member.Began{ID: j.ID})
}

// base is the model that a job starts from: the one in memory, once, else what the disk
// has.
func (s *site) base(j *member.Job) ([]byte, error) {
	h := s.held
	s.held = nil
	if h != nil && h.content == j.Base {
		return h.bytes, nil
	}
	s.flush()
	if s.disk.has.Content != j.Base {
		return nil, errGone
	}
	return s.disk.blobs.get(j.Base)
}

func (s *site) cancel(id uint64) {
	if s.queue != nil && s.queue.ID == id {
		s.queue = nil
	}
	if s.job != nil && s.job.ID == id {
		s.jobGone = true
	}
	s.result = nil
}

// trained takes what a job has left.
func (s *site) trained(j *member.Job) {
	gone := s.jobGone
	s.job = nil
	if gone {
		s.step(member.Tick{})
		return
	}
	ev := member.Event(member.Finished{ID: j.ID})
	switch {
	case s.lost:
		s.latest = nil
		ev = member.ModelLost{}
	case !s.w.quiet && s.w.chance(s.plan.Fails):
		ev = member.Finished{ID: j.ID, Reason: wire.DeclineFailed}
	default:
		s.result, s.trainedOn = s.learn(j), j.Base
	}
	s.step(ev)
}

// bad is how an update begins that no aggregator accepts.
const bad = 0xbd

func (s *site) learn(j *member.Job) []byte {
	nonce := uint64(0)
	if s.plan.Drifts {
		s.made++
		nonce = s.made
	}
	n := s.w.plan.Size
	if j.Work == wire.WorkEvaluate {
		n = 8
	}
	b := train(j.Base, s.path, j.Round, nonce, n)
	b[0] &= 0x7f
	if !s.w.quiet && s.w.chance(s.plan.Bad) {
		s.made++
		b = train(j.Base, s.path, j.Round, s.made+1<<32, n)
		b[0] = bad
	}
	return b
}

// seal puts a result into the outbox, bytes before the entry that names them.
func (s *site) seal(r member.Seal) {
	b := s.result
	s.result = nil
	if b == nil {
		s.answer(member.Unsealed{ID: r.ID, Reason: wire.DeclineFailed})
		return
	}
	e := member.Entry{Round: r.Stamp.Round, Attempt: r.Stamp.Attempt, Base: r.Base, Work: r.Work, Late: r.Late}
	s.answer(member.EntryStored{Entry: s.put(e, b, s.plan.Samples, int(r.PartSize), s.trainedOn)})
}

// reseal cuts an entry anew.
func (s *site) reseal(r member.Reseal) {
	e, _ := s.m.Entry(r.Round)
	u := s.envelope(r.Round)
	b := u.bytes
	if u.offer {
		var err error
		if b, err = s.disk.blobs.get(u.content); err != nil {
			s.w.check.unreadable(s, r.Round)
			s.unreadable = true
			s.answer(member.EntryLost{Round: r.Round})
			return
		}
	}
	s.answer(member.EntryStored{Entry: s.put(e, b, u.samples, int(r.PartSize), e.Base)})
}

func (s *site) put(e member.Entry, b []byte, samples uint64, partSize int, on model.Hash) member.Entry {
	if s.unsaved.entry != nil {
		s.flush()
	}
	u := &updateMsg{
		round: e.Round, attempt: e.Attempt, base: e.Base, content: model.Hash(sha256.Sum256(b)), samples: samples, bytes: b,
	}
	e.Content, e.Blob, e.Parts, e.PartSize = u.content, wire.BlobKey{}, wire.Blob{}, uint32(min(len(b), partSize)) // a few bytes
	if e.Work != wire.WorkEvaluate && len(b) > partSize {
		u.bytes, u.offer, u.blob = nil, true, cut(b, partSize/2)
		e.Blob, e.Parts, e.PartSize = u.blob.Key(), u.blob, uint32(partSize) // a few bytes
		if !s.w.bugs.EntryFirst {
			s.disk.blobs.put(s.p, u.content, b, false)
		}
		s.syncLater(u.content)
	}
	s.unsaved.entry, s.unsaved.envelope = &e, u
	s.due(jotWithin)
	jotted := s.unsaved
	jotted.drop, jotted.gone = slices.Clone(jotted.drop), slices.Clone(jotted.gone)
	s.p.effect()
	s.disk.jotted = &jotted
	s.w.note(noteSeal, s.i, e.Round, uint64(e.Attempt), short(u.content))
	s.w.check.sealed(s, u, on)
	if jotted.state != nil {
		s.w.check.saves(s, *jotted.state)
	}
	s.p.effect()
	if u.offer && s.w.bugs.EntryFirst {
		s.disk.blobs.put(s.p, u.content, b, false)
	}
	return e
}

// syncAfter is when an update is synced whose fate is not known by then.
const syncAfter ms = 5_000

func (s *site) syncLater(id model.Hash) {
	p := s.p
	s.w.at(syncAfter, func() {
		p.enter(func() {
			if f, ok := s.disk.blobs[id]; ok {
				p.effect()
				s.disk.blobs[id] = blob{f.b, true}
			}
		})
	})
}

// unsaved is what has changed, and becomes durable with what comes next, or a moment
// later.
type unsaved struct {
	state *member.State
	drop  []uint64
	gone  []model.Hash
	model *keptModel
	due   int // which timer it waits for, 0: none

	entry    *member.Entry
	envelope *updateMsg
}

type keptModel struct {
	is  member.Stored
	cut wire.Blob
}

// saveWithin is how long a change waits for another, and jotWithin one that was jotted
// down.
const (
	saveWithin ms = 50
	jotWithin  ms = 500
)

// says reports whether what is sent tells of the state.
func says(list []member.Send) bool {
	for _, m := range list {
		switch m.(type) {
		case member.SendJoin, member.SendDecline, member.SendNeed:
			return true
		}
	}
	return false
}

// later has a change become durable.
func (s *site) later(st *member.State, drop []uint64) {
	u := &s.unsaved
	if st != nil {
		u.state = st
	}
	if e := u.entry; e != nil && slices.Contains(drop, e.Round) {
		s.w.check.dropped(s, *e)
		u.gone = append(u.gone, e.Content) // what was jotted down still names it
		u.entry, u.envelope = nil, nil
	}
	u.drop = append(u.drop, drop...)
	if u.due == 0 && (u.state != nil || len(u.drop) > 0 || u.model != nil || u.entry != nil) {
		s.due(saveWithin)
	}
}

// due has what is not durable become so after a while, and not before.
func (s *site) due(after ms) {
	s.timers++
	p, n := s.p, s.timers
	s.unsaved.due = n
	s.w.at(after, func() {
		p.enter(func() {
			if s.unsaved.due == n {
				s.flush()
			}
		})
	})
}

// envelope is that of an entry, which may be jotted down only.
func (s *site) envelope(round uint64) *updateMsg {
	if u := s.unsaved; u.entry != nil && u.entry.Round == round {
		return u.envelope
	}
	return s.disk.envelopes[round]
}

// flush makes all durable that has changed, in one transaction.
func (s *site) flush() {
	d, u := s.disk, s.unsaved
	s.unsaved = unsaved{}
	gone := u.gone
	d.tx(s.p, func() {
		for _, r := range u.drop {
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
		if u.model != nil {
			gone = append(gone, d.has.Content)
			d.has, d.cut = u.model.is, u.model.cut
		}
		if e := u.entry; e != nil {
			if had, ok := d.entries[e.Round]; ok && had.Blob != (wire.BlobKey{}) {
				gone = append(gone, had.Content)
			}
			stored := *e
			stored.Parts = wire.Blob{} // what the envelope says
			d.entries[e.Round], d.envelopes[e.Round] = stored, u.envelope
		}
		d.jotted = nil
		if u.state != nil {
			s.w.check.saves(s, *u.state)
			d.state = *u.state
		}
	})
	for _, id := range gone {
		d.release(id)
	}
}

// keepModel writes a model unsynced and makes it the task's.
func (s *site) keepModel(id model.Hash, b []byte, cut wire.Blob) {
	s.held = &modelMsg{content: id, bytes: b}
	s.disk.blobs.put(s.p, id, b, false)
	if was := s.unsaved.model; was != nil {
		s.disk.release(was.is.Content)
	}
	s.unsaved.model = &keptModel{member.Stored{Content: id, Schema: schema}, cut}
	s.later(nil, nil)
}

// short is the start of a content id, for the trace.
func short(id [32]byte) uint64 {
	var x uint64
	for _, c := range id[:8] {
		x = x<<8 | uint64(c)
	}
	return x
}
