package sim

import (
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/model"
)

// olderCopy puts the aggregator's disk back to what it is now, a while later. It is
// an older copy in the sense of R-70 if a round was committed in between. With a loss
// the broker forgets all of it too: only the members know.
func (w *World) olderCopy(f Fault) {
	a := w.active()
	if a.disk.state == nil {
		return
	}
	disk, past := a.disk.copy(), w.check.lines[a.n].copy()
	w.at(min(f.For, w.plan.QuietAt-w.now), func() {
		if a.over || a.disk.state.Round == disk.state.Round {
			return
		}
		a.p.kill()
		a.disk, a.older = disk, true
		w.check.older(a, past)
		if f.Loss {
			clear(w.broker.retained)
		}
		w.note(noteFault, a.node(), uint64(OlderCopy), disk.state.Epoch, disk.state.Round)
	})
}

// shown is what the broker retained when the process began, beside the order.
type shown struct {
	model *modelMsg
	head  *headMsg
}

// stopped ends the process as its machine says. One whose disk is an older copy is
// started again by an operator, who has it adopt.
func (a *agg) stopped(s *owner.Stop) {
	if s.Fenced == 0 {
		a.w.check.behind(a, s.Seen)
		if a.adopts {
			a.adopt(s)
			panic(crash{a.p}) // a new one goes on from the disk
		}
	}
	if a.older {
		a.w.at(a.w.between(1_000, 60_000), func() {
			a.over, a.adopts = false, true
			a.start()
		})
	}
	a.stop()
}

// adopt takes the task up above what was seen: one transaction with its record.
func (a *agg) adopt(s *owner.Stop) {
	base := a.adoptable(s)
	id := hashOf(base)
	a.disk.blobs.put(a.p, id, base, true)
	rnd := max(s.Seen.Round, a.disk.records[len(a.disk.records)-1].round+1)
	r := a.record(record{
		epoch: max(s.Seen.Epoch, a.state.Epoch) + 1, round: rnd, adopted: true, work: "init", base: a.state.Base, model: id, order: s.Shown.Hash,
	})
	save := a.state.Adopt(a.t.Round().Members(), s.Seen.Epoch, rnd, id, model.Hash{byte(r.hash)})
	a.disk.tx(a.p, func() {
		a.disk.records = append(a.disk.records, r)
		a.saveState(save)
		a.w.check.recorded(a, r)
	})
}

// adoptable is the model to go on with: the one on the broker if order and record
// there speak of it and the order is beyond the disk, else the disk's.
func (a *agg) adoptable(s *owner.Stop) []byte {
	m, h := a.shown.model, a.shown.head
	if !s.Later || m == nil || h == nil || m.content != s.Shown.Base || h.model != m.content {
		return a.base
	}
	b := m.bytes
	if b == nil {
		b = a.w.broker.parts(m)
	}
	if hashOf(b) != m.content {
		return a.base
	}
	return b
}

// parts reads a model that travels in parts off the broker; what is not there is
// left out.
func (b *broker) parts(m *modelMsg) (whole []byte) {
	for i := range m.blob.Count() {
		if p, ok := b.retained[partTopic(m.slot, uint32(i))].body.(*partMsg); ok { // a few
			whole = append(whole, p.Data...)
		}
	}
	return whole
}

// nudge is an operator who starts an aggregator on an older copy again when sites
// have seen more than it sends: each start takes a higher epoch, and an order of one
// above theirs has them tell what they saw (S-40).
func (w *World) nudge(a *agg) {
	if !a.older || w.now < a.nudged+5*60_000 {
		return
	}
	for _, s := range w.sites {
		if !s.over && a.disk.state.Order != nil && a.disk.state.Order.Stamp.Compare(s.m.Seen()) < 0 {
			a.nudged = w.now
			a.p.kill()
			return
		}
	}
}

// astray reports whether an aggregator on an older copy goes on below what a site
// knows, and nothing stops it: those that claim to have seen more leave a
// quorum that does not, of whom some may have seen the record of the round that is
// open once more, and no order after it. What to do is an operator's matter.
func (w *World) astray(a *agg) bool {
	st := a.disk.state
	claim, know := 0, 0
	for _, s := range w.sites {
		switch seen := s.m.Seen(); {
		case s.over:
		case seen.Epoch > st.Epoch || seen.Round > st.Round:
			claim++
		case w.check.knowsLost(s, st.Round):
			know++
		}
	}
	return a.older && claim+know > 0 && len(w.sites)-claim >= w.plan.Quorum
}
