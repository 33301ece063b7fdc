package sim

import (
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// checker is an onlooker. It sees what becomes durable, what leaves and what
// arrives, and holds it against the invariants; it asks no machine anything.
type checker struct {
	w            *World
	lines        []*lineage // by aggregator
	made         map[made]madeOf
	seen         []*orderMsg // highest order that a site was given
	told         map[fate]bool
	taken        map[fate]*replyMsg // receipts that a site has got, by site and round
	granted      map[granted]bool
	closed       map[fate]bool // rounds that a site has seen the record of
	obeyed       []stamp
	joins        []uint64 // highest counter that left
	joined       []*joinMsg
	up, down     []paid // of the sites' caps
	inconclusive bool   // two aggregators have parted: an operator's matter
}

type stamp struct {
	epoch, round uint64
	attempt      uint32
}

func (s stamp) below(o stamp) bool {
	if s.epoch != o.epoch {
		return s.epoch < o.epoch
	}
	if s.round != o.round {
		return s.round < o.round
	}
	return s.attempt < o.attempt
}

// made names an update, by who made it.
type made struct {
	member  string
	content model.Hash
}

type madeOf struct {
	round   uint64
	attempt uint32 // the first
	latest  uint32 // attempt in which the same was made again
	base    model.Hash
	samples uint64
}

// fate is something that a site was told of an update.
type fate struct {
	site    int
	round   uint64
	attempt uint32 // of a refusal
	content model.Hash
}

// granted is a part that a site was asked for.
type granted struct {
	site int
	blob wire.BlobKey
	part uint32
}

// lineage is what one aggregator's disk has said so far.
type lineage struct {
	records  []*record
	orders   map[stamp]*orderMsg // that left
	epochs   map[uint64]wire.Nonce
	counted  map[made]uint64
	latest   map[string]uint64 // the round of the update of a member that counted last, of training
	promised map[uint64][]made // receipts that left, by round
	kept     []round.Entry     // accepted in the last abandoned attempt of the open round
	last     *orderMsg         // that left
	open     map[stamp]ms      // when an attempt's order had its first PUBACK
	clock    clock             // of the attempt that is open
	grants   map[string]map[uint32]ms
	lost     []*record       // that its disk has no longer: an older copy was restored
	gone     map[made]uint64 // what they counted
	behind   *wire.Stamp     // more than the disk knows, which stopped it
	above    wire.Stamp      // what it was adopted above
}

// clock is how long an attempt has run with a link.
type clock struct {
	of    stamp
	ran   ms
	since ms // of the link, -1 without one
}

func (c *clock) total(now ms) ms {
	if c.since < 0 {
		return c.ran
	}
	return c.ran + now - c.since
}

// linked notes the link of an aggregator.
func (c *checker) linked(a *agg, up bool) {
	k := &c.lines[a.n].clock
	k.ran = k.total(c.w.now)
	if k.since = -1; up {
		k.since = c.w.now
	}
}

func (c *checker) begin(w *World) {
	*c = checker{
		w: w, made: map[made]madeOf{},
		seen: make([]*orderMsg, len(w.sites)), told: map[fate]bool{}, taken: map[fate]*replyMsg{}, granted: map[granted]bool{}, closed: map[fate]bool{}, obeyed: make([]stamp, len(w.sites)), joins: make([]uint64, len(w.sites)), joined: make([]*joinMsg, len(w.sites)),
		up: make([]paid, len(w.sites)), down: make([]paid, len(w.sites)),
		lines: []*lineage{newLineage()},
	}
}

func newLineage() *lineage {
	return &lineage{
		counted: map[made]uint64{}, latest: map[string]uint64{}, promised: map[uint64][]made{}, grants: map[string]map[uint32]ms{},
		orders: map[stamp]*orderMsg{}, epochs: map[uint64]wire.Nonce{}, open: map[stamp]ms{},
	}
}

// takeover gives the second aggregator the past of the first.
func (c *checker) takeover() {
	c.lines = append(c.lines, c.lines[0].copy())
}

// copy is what a copy of the disk knows.
func (l *lineage) copy() *lineage {
	b := newLineage()
	b.records, b.counted, b.kept = slices.Clone(l.records), maps.Clone(l.counted), l.kept
	b.latest = maps.Clone(l.latest)
	b.orders, b.epochs, b.open = maps.Clone(l.orders), maps.Clone(l.epochs), maps.Clone(l.open)
	for r, list := range l.promised {
		b.promised[r] = slices.Clone(list)
	}
	return b
}

// baseOf is what a round began with, as its committed record says.
func (l *lineage) baseOf(round uint64) (base model.Hash, work string) {
	for _, r := range l.records {
		if r.committed && r.round == round {
			return r.base, r.work
		}
	}
	return base, ""
}

// lastCommitted is the record that the next round starts from.
func (l *lineage) lastCommitted() *record {
	for i := len(l.records) - 1; i >= 0; i-- {
		if l.records[i].committed || l.records[i].adopted {
			return l.records[i]
		}
	}
	return nil
}
