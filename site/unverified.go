package site

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/wire"
)

// unverified counts what did not verify and says so at most once a second,
// without payloads (S-3).
type unverified struct {
	log    zerolog.Logger
	audit  func(Audited) // nil: nobody asks
	last   ms
	counts map[unverifiedKind]int
	why    map[unverifiedKind]string // of the last one
}

type unverifiedKind struct{ topic, reason string }

// maxUnverified bounds the kinds of refusal remembered between two lines.
const maxUnverified = 64

func (r *unverified) add(now ms, topic string, why *wire.Refusal) {
	if r.counts == nil {
		r.counts, r.why = map[unverifiedKind]int{}, map[unverifiedKind]string{}
	}
	k := r.kind(topic, why.Reason)
	r.counts[k]++
	r.why[k] = why.Detail
	r.flush(now)
}

// kind is under what a refusal is counted.
func (r *unverified) kind(topic, reason string) unverifiedKind {
	k := unverifiedKind{topic, reason}
	if _, known := r.counts[k]; !known && len(r.counts) >= maxUnverified {
		k = unverifiedKind{"others", "several"}
	}
	return k
}

// due is when a line may be written, 0 if there is nothing to say.
func (r *unverified) due() ms {
	if len(r.counts) == 0 {
		return 0
	}
	return r.last + 1_000
}

func (r *unverified) flush(now ms) {
	if at := r.due(); at == 0 || now < at {
		return
	}
	for k, n := range r.counts { // any one, so that none waits for good
		r.log.Warn().Str("topic", k.topic).Str("reason", k.reason).Int("messages", n).Str("detail", r.why[k]).Msg("messages refused")
		r.tell(k, n)
		break
	}
	r.last = now
}

// tell has the audit log say how many messages of a kind were refused.
func (r *unverified) tell(k unverifiedKind, n int) {
	if r.audit != nil {
		r.audit(Audited{Event: audit.Refused, Topic: k.topic, Reason: k.reason, Count: n})
	}
	delete(r.counts, k)
	delete(r.why, k)
}

// end tells the rest at once, to the audit log, which is to have every message.
func (r *unverified) end() {
	of := slices.SortedFunc(maps.Keys(r.counts), func(a, b unverifiedKind) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.reason, b.reason))
	})
	for _, k := range of {
		r.tell(k, r.counts[k])
	}
}
