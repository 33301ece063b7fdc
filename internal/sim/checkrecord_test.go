package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
)

// recorded checks a record in the transaction that makes it durable.
func (c *checker) recorded(a *agg, r *record) {
	w, l := c.w, c.lines[a.n]
	w.note(noteRecord, a.node(), r.round, uint64(r.attempt), r.hash)
	if w.trace.keep {
		w.say("epoch %d committed %v %s: %s", r.epoch, r.committed, r.reason, verdicts(r))
	}
	defer func() { l.records = append(l.records, r) }()
	if len(l.records) == 0 {
		return
	}
	if r.adopted {
		c.adopted(l, r)
		return
	}
	before, base := l.records[len(l.records)-1], l.lastCommitted()
	switch {
	case r.prev != before.hash:
		w.violate("I5", "record of round %d, attempt %d does not name the one before", r.round, r.attempt)
	case !(stamp{before.epoch, before.round, before.attempt}).below(stamp{r.epoch, r.round, r.attempt}):
		w.violate("I1", "record (%d, %d, %d) after (%d, %d, %d)", r.epoch, r.round, r.attempt, before.epoch, before.round, before.attempt)
	case r.round != base.round+1:
		w.violate("I1", "a record of round %d, and round %d was committed last", r.round, base.round)
	case r.base != base.model:
		w.violate("I4", "round %d starts from %x, round %d made %x", r.round, r.base[:4], base.round, base.model[:4])
	}
	c.entries(l, r)
	c.keptOn(l, r)
	c.ended(l, r)
	if !r.committed {
		l.kept = slices.DeleteFunc(slices.Clone(r.entries), func(e round.Entry) bool { return e.Verdict != verdict.Kept })
		return
	}
	l.kept = nil
	c.recompute(r)
	c.promises(l, r)
}

// verdicts counts what became of the members.
func verdicts(r *record) string {
	n := map[verdict.Reason]int{}
	for _, e := range r.entries {
		n[e.Verdict]++
	}
	var out []string
	for _, v := range verdict.All() {
		if n[v] > 0 {
			out = append(out, fmt.Sprintf("%s %d ", v, n[v]))
		}
	}
	return strings.Join(out, "")
}

// entries checks the set of a record against the order and against what was
// made (I1, I2).
func (c *checker) entries(l *lineage, r *record) {
	w, counted := c.w, 0
	o := l.orders[stamp{r.epoch, r.round, r.attempt}]
	paths := sha256.New()
	for i, e := range r.entries {
		if i > 0 && r.entries[i-1].Member >= e.Member {
			w.violate("I2", "round %d: %s after %s", r.round, e.Member, r.entries[i-1].Member)
		}
		paths.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(e.Member)))) // short
		paths.Write([]byte(e.Member))
		if e.Verdict == verdict.Counted || e.Verdict == verdict.Kept {
			c.accepted(l, r, o, e)
		}
		if e.Verdict != verdict.Counted {
			continue
		}
		counted++
		k := made{e.Member, e.Content}
		if was, ok := l.counted[k]; ok {
			w.violate("I3", "%x of %s is counted in round %d and in round %d", k.content[:4], k.member, was, r.round)
		}
		l.counted[k] = r.round
		if of := r.round - e.Staleness; of <= l.latest[e.Member] {
			w.violate("I2", "round %d counts what %s made for round %d, after that for round %d", r.round, e.Member, of, l.latest[e.Member])
		}
		l.latest[e.Member] = r.round - e.Staleness
	}
	switch {
	case r.committed && counted < w.plan.Quorum:
		w.violate("I2", "round %d is committed with %d of a quorum of %d", r.round, counted, w.plan.Quorum)
	case !r.committed && counted > 0:
		w.violate("I2", "round %d, attempt %d is abandoned and counts %d", r.round, r.attempt, counted)
	case o == nil:
	case o.CohortSize != uint32(len(r.entries)) || !bytes.Equal(o.CohortHash[:], paths.Sum(nil)): // few
		w.violate("I2", "round %d, attempt %d: the record's members are not the order's cohort", r.round, r.attempt)
	case o.hash != r.order || o.Base != r.base || o.Work != r.work:
		w.violate("I4", "round %d, attempt %d: the record is of another order", r.round, r.attempt)
	}
}

// accepted checks one update of a sum.
func (c *checker) accepted(l *lineage, r *record, o *orderMsg, e round.Entry) {
	m, ok := c.made[made{e.Member, e.Content}]
	base, work := r.base, r.work
	if e.Staleness > 0 {
		base, work = l.baseOf(r.round - e.Staleness)
	}
	switch {
	case !ok:
		c.w.violate("I2", "round %d holds %x of %s, who never made it", r.round, e.Content[:4], e.Member)
	case e.Staleness > c.w.plan.Late || work != r.work || e.Staleness > 0 && work != "train":
		c.w.violate("I2", "round %d of %s holds an update of %s, %d versions behind, of %s", r.round, r.work, e.Member, e.Staleness, work)
	case m.round != r.round-e.Staleness || m.base != base || e.Staleness == 0 && m.attempt > r.attempt:
		c.w.violate("I2", "round %d on %x holds an update of %s for round %d on %x", r.round, r.base[:4], e.Member, m.round, m.base[:4])
	case o != nil && e.Staleness == 0 && m.latest < o.ValidFrom:
		c.w.violate("I2", "round %d, attempt %d holds an update of %s of attempt %d, which has lapsed", r.round, r.attempt, e.Member, m.attempt)
	case e.Weight != c.weight(r, m.samples):
		c.w.violate("I4", "round %d: %s has the weight %d for %d samples", r.round, e.Member, e.Weight, m.samples)
	case e.Samples != m.samples:
		c.w.violate("I4", "round %d: %s has %d samples, said %d", r.round, e.Member, e.Samples, m.samples)
	}
}

func (c *checker) weight(r *record, n uint64) uint64 {
	if r.work != "train" {
		return 1
	}
	switch c.w.plan.Weights {
	case round.WeightUniform:
		n = 1
	case round.WeightSqrt:
		s := uint64(0)
		for s*s+s < n { // (s + 1/2)^2
			s++
		}
		n = s
	case round.WeightSamples:
	}
	return min(n, r.params.Cap)
}

// keptOn: what an abandoned attempt has kept is in the next one, or named.
func (c *checker) keptOn(l *lineage, r *record) {
	for _, k := range l.kept {
		ok := slices.ContainsFunc(r.entries, func(e round.Entry) bool {
			return e.Member == k.Member && e.Content == k.Content && slices.Contains([]verdict.Reason{
				verdict.Kept, verdict.Counted, verdict.Lost, verdict.Lapsed,
			}, e.Verdict)
		})
		if !ok {
			c.w.violate("I3", "round %d, attempt %d: %x of %s was kept, and nothing is said of it", r.round, r.attempt, k.Content[:4], k.Member)
		}
	}
}

// ended checks why an attempt has ended.
func (c *checker) ended(l *lineage, r *record) {
	w, n := c.w, 0
	missing, lost := "", "" // who is lost may have declined
	for _, e := range r.entries {
		switch e.Verdict {
		case verdict.Counted, verdict.Kept:
			n++
		case verdict.Lost, verdict.Lapsed: // which may have been promised
			lost = e.Member
		case verdict.Missing, verdict.NotDue:
			missing = e.Member
		}
	}
	grace := min(10_000, w.plan.Deadline/10) + 5_000
	late := l.clock.of == (stamp{r.epoch, r.round, r.attempt}) && l.clock.total(w.now) > w.plan.Deadline+grace
	var age ms
	opened, ok := l.open[stamp{r.epoch, r.round, r.attempt}]
	if ok {
		age = w.now - opened
	}
	switch {
	case r.reason == round.CloseAll && missing != "":
		w.violate("I10", "round %d, attempt %d ended with all, without %s", r.round, r.attempt, missing)
	case r.reason == round.CloseGoal && (n < w.plan.Goal || w.plan.Late > 0 && (n < w.plan.Buffer || r.work != "train")):
		w.violate("I10", "round %d, attempt %d of %s ended at its goal of %d with %d", r.round, r.attempt, r.work, max(w.plan.Goal, w.plan.Buffer), n)
	case r.reason == round.CloseDeadline && age < w.plan.Deadline:
		w.violate("I10", "round %d, attempt %d ended at the deadline after %d ms", r.round, r.attempt, age)
	case r.reason == round.CloseDeadline && missing == "" && lost == "":
		w.violate("I10", "round %d, attempt %d ended at the deadline, and nobody was missing", r.round, r.attempt)
	case late:
		w.violate("I10", "round %d, attempt %d lasted %d ms with a link, the deadline is %d", r.round, r.attempt, l.clock.total(w.now), w.plan.Deadline)
	case r.reason == round.CloseDeadline && w.quiet && len(c.lines) == 1 && l.lost == nil && w.plan.Deadline >= 300_000 && opened > w.plan.QuietAt && missing != "":
		w.violate("I10", "round %d, attempt %d waited for %s until the deadline, and nothing was wrong", r.round, r.attempt, missing)
	}
}

// recompute makes the model of a record anew (I4).
func (c *checker) recompute(r *record) {
	if r.work == "evaluate" {
		if r.model != r.base {
			c.w.violate("I4", "round %d only evaluates, and changes the model", r.round)
		}
		return
	}
	in := append([]byte{}, r.base[:]...)
	n := 0
	for _, e := range r.entries {
		if e.Verdict == verdict.Counted {
			n++
			in = append(append(in, e.Member...), e.Content[:]...)
			in = append(in, byte(e.Weight), byte(e.Weight>>8), byte(e.Weight>>16), 1)
		}
	}
	in = append(in, byte(n))
	seed := sha256.Sum256(in)
	x, y := binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])
	var b []byte
	for len(b) < c.w.plan.Size {
		x = bits.RotateLeft64(x, 23)*0x9e3779b97f4a7c15 + y
		b = binary.LittleEndian.AppendUint64(b, x^x>>31)
	}
	frozen := c.w.plan.genesis() // some stretches of 16 bytes never change, or come back
	for i := 16; i < c.w.plan.Size; i++ {
		if r.base[i/16%32]&3 == 0 {
			b[i] = frozen[i]
		}
	}
	if sha256.Sum256(b[:c.w.plan.Size]) != r.model {
		c.w.violate("I4", "round %d: the model is not what its record makes", r.round)
	}
}

// promises: every receipt of the round is counted, or named with a reason (I3).
func (c *checker) promises(l *lineage, r *record) {
	for _, p := range l.promised[r.round] {
		ok := l.counted[p] == r.round && slices.ContainsFunc(r.entries, func(e round.Entry) bool {
			return e.Member == p.member && e.Content == p.content && e.Verdict == verdict.Counted
		})
		for _, o := range append(slices.Clone(l.records), r) {
			ok = ok || o.round == r.round && slices.ContainsFunc(o.entries, func(e round.Entry) bool {
				return e.Member == p.member && e.Content == p.content && (e.Verdict == verdict.Lost || e.Verdict == verdict.Lapsed)
			})
		}
		if !ok {
			c.w.violate("I3", "round %d: %x of %s had a receipt, and no record speaks of it", r.round, p.content[:4], p.member)
		}
	}
	delete(l.promised, r.round)
}
