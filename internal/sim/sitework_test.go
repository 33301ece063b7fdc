package sim

import (
	"crypto/sha256"

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
		b, err := s.disk.blobs.get(s.disk.has.Content)
		if err != nil && s.w.bugs.LoadUnchecked {
			b, err = s.disk.blobs[s.disk.has.Content].b, nil
		}
		if s.lost = err != nil || s.disk.has.Content != j.Base; !s.lost {
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
	e := member.Entry{Round: r.Stamp.Round, Attempt: r.Stamp.Attempt, Base: r.Base, Work: r.Work}
	s.answer(member.EntryStored{Entry: s.put(e, b, s.plan.Samples, int(r.PartSize), s.trainedOn)})
}

// reseal cuts an entry anew.
func (s *site) reseal(r member.Reseal) {
	e, _ := s.m.Entry(r.Round)
	u := s.disk.envelopes[r.Round]
	b := u.bytes
	if u.offer {
		var err error
		if b, err = s.disk.blobs.get(u.content); err != nil {
			s.unreadable = true
			s.answer(member.EntryLost{Round: r.Round})
			return
		}
	}
	s.answer(member.EntryStored{Entry: s.put(e, b, u.samples, int(r.PartSize), e.Base)})
}

func (s *site) put(e member.Entry, b []byte, samples uint64, partSize int, on model.Hash) member.Entry {
	u := &updateMsg{
		round: e.Round, attempt: e.Attempt, base: e.Base, content: model.Hash(sha256.Sum256(b)), samples: samples, bytes: b,
	}
	e.Content, e.Blob, e.Parts, e.PartSize = u.content, wire.BlobKey{}, wire.Blob{}, uint32(min(len(b), partSize)) // a few bytes
	if e.Work != wire.WorkEvaluate && len(b) > partSize {
		u.bytes, u.offer, u.blob = nil, true, cut(b, partSize/2)
		e.Blob, e.Parts, e.PartSize = u.blob.Key(), u.blob, uint32(partSize) // a few bytes
		s.disk.blobs.put(s.p, u.content, b, !s.w.bugs.OutboxUnsynced)
	}
	d := s.disk
	var gone []model.Hash
	d.tx(s.p, func() {
		if had, ok := d.entries[e.Round]; ok && had.Blob != (wire.BlobKey{}) {
			gone = append(gone, had.Content)
		}
		stored := e
		stored.Parts = wire.Blob{} // what the envelope says
		d.entries[e.Round], d.envelopes[e.Round] = stored, u
		s.w.note(noteSeal, s.i, e.Round, uint64(e.Attempt), short(u.content))
		s.w.check.sealed(s, u, on)
	})
	for _, id := range gone {
		d.release(id)
	}
	return e
}

// save makes a change of the state durable.
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

// keepModel writes a model unsynced and makes it the task's.
func (s *site) keepModel(id model.Hash, b []byte, cut wire.Blob) {
	d := s.disk
	d.blobs.put(s.p, id, b, false)
	old := d.has.Content
	d.tx(s.p, func() { d.has, d.cut = member.Stored{Content: id, Schema: schema}, cut })
	if old != id {
		d.release(old)
	}
}

// short is the start of a content id, for the trace.
func short(id [32]byte) uint64 {
	var x uint64
	for _, c := range id[:8] {
		x = x<<8 | uint64(c)
	}
	return x
}
