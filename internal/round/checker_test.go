package round_test

import (
	"reflect"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
)

// The checkers below read only what an outsider sees: the durable records, the
// receipts and the orders that left.

// checkRecords is I1 and I2: only a commit consumes a number, numbers do not
// fall, each record is of the base before it, an accepted set has distinct
// members of the cohort.
func checkRecords(t *rapid.T, w *world) {
	next, base := uint64(1), w.cfg.Base
	var epoch uint64
	var last closed
	counted := map[model.Hash]uint64{}
	for _, r := range w.log {
		switch {
		case r.round != next:
			t.Fatalf("I1: record of round %d, want %d", r.round, next)
		case r.epoch < epoch:
			t.Fatalf("I1: epoch %d after %d", r.epoch, epoch)
		case r.round == last.round && r.attempt <= last.attempt:
			t.Fatalf("I1: attempt %d.%d after %d.%d", r.round, r.attempt, last.round, last.attempt)
		case r.base != base:
			t.Fatalf("I2: record %d on base %v, want %v", r.round, r.base, base)
		}
		members := map[string]bool{}
		n := 0
		for _, e := range r.entries {
			if members[e.Member] {
				t.Fatalf("I2: %s twice in record %d.%d", e.Member, r.round, r.attempt)
			}
			members[e.Member] = true
			if e.Verdict != verdict.Counted {
				continue
			}
			if n++; !r.committed {
				t.Fatalf("I3: %s counted in an abandoned record", e.Member)
			}
			if in, twice := counted[e.Content]; twice {
				t.Fatalf("I3: %s counted in rounds %d and %d", text(e.Content[:]), in, r.round)
			}
			counted[e.Content] = r.round
		}
		if r.committed {
			if n < w.cfg.Quorum {
				t.Fatalf("record %d of %d members, quorum %d", r.round, n, w.cfg.Quorum)
			}
			next, base = r.round+1, r.next
		}
		epoch, last = r.epoch, r
	}
	rounds := w.cfg.Rounds + 1
	if w.cfg.Statistics {
		rounds++
	}
	if next != rounds+1 {
		t.Fatalf("%d rounds committed, want %d", next-1, rounds)
	}
}

// checkReceipts is I3: what was receipted is counted in the committed record
// of its round, once, or else a record of that round says why not.
func checkReceipts(t *rapid.T, w *world) {
	for _, rc := range w.receipts {
		counted, excused := 0, 0
		for _, r := range w.log {
			if r.round != rc.round {
				continue
			}
			for _, e := range r.entries {
				if e.Member != rc.member || e.Content != rc.content {
					continue
				}
				switch e.Verdict {
				case verdict.Counted:
					counted++
				case verdict.Lost, verdict.Lapsed:
					excused++
				}
			}
		}
		if counted > 1 || counted+excused == 0 {
			t.Fatalf("I3: receipt of %s for %s in round %d: counted %d times, excused %d times",
				text(rc.content[:]), rc.member, rc.round, counted, excused)
		}
	}
}

// checkOrders is I1 for what the broker saw: (epoch, round, attempt) never
// falls, no two processes share an epoch, and an attempt has one order.
func checkOrders(t *rapid.T, w *world) {
	var last seen
	for _, o := range w.orders {
		older := o.Epoch < last.Epoch || o.Round < last.Round || o.Round == last.Round && o.Attempt < last.Attempt
		switch {
		case older:
			t.Fatalf("I1: order e%d %d.%d after e%d %d.%d", o.Epoch, o.Round, o.Attempt, last.Epoch, last.Round, last.Attempt)
		case o.boot != last.boot && o.Epoch == last.Epoch:
			t.Fatalf("I1: two processes sent orders of epoch %d", o.Epoch)
		case o.Round == last.Round && o.Attempt == last.Attempt && !reflect.DeepEqual(o.Order, last.Order):
			t.Fatalf("two orders for %d.%d: %+v, %+v", o.Round, o.Attempt, last, o)
		}
		last = o
	}
}
