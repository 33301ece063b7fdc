package sim

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

func hashOf(b []byte) model.Hash { return sha256.Sum256(b) }

// do does what is owed, in the order it is owed.
func (a *agg) do(rd owner.Ready) {
	if rd.Stop != nil {
		a.stopped(rd.Stop)
	}
	first := a.w.bugs.SendFirst || a.w.bugs.PublishFirst && rd.Save.Committed
	if first {
		a.takeOver(rd.Save)
		a.send(rd.Send)
	}
	a.save(rd)
	if !first {
		a.takeOver(rd.Save)
	}
	a.fold(rd)
	if rd.Save.Committed {
		a.retire(a.closed.Commit)
		a.closed = nil
	}
	a.stage(rd)
	if !first {
		a.send(rd.Send)
	}
	if rd.Check != nil {
		a.check(*rd.Check)
	}
	if rd.Commit != nil {
		a.commit(*rd.Commit)
	}
}

// save is one transaction, with the records of attempts that have ended in it.
func (a *agg) save(rd owner.Ready) {
	s := rd.Save
	if s.Empty() {
		return
	}
	if len(s.Records) > 0 {
		for _, o := range rd.Orders {
			a.order(o)
		}
	}
	var recs []*record
	for _, r := range s.Records {
		if !a.w.bugs.AbandonUnrecorded {
			recs = append(recs, a.record(record{
				epoch: r.Epoch, round: r.Round, attempt: r.Attempt, work: r.Work, base: r.Base, params: r.Params, reason: r.Reason, entries: r.Entries,
			}))
		}
	}
	if s.Committed {
		recs = append(recs, a.closed.record)
		a.prev = a.closed.record.hash
	}
	a.disk.tx(a.p, func() {
		a.disk.records = append(a.disk.records, recs...)
		a.saveState(s.Save)
		for _, r := range recs {
			a.w.check.recorded(a, r)
		}
	})
	for _, r := range recs {
		a.setHead(r)
	}
	if s.State != nil {
		a.state = s.State
	}
}

// record is the next record.
func (a *agg) record(r record) *record {
	r.prev, r.at = a.prev, a.w.now
	if o := a.issued[wire.Stamp{Epoch: r.epoch, Round: r.round, Attempt: r.attempt}]; o != nil {
		r.order = o.hash
	}
	r.seal()
	a.prev = r.hash
	return &r
}

// saveState writes state, members and journal within a transaction.
func (a *agg) saveState(s round.Save) {
	d := a.disk
	if s.DropJournal {
		d.journal = nil
	}
	d.journal = append(d.journal, s.Verdicts...)
	for _, p := range s.Members {
		if p.Index == uint32(len(d.members)) { // few sites
			d.members = append(d.members, round.Member{})
		}
		p.Member.Heard = false // it is not saved
		d.members[p.Index] = p.Member
	}
	if s.State != nil {
		d.state = s.State
	}
	a.w.note(noteSave, a.node(), uint64(len(s.Verdicts)), uint64(len(s.Records)), uint64(len(d.journal)))
}

// takeOver goes on from the model of a round that is recorded.
func (a *agg) takeOver(s owner.Save) {
	if s.Committed {
		a.base = a.closed.next
		clear(a.sum)
		clear(a.issued)
	}
}

// fold lets go of what is not wanted, and adds what was accepted to the sum of the
// open round.
func (a *agg) fold(rd owner.Ready) {
	for _, k := range rd.Drop {
		b := a.bodies[k]
		if delete(a.bodies, k); b != nil && b.stage != nil && !a.places(k.Member) {
			a.w.check.withdrawn(a, k.Member)
			a.w.check.runs(a, k.Member, false)
		}
	}
	for _, k := range rd.Release {
		a.bodies[k].stage = nil
		a.w.check.runs(a, k.Member, false)
	}
	if rd.Restart {
		clear(a.sum)
	}
	for _, f := range rd.Fold {
		b := a.bodies[f.Key]
		if b == nil {
			a.w.violate("fold", "round %d: accepted %x of %s is not at hand", a.state.Round, f.Content[:4], f.Member)
			return
		}
		if a.w.plan.Keep && len(b.bytes) > 8 {
			a.disk.blobs.put(a.p, f.Content, b.bytes, false)
		}
		was := a.sum[f.Member]
		a.sum[f.Member] = share{content: hashOf(b.bytes), weight: was.weight + f.Weight, times: was.times + 1}
		a.p.effect()
	}
}

// stage makes places for updates in parts, and puts the parts there.
func (a *agg) stage(rd owner.Ready) {
	for _, s := range rd.Stage {
		a.place(s)
		a.w.check.runs(a, s.Member, true)
	}
	for _, w := range rd.Write {
		done := owner.Written{Key: w.Key}
		if w.Off == 0 && checked(w.Data) != verdict.None {
			done.Problem = verdict.NotFinite
		} else {
			copy(a.bodies[w.Key].stage[w.Off:], w.Data)
		}
		a.answer(done)
	}
}

// place makes a place, in memory that another update was in, and fills it.
func (a *agg) place(s owner.Stage) {
	b := a.bodies[s.Key]
	b.stage, b.gap = bytes.Repeat([]byte{0xee}, int(b.offer.blob.Length)), false // a few bytes
	for _, f := range s.Fill {
		to := b.stage[f.To : f.To+f.N]
		if f.From < 0 {
			clear(to)
		} else if from := a.bodies[owner.Key{Member: s.Member, Content: s.From}]; from != nil && from.stage != nil {
			copy(to, from.stage[f.From:])
		} else {
			b.gap = true
		}
	}
}

// places reports whether a member has an update with a place.
func (a *agg) places(member string) bool {
	for k, b := range a.bodies {
		if k.Member == member && b.stage != nil {
			return true
		}
	}
	return false
}

// check looks at the whole of an update.
func (a *agg) check(c owner.Check) {
	ev := owner.Checked{Key: c.Key}
	if c.Kept != nil {
		b, err := a.disk.blobs.get(c.Content)
		if a.w.bugs.KeptUnchecked {
			b, err = a.disk.blobs[c.Content].b, nil
		}
		ev.Void, ev.Problem, ev.Norm = err != nil, checked(b), c.Kept.Norm
		a.bodies[c.Key] = &body{bytes: b}
		a.answer(ev)
		return
	}
	b := a.bodies[c.Key]
	a.w.check.withdrawn(a, c.Member)
	a.w.check.runs(a, c.Member, false)
	if b.bytes = b.stage; hashOf(b.bytes) != c.Content && b.gap {
		ev.Problem = verdict.Malformed
		a.answer(ev)
		return
	} else if hashOf(b.bytes) != c.Content {
		a.w.violate("I7", "the parts of %s are another content than its offer names", c.Member)
	}
	ev.Problem = checked(b.bytes)
	a.answer(ev)
}

// commit closes a round: the model is made durable, and its record is ready.
func (a *agg) commit(c round.Commit) {
	next := a.finish(c)
	id := hashOf(next)
	a.disk.blobs.put(a.p, id, next, !a.w.bugs.ModelUnsynced)
	prev := a.prev
	rec := a.record(record{
		epoch: c.Epoch, round: c.Round, attempt: c.Attempt, committed: true, work: c.Work, base: c.Base, model: id,
		params: c.Params, reason: c.Reason, entries: c.Entries,
	})
	a.prev = prev // until it is saved
	a.closed = &closed{Commit: c, record: rec, next: next}
	a.answer(owner.Committed{Model: a.model(next), Record: model.Hash{byte(rec.hash)}})
}

// finish computes the model after the round.
func (a *agg) finish(c round.Commit) []byte {
	if c.Work == wire.WorkEvaluate {
		return a.base
	}
	in := slices.Clone(c.Base[:])
	for _, acc := range c.Accepted {
		s, ok := a.sum[acc.Member]
		if !ok {
			a.w.violate("fold", "round %d: %s was accepted and is not in the sum", c.Round, acc.Member)
			return a.base
		}
		in = append(in, acc.Member...)
		in = append(in, s.content[:]...)
		in = append(in, byte(s.weight), byte(s.weight>>8), byte(s.weight>>16), byte(s.times))
	}
	in = append(in, byte(len(a.sum)))
	return partly(c.Base, a.w.plan.genesis(), stretch(sha256.Sum256(in), a.w.plan.Size))
}

// retire removes the round's updates, and the base before the last.
func (a *agg) retire(c round.Commit) {
	for _, acc := range c.Accepted {
		if acc.Content != a.state.Base {
			delete(a.disk.blobs, acc.Content)
		}
	}
	if c.Base != a.state.Base {
		delete(a.disk.blobs, c.Base)
	}
	a.p.effect()
}
