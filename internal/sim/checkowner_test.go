package sim

import (
	"cmp"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// replied notes what leaves for a member.
func (c *checker) replied(a *agg, path string, reply wire.Reply) {
	r, ok := reply.(wire.Receipt)
	if !ok || r.Content.IsZero() {
		return
	}
	l, in := c.lines[a.n], cmp.Or(r.Version, r.Round)
	if last := l.lastCommitted(); last != nil && in <= last.round {
		if last.round != in || l.counted[made{path, r.Content}] != in {
			c.w.violate("I3", "a receipt of %s in round %d, which is over, without it", path, in)
		}
		return // its record left no receipt behind, and this one came with it
	}
	if !slices.ContainsFunc(a.disk.journal, func(v round.Verdict) bool {
		return v.Round == in && v.Of() == r.Round && v.Member == path && v.Content == r.Content && v.Reason == verdict.Counted
	}) {
		c.w.violate("I3", "a receipt of %s in round %d leaves before it is durable", path, in)
	}
	if k := (made{path, r.Content}); !slices.Contains(l.promised[in], k) {
		l.promised[in] = append(l.promised[in], k)
	}
}

// landed notes that an order has its PUBACK.
func (c *checker) landed(a *agg, o round.Order) {
	l := c.lines[a.n]
	k := stamp{o.Epoch, o.Round, o.Attempt}
	if _, ok := l.open[k]; !ok {
		l.open[k] = c.w.now
		l.clock = clock{of: k, since: c.w.now}
	}
}

// granted holds what is outstanding against the budget.
func (c *checker) grants(a *agg, path string, g wire.Grant) {
	l := c.lines[a.n]
	of := l.grants[path]
	if of == nil {
		of = map[uint32]ms{}
		l.grants[path] = of
	}
	for _, r := range g.Ranges {
		for i := range r.N {
			of[r.First+i] = c.w.now
		}
	}
	n := 0
	for _, of := range l.grants {
		for _, at := range of {
			if c.w.now-at < 20_000 {
				n++
			}
		}
	}
	// What was taken back and granted again may come twice.
	if most := 2*256 + min(c.w.plan.Uploads, len(c.w.sites)); n > most {
		c.w.violate("I11", "%d parts are outstanding, want at most %d", n, most)
	}
}

func (c *checker) arrived(a *agg, path string, i uint32) { delete(c.lines[a.n].grants[path], i) }
func (c *checker) withdrawn(a *agg, path string)         { delete(c.lines[a.n].grants, path) }

// behind: an aggregator finds an order on the broker that its disk cannot know.
func (c *checker) behind(a *agg, o wire.Stamp) {
	if len(c.lines) > 1 {
		c.inconclusive = true
		return
	}
	if l := c.lines[a.n]; l.lost != nil {
		l.behind = &o
		return
	}
	c.w.violate("I5", "the broker holds an order of round %d, the disk is at round %d", o.Round, a.disk.state.Round)
}

// end is what must hold when all is over.
func (c *checker) end(a *agg) {
	l := c.lines[a.n]
	for r, list := range l.promised {
		if len(list) > 0 {
			c.w.violate("I3", "receipts of round %d, and no record of it", r)
		}
	}
	last := l.lastCommitted()
	want := c.w.plan.Rounds + 1
	if c.w.plan.Statistics {
		want++
	}
	if last.round < want || last.round > want && !last.adopted {
		c.w.violate("I1", "the task ended with round %d, want %d", last.round, want)
	}
}
