package sim

import (
	"crypto/sha256"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

func hashOf(b []byte) model.Hash { return sha256.Sum256(b) }

// step gives the machine one event and adds what follows to what is owed.
func (a *agg) step(ev round.Event) {
	a.machine.Step(a.now(), ev)
	rd := a.machine.Ready()
	a.owed.Merge(rd)
	a.wakeTo, a.turned = rd.Wake, a.turned || rd.Turns()
}

func (a *agg) taken() round.Ready {
	rd := a.owed
	a.owed, a.turned = round.Ready{}, false
	return rd
}

// owes does what the machine owes, in the order it owes it.
func (a *agg) owes() {
	if a.fencedBy > 0 {
		a.stop()
	}
	for a.w.fail == nil {
		rd := a.taken()
		if rd.Empty() {
			break
		}
		a.do(rd)
	}
	clear(a.staged)
	clear(a.offers)
	a.tend()
}

func (a *agg) do(rd round.Ready) {
	if len(rd.Save.Records) > 0 {
		for _, m := range rd.Send {
			if o, ok := m.(round.SendOrder); ok {
				a.prepare(o.Order)
			}
		}
	}
	if a.w.bugs.SendFirst {
		a.send(rd.Send)
	}
	a.save(rd.Save)
	a.fold(rd)
	if !a.w.bugs.SendFirst {
		a.send(rd.Send)
	}
	if rd.Commit != nil {
		a.commit(*rd.Commit)
	}
}

// save is one transaction, with the records of abandoned attempts in it.
func (a *agg) save(s round.Save) {
	if s.Empty() {
		return
	}
	prev := a.prev
	var recs []*record
	for _, r := range s.Records {
		rec := &record{
			epoch: r.Epoch, round: r.Round, attempt: r.Attempt, work: r.Work, base: r.Base, params: r.Params,
			reason: r.Reason, entries: r.Entries, prev: prev, order: a.issued[r.Stamp], at: a.w.now,
		}
		rec.seal()
		prev = rec.hash
		if !a.w.bugs.AbandonUnrecorded {
			recs = append(recs, rec)
		}
	}
	if len(recs) == 0 {
		prev = a.prev
	}
	a.disk.tx(a.p, func() {
		a.disk.records = append(a.disk.records, recs...)
		a.saveState(s)
		for _, r := range recs {
			a.w.check.recorded(a, r)
		}
	})
	a.prev = prev
	for _, r := range recs {
		a.setHead(r)
		a.headDue = true
	}
	if s.State != nil {
		a.state = s.State
	}
}

// saveState writes state, members and journal within a transaction.
func (a *agg) saveState(s round.Save) {
	d := a.disk
	if s.DropJournal {
		d.journal = nil
	}
	d.journal = append(d.journal, s.Verdicts...)
	for _, p := range s.Members {
		if p.Index == uint32(len(d.members)) { // #nosec G115 -- few sites
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

// fold adds what was accepted to the sum of the open round.
func (a *agg) fold(rd round.Ready) {
	if rd.Restart {
		clear(a.folded)
		clear(a.sum)
		a.dropAll()
	}
	for _, acc := range rd.Fold {
		s := a.staged[contentKey{acc.Member, acc.Content}]
		if s == nil {
			a.w.violate("fold", "round %d: accepted %x of %s is not at hand", a.state.Round, acc.Content[:4], acc.Member)
			return
		}
		if a.w.plan.Keep && len(s.bytes) > 8 {
			a.disk.blobs.put(a.p, s.content, s.bytes, false)
		}
		was := a.sum[acc.Member]
		a.sum[acc.Member] = share{content: hashOf(s.bytes), weight: was.weight + acc.Weight, times: was.times + 1}
		a.folded[acc.Member] = s
		a.drop(key(acc.Member))
		a.p.effect()
	}
}

// send passes on the machine's messages.
func (a *agg) send(msgs []round.Message) {
	newest := round.NewestOrder(msgs)
	for i, m := range msgs {
		switch m := m.(type) {
		case round.SendOrder:
			if i >= newest {
				a.publish(m.Order)
			}
		case round.SendReply:
			a.reply(m.Member, m.Reply)
		case round.SendAdmit:
			a.admit(m)
		case round.SendSettled:
			a.sendSettled(m)
		case round.SendEvent:
		}
	}
}

// commit closes a round: the model durable, then one transaction with the
// machine's next order, then everything is published.
func (a *agg) commit(c round.Commit) {
	next := a.finish(c)
	id := hashOf(next)
	a.disk.blobs.put(a.p, id, next, !a.w.bugs.ModelUnsynced)
	rec := &record{
		epoch: c.Epoch, round: c.Round, attempt: c.Attempt, committed: true, work: c.Work, base: c.Base, model: id,
		params: c.Params, reason: c.Reason, entries: c.Entries, prev: a.prev, order: a.issued[c.Stamp], at: a.w.now,
	}
	rec.seal()
	a.step(round.Committed{Base: id, RecordHash: model.Hash{byte(rec.hash)}})
	rd := a.taken()
	if len(rd.Save.Records) > 0 || len(rd.Fold) > 0 || rd.Commit != nil {
		a.w.violate("commit", "a commit led to more than the next order")
		return
	}
	finish := func() {
		a.prev = rec.hash
		if id != c.Base {
			a.shelf = nil
			a.base = next
		}
		clear(a.folded)
		clear(a.sum)
		a.dropAll()
		clear(a.issued)
		a.setHead(rec)
		a.headDue = true
	}
	if a.w.bugs.PublishFirst {
		was := a.state
		finish()
		a.state = rd.Save.State
		a.send(rd.Send)
		a.state = was
	}
	a.disk.tx(a.p, func() {
		a.disk.records = append(a.disk.records, rec)
		a.saveState(rd.Save)
		a.w.check.recorded(a, rec)
	})
	if !a.w.bugs.PublishFirst {
		finish()
	}
	a.state = rd.Save.State
	a.fold(rd)
	a.retire(c)
	if !a.w.bugs.PublishFirst {
		a.send(rd.Send)
	}
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
	return stretch(sha256.Sum256(in), a.w.plan.Size)
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

// remember notes whose updates of the open round were kept.
func (a *agg) remember() {
	for _, v := range a.disk.journal {
		if v.Round != a.state.Round || v.Attempt < a.state.ValidFrom {
			continue
		}
		if v.Reason == verdict.Counted || v.Reason == verdict.Lost {
			a.again = slices.DeleteFunc(a.again, func(o round.Verdict) bool { return o.Member == v.Member })
		}
		if v.Reason == verdict.Counted {
			a.again = append(a.again, v)
		}
	}
}

// acceptAgain offers the machine what was kept before a restart.
func (a *agg) acceptAgain() {
	for len(a.again) > 0 && a.w.fail == nil {
		v := a.again[0]
		a.again = a.again[1:]
		b, err := a.disk.blobs.get(v.Content)
		if a.w.bugs.KeptUnchecked {
			b, err = a.disk.blobs[v.Content].b, nil
		}
		if err != nil {
			continue
		}
		a.staged[contentKey{v.Member, v.Content}] = &staged{content: v.Content, samples: v.Samples, bytes: b}
		a.step(round.Update{
			Member: v.Member, Round: v.Round, Attempt: v.Attempt, Base: a.state.Base, Content: v.Content,
			Samples: v.Samples, Problem: checked(b), Norm: v.Norm, Bytes: v.Bytes,
		})
		a.owes()
	}
}

// reply posts one answer.
func (a *agg) reply(path string, r wire.Reply) {
	a.w.check.replied(a, path, r)
	a.conn.post(message{topic: topic{kind: onReply, a: int32(a.w.index[path])}, body: &replyMsg{epoch: a.state.Epoch, reply: r}}) // #nosec G115 -- few sites
}

// sendSettled answers from the records on disk, one a member and second.
func (a *agg) sendSettled(m round.SendSettled) {
	if last, ok := a.settled[m.Member]; ok && a.now()-last < 1000 || a.w.bugs.SettledSilent {
		return
	}
	a.settled[m.Member] = a.now()
	v := verdict.StaleRound
	for i := len(a.disk.records) - 1; i >= 0; i-- { // the committed one has the last word
		r := a.disk.records[i]
		if r.round < m.Round {
			break
		}
		if r.round != m.Round {
			continue
		}
		found := false
		for _, e := range r.entries {
			if e.Member == m.Member && e.Content == m.Content && !e.Content.IsZero() {
				v, found = e.Verdict, true
			}
		}
		if found {
			break
		}
	}
	a.reply(m.Member, settledAs(m.Round, m.Content, v))
}
