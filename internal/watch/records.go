package watch

import (
	"cmp"

	"github.com/fedmq/fedmq/record"
)

// How a record's head hangs together with those that were seen before.
const (
	ChainFirst  = "first"  // the first one seen from here
	ChainLinked = "linked" // it names the hash of one that was seen, by its prev
	ChainGap    = "gap"    // records in between were not seen from here
	ChainBroken = "broken" // it must name the last one and does not, or takes another's place
)

// What is known of a head's signature.
const (
	SigNone     = "unsigned"
	SigUnknown  = "signed" // by whom was not checked: no key was given
	SigVerified = "verified"
	SigBad      = "bad"
)

// chain is the last head of a task.
type chain struct {
	head  record.Head
	known bool
}

// head takes the head of a record in (RC-12).
func (f *Federation) head(t *task, m Message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	h, err := record.DecodeHead(m.Payload)
	if err != nil {
		return err
	}
	if h.Task != t.name || h.Owner != t.topics.Node() {
		return errForeign
	}
	for _, r := range t.rounds {
		if r.Hash == h.Hash.String() {
			return nil // once more
		}
	}
	if t.chain.known && t.chain.head.Hash == h.Hash {
		return nil
	}
	state := t.chain.next(h, t.rounds)
	r := f.entry(t, h.Round, uint64(h.Attempt))
	if r == nil {
		return nil // older than all that is kept
	}
	r.Work, r.Verdict, r.Reason = clip(h.Work, maxWord), clip(h.Verdict, maxWord), clip(h.Reason, maxText)
	r.Members, r.Counts, r.Counted, r.Kept = h.Members, clipNames(h.Counts), h.Counts["counted"], h.Counts["kept"]
	r.Version, r.ClosedMS, r.Staleness = h.Version, h.CommittedMS, h.Staleness
	r.Hash, r.Prev, r.Model = h.Hash.String(), h.Prev.String(), h.Model.String()
	r.Chain, r.Sig = state, f.signature(m.Payload, h)
	if r.Sig != SigBad {
		t.chain = chain{head: h, known: true}
	}
	f.gather(t)
	return nil
}

// next compares a new head with the ones before it.
func (c *chain) next(h record.Head, rounds []*round) string {
	if !c.known {
		return ChainFirst
	}
	l := c.head
	if l.Hash == h.Prev {
		return ChainLinked
	}
	for prev := h.Prev.String(); len(rounds) > 0; rounds = rounds[1:] {
		if rounds[0].Hash == prev {
			return ChainBroken // beside the one that followed there
		}
	}
	follows := h.Round == l.Round+1 && h.Attempt <= 1 && l.Verdict == record.Committed
	older := cmp.Or(cmp.Compare(h.Round, l.Round), cmp.Compare(h.Attempt, l.Attempt)) <= 0
	if follows || older {
		return ChainBroken
	}
	return ChainGap
}

func (f *Federation) signature(b []byte, h record.Head) string {
	switch {
	case h.Sig == "":
		return SigNone
	case f.cfg.Keys == nil:
		return SigUnknown
	}
	if err := record.VerifyHeadSig(b, f.cfg.Keys); err != nil {
		return SigBad
	}
	return SigVerified
}
