package sim

import (
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
)

// older: an aggregator's disk is an older copy, whose past is given. What came after
// it is lost to the aggregator; what others got of it stays true.
func (c *checker) older(a *agg, past *lineage) {
	l := c.lines[a.n]
	past.last, past.clock, past.grants = nil, l.clock, l.grants
	past.lost, past.gone = l.records[len(past.records):], l.counted
	c.lines[a.n] = past
}

// adopted checks the record of a task that goes on above what was seen (R-71, RC-15):
// the chain goes on with a gap in its rounds, and the next one starts from a model
// that some record made. Receipts of rounds that are passed over end with it.
func (c *checker) adopted(l *lineage, r *record) {
	before, base := l.records[len(l.records)-1], l.lastCommitted()
	switch {
	case l.behind == nil:
		c.w.violate("R-71", "round %d is adopted, and nobody has seen more than the disk", r.round)
		return
	case r.prev != before.hash:
		c.w.violate("I5", "the adopted record of round %d does not name the one before", r.round)
	case r.epoch <= max(l.behind.Epoch, before.epoch) || r.round < l.behind.Round || r.round <= before.round:
		c.w.violate("R-71", "adopted (%d, %d), seen was %v and the disk had (%d, %d)", r.epoch, r.round, *l.behind, before.epoch, before.round)
	case r.base != base.model:
		c.w.violate("I4", "the adopted record of round %d starts from %x, round %d made %x", r.round, r.base[:4], base.round, base.model[:4])
	case r.model != base.model && !slices.ContainsFunc(l.lost, func(o *record) bool { return o.model == r.model }):
		c.w.violate("R-71", "adopted %x, which no record made", r.model[:4])
	case len(r.entries) > 0:
		c.w.violate("RC-15", "the adopted record of round %d has entries", r.round)
	}
	l.above, l.behind, l.kept = *l.behind, nil, nil
	clear(l.promised)
	maps.Copy(l.counted, l.gone) // nothing of what is lost counts from here on
}

// knowsLost reports whether a site was told the end of a round whose record is lost.
func (c *checker) knowsLost(s *site, rnd uint64) bool {
	if c.closed[fate{site: s.i, round: rnd}] {
		return true
	}
	return slices.ContainsFunc(c.lines[0].lost, func(r *record) bool {
		return r.round == rnd && slices.ContainsFunc(r.entries, func(e round.Entry) bool {
			return e.Member == s.path && c.told[fate{s.i, rnd, 0, e.Content}]
		})
	})
}
