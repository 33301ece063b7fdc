package sim

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// leaves checks what is about to be sent by a process.
func (c *checker) leaves(node int, m message) {
	if node >= len(c.w.sites) {
		c.ownerSends(c.w.aggs[node-len(c.w.sites)], m)
		return
	}
	s := c.w.sites[node]
	switch b := m.body.(type) {
	case *updateMsg:
		if b.decline != "" {
			return
		}
		if j := s.disk.jotted; s.disk.envelopes[b.round] != b && (j == nil || j.envelope != b) {
			c.w.violate("S-11", "site %d sends an update of round %d that is not durable", node, b.round)
		}
		if b.offer && s.shut {
			c.w.violate("S-28", "site %d offers an update of round %d outside of its hours", node, b.round)
		}
	case *partMsg:
		if !c.granted[granted{node, b.Blob, b.Index}] {
			c.w.violate("S-24", "site %d sends part %d, which nobody asked for", node, b.Index)
		}
		c.parts(s, &c.up[node], len(b.Data))
	case *joinMsg:
		if b == c.joined[node] {
			return // again, as a sign of life
		}
		if b.counter <= c.joins[node] || b.counter > s.disk.state.Counter {
			c.w.violate("S-4", "site %d joins with the counter %d after %d, on disk is %d", node, b.counter, c.joins[node], s.disk.state.Counter)
		}
		c.joins[node], c.joined[node] = b.counter, b
	}
}

// ownerSends: retained state never leads the disk (I5), and one order has one
// text (I12).
func (c *checker) ownerSends(a *agg, m message) {
	l := c.lines[a.n]
	switch b := m.body.(type) {
	case *orderMsg:
		k := stamp{b.Epoch, b.Round, b.Attempt}
		if was := l.orders[k]; was != nil && was != b {
			c.w.violate("I12", "two orders (%d, %d, %d)", k.epoch, k.round, k.attempt)
		}
		if in, ok := l.epochs[b.Epoch]; ok && in != b.Instance {
			c.w.violate("I12", "two processes have the epoch %d", b.Epoch)
		}
		_, known := l.orders[k]
		l.orders[k], l.epochs[b.Epoch] = b, b.Instance
		d := a.disk.state
		if d == nil || d.Order == nil || (stamp{d.Order.Epoch, d.Order.Round, d.Order.Attempt}).below(k) {
			c.w.violate("I5", "order (%d, %d, %d) leaves before it is durable", k.epoch, k.round, k.attempt)
		}
		if up := l.above; b.Epoch <= up.Epoch && up.Epoch > 0 || b.Round <= up.Round && up.Round > 0 {
			c.w.violate("R-71", "order (%d, %d, %d) leaves, and the task was adopted above %v", k.epoch, k.round, k.attempt, up)
		}
		if l.last == nil || l.last.below(b) {
			c.follows(l, b)
			l.last = b
		} else if !known {
			c.w.violate("I1", "order (%d, %d, %d) leaves for the first time after a higher one", k.epoch, k.round, k.attempt)
		}
	case *headMsg:
		for i := len(a.disk.records) - 1; ; i-- {
			if i < 0 {
				c.w.violate("I5", "the head of a record leaves before the record is durable")
				return
			}
			if a.disk.records[i].hash == b.hash {
				return
			}
		}
	case *modelMsg:
		if last := l.lastCommitted(); last == nil || b.version > last.round {
			c.w.violate("I5", "model %d leaves before it is durable", b.version)
		}
	}
}

func (m *orderMsg) below(o *orderMsg) bool {
	return (stamp{m.Epoch, m.Round, m.Attempt}).below(stamp{o.Epoch, o.Round, o.Attempt})
}

// follows checks that an order within an epoch follows the one that left before
// it: an attempt that asked for work has a record before the next one opens.
func (c *checker) follows(l *lineage, o *orderMsg) {
	p := l.last
	if p == nil || p.Epoch != o.Epoch || p.Work == "none" {
		return
	}
	for _, r := range l.records {
		if r.epoch == p.Epoch && r.round == p.Round && r.attempt == p.Attempt {
			return
		}
	}
	c.w.violate("I1", "order (%d, %d, %d) left, and attempt (%d, %d) before it has no record", o.Epoch, o.Round, o.Attempt, p.Round, p.Attempt)
}

// sealed notes an update that was made.
func (c *checker) sealed(s *site, u *updateMsg, on model.Hash) {
	if _, err := s.disk.blobs.get(u.content); u.offer && err != nil {
		c.w.violate("S-22", "site %d has an entry of round %d before the bytes of its update", s.i, u.round)
	}
	c.second(s, u)
	if !on.IsZero() && on != u.base {
		c.w.violate("S-10", "site %d seals an update for the base %x that it made from %x", s.i, u.base[:4], on[:4])
	}
	k := made{s.path, u.content}
	is := madeOf{round: u.round, attempt: u.attempt, latest: u.attempt, base: u.base, samples: u.samples}
	if was, ok := c.made[k]; ok && was.round != is.round {
		c.w.violate("sim", "site %d makes the same update for rounds %d and %d", s.i, was.round, is.round)
	} else if ok {
		is.attempt, is.latest = min(is.attempt, was.attempt), max(is.latest, was.latest)
	}
	c.made[k] = is
}

// undelivered: the broker has lost a receipt, or has let what follows overtake it. The
// member may have lost what it was told before, and the welcome says nothing of it.
func (c *checker) undelivered(m message) {
	b, ok := m.body.(*replyMsg)
	if !ok {
		return
	}
	if r, ok := b.reply.(wire.Receipt); ok {
		delete(c.taken, fate{site: int(m.topic.a), round: r.Round})
	}
}

// second: a site that was told what is in the sum makes nothing else for the round, while
// the aggregator lives that told it (S-50).
func (c *checker) second(s *site, u *updateMsg) {
	was, o := c.taken[fate{site: s.i, round: u.round}], c.seen[s.i]
	if was == nil || o.Round != u.round || o.Epoch != was.epoch {
		return
	}
	if r := was.reply.(wire.Receipt); r.Content != u.content && r.Attempt >= o.ValidFrom {
		c.w.violate("S-50", "site %d makes %x for round %d, in whose sum is %x of it", s.i, u.content[:4], u.round, r.Content[:4])
	}
}

// loaded: a site works on the whole base of its order (I7).
func (c *checker) loaded(s *site, base model.Hash, b []byte) {
	if sha256.Sum256(b) != base {
		c.w.violate("I7", "site %d trains on a model that is not %x", s.i, base[:4])
	}
	for _, l := range c.lines {
		for _, r := range slices.Concat(l.records, l.lost) {
			if r.model == base && (r.committed || r.adopted) {
				return
			}
		}
	}
	c.w.violate("I7", "site %d trains on %x, which no record made", s.i, base[:4])
}

// given notes an order that a site has got: the highest, and of two that are as high,
// as an aggregator on an older copy may give one, that of the higher instance (S-6).
func (c *checker) given(s *site, o *orderMsg) {
	p := c.seen[s.i]
	if p != nil && p.Stamp == o.Stamp && bytes.Compare(p.Instance[:], o.Instance[:]) < 0 {
		delete(c.taken, fate{site: s.i, round: o.Round}) // whoever told it lives no more
		p = nil
	}
	if p == nil || p.below(o) {
		c.seen[s.i] = o
	}
}

// shown notes a record's head that a site has got.
func (c *checker) shown(s *site, h *headMsg) {
	if h.verdict != "abandoned" {
		c.closed[fate{site: s.i, round: h.round}] = true
	}
}

// saves: the order that a site obeys never falls (S-5).
func (c *checker) saves(s *site, st member.State) {
	k := stamp{st.Seen.Epoch, st.Seen.Round, st.Seen.Attempt}
	if k.below(c.obeyed[s.i]) {
		c.w.violate("S-5", "site %d obeys %v after %v", s.i, k, c.obeyed[s.i])
	}
	c.obeyed[s.i] = k
}

// restored: a site's directory is what it was before.
func (c *checker) restored(s *site) {
	c.obeyed[s.i] = stamp{s.disk.state.Seen.Epoch, s.disk.state.Seen.Round, s.disk.state.Seen.Attempt}
}

// emptied: a site's directory is a new one, and its counter begins anew.
func (c *checker) emptied(s *site) {
	c.restored(s)
	c.joins[s.i] = 0
}

// heard notes what a site is told of its updates.
func (c *checker) heard(s *site, b *replyMsg) {
	switch r := b.reply.(type) {
	case wire.Grant:
		for _, n := range r.Ranges {
			for i := range n.N {
				c.granted[granted{s.i, r.Blob, n.First + i}] = true
			}
		}
	case wire.Receipt:
		if !r.Content.IsZero() {
			c.taken[fate{site: s.i, round: r.Round}] = b
		}
	case wire.Settled:
		c.told[fate{s.i, r.Round, 0, r.Content}] = true
	case wire.RefusalReply:
		if r.Reason != "not_in_cohort" && r.Reason != "unknown_member" && r.Reason != "future_round" {
			c.told[fate{s.i, r.Round, r.Attempt, r.Content}] = true
		}
	}
}

// unreadable: only a power loss takes what was written.
func (c *checker) unreadable(s *site, round uint64) {
	if !s.lossy {
		c.w.violate("S-22", "site %d cannot read its update of round %d, and has lost no power", s.i, round)
	}
}

// dropped: an entry leaves the outbox only when its fate is known, or the order
// in force wants another one (S-10, S-13, S-15).
func (c *checker) dropped(s *site, e member.Entry) {
	o := c.seen[s.i]
	switch {
	case c.closed[fate{site: s.i, round: e.Round}] && !e.Late, c.counts(s, e), c.told[fate{s.i, e.Round, 0, e.Content}], c.told[fate{s.i, e.Round, e.Attempt, e.Content}], len(s.disk.entries) >= 16, s.unreadable:
		return
	case o != nil && o.Round == e.Round && (o.ValidFrom > e.Attempt || !bytes.Equal(o.Base[:], e.Base[:]) || o.Work != e.Work):
		return
	}
	c.w.violate("I3", "site %d drops its update of round %d, attempt %d, whose fate nobody has told", s.i, e.Round, e.Attempt)
}

// counts reports whether a site has seen a record in which its update counts.
func (c *checker) counts(s *site, e member.Entry) bool {
	for _, l := range c.lines {
		for _, r := range slices.Concat(l.records, l.lost) {
			for _, x := range r.entries {
				if r.committed && c.closed[fate{site: s.i, round: r.round}] && x.Member == s.path && x.Content == e.Content && x.Verdict == verdict.Counted {
					return true
				}
			}
		}
	}
	return false
}

// paid is what parts have cost of a cap, as a leaky bucket.
type paid struct {
	at    ms
	level int64 // thousandths of a byte
}

// starts: a process begins with nothing saved up, and nothing owed.
func (c *checker) starts(s *site) { c.up[s.i], c.down[s.i] = paid{}, paid{} }

// asks checks that a site may ask for a part of a model.
func (c *checker) asks(s *site) {
	if !s.m.Pulling() {
		c.w.violate("S-21", "site %d asks for a part, and wants no model", s.i)
		return
	}
	c.parts(s, &c.down[s.i], s.w.plan.partSize(2)/2) // as small as they come
}

// parts: a part goes within the hours, when nothing is owed beyond a second's
// worth that was saved up (S-27, S-28).
func (c *checker) parts(s *site, p *paid, data int) {
	if s.shut {
		c.w.violate("S-28", "site %d moves a part outside of its hours", s.i)
	}
	rate := s.plan.Bandwidth / 8
	if rate == 0 {
		return
	}
	if p.at != c.w.now { // what is asked for once more goes at once
		p.level = max(0, p.level-rate*(c.w.now-p.at))
		p.at = c.w.now
		if p.level > 1000*rate+1000 {
			c.w.violate("S-27", "site %d moves a part while %d bytes are owed, at %d bytes a second", s.i, p.level/1000, rate)
		}
	}
	p.level += 1000 * int64(data+wire.PartOverhead)
}

// settles: a site is told the fate of its updates as the records have it.
func (c *checker) settles(s *site, f member.Settled) {
	if !f.Counted {
		return
	}
	for _, l := range c.lines {
		for _, r := range slices.Concat(l.records, l.lost) {
			for _, e := range r.entries {
				if r.committed && r.round-e.Staleness == f.Round && e.Member == s.path && e.Verdict == verdict.Counted && (!f.Entry.Late || e.Content == f.Entry.Content) {
					return
				}
			}
		}
	}
	c.w.violate("S-15", "site %d is told that its update of round %d counts, and no record says so", s.i, f.Round)
}
