// Package verdict is the closed list of what can become of a contribution:
// counted, refused for one of the reasons of the protocol, or not in the sum
// though its member was in the cohort. Records, replies and events all spell a
// verdict as [Reason.String] does; nothing else on the wire says why.
//
// It never decides anything: package round and the decoders do.
package verdict

import (
	"fmt"
	"slices"
)

// Reason is one verdict. The zero value None means that there is none.
type Reason uint8

// The verdicts. The order in memory is not part of any format.
const (
	// None: no verdict yet. It is spelled "" and never sent.
	None Reason = iota

	// Counted: in the sum of a committed round, once.
	Counted

	// Malformed: the envelope or the body does not decode.
	Malformed
	// TooLarge: longer than the limits of the task.
	TooLarge
	// UnknownMember: the path is no member, or was never welcomed.
	UnknownMember
	// BadSignature: the signature or the key is not the sender's.
	BadSignature
	// WrongTopic: signed for another topic than the one it arrived on.
	WrongTopic
	// FutureRound: beyond the current round, or the current attempt.
	FutureRound
	// OtherOrigin: made for a former life of the task.
	OtherOrigin

	// StaleRound: of an attempt that has lapsed.
	StaleRound
	// WrongBase: made from another model than the order's base.
	WrongBase
	// SchemaMismatch: other tensors than the task's.
	SchemaMismatch
	// ContractMismatch: another meaning of inputs or output than the task's.
	ContractMismatch
	// Unsupported: has something that this version lacks.
	Unsupported
	// NotFinite: holds a NaN or an infinity.
	NotFinite
	// OutOfRange: a value beyond the grid, or a weight of zero.
	OutOfRange
	// NormOutlier: longer than the guard's threshold for the round.
	NormOutlier
	// Conflict: other content than what was already accepted of this member.
	Conflict
	// NotInCohort: the order did not ask this member.
	NotInCohort
	// OldCounter: a new body whose counter is not above the last.
	OldCounter
	// BudgetExhausted: the member's privacy budget is spent.
	BudgetExhausted

	// Declined: the member said that it does not take part in the attempt.
	Declined
	// Missing: nothing usable came before the deadline.
	Missing
	// Lost: receipted before a restart, and not offered again in time.
	Lost
	// NotDue: the attempt ended before its deadline, without this member: at
	// its goal, or by an operator.
	NotDue
	// Kept: accepted in an attempt that was abandoned; it stays in the sum for
	// the next attempt of the same round.
	Kept
	// Lapsed: accepted, then dropped with all others of the round because
	// refusals had made the quorum unreachable. The member trains again.
	Lapsed

	last = Lapsed
)

var names = [...]string{
	None:             "",
	Counted:          "counted",
	Malformed:        "malformed",
	TooLarge:         "too_large",
	UnknownMember:    "unknown_member",
	BadSignature:     "bad_signature",
	WrongTopic:       "wrong_topic",
	FutureRound:      "future_round",
	OtherOrigin:      "other_origin",
	StaleRound:       "stale_round",
	WrongBase:        "wrong_base",
	SchemaMismatch:   "schema_mismatch",
	ContractMismatch: "contract_mismatch",
	Unsupported:      "unsupported",
	NotFinite:        "not_finite",
	OutOfRange:       "out_of_range",
	NormOutlier:      "norm_outlier",
	Conflict:         "conflict",
	NotInCohort:      "not_in_cohort",
	OldCounter:       "old_counter",
	BudgetExhausted:  "budget_exhausted",
	Declined:         "declined",
	Missing:          "missing",
	Lost:             "lost",
	NotDue:           "not_due",
	Kept:             "kept",
	Lapsed:           "lapsed",
}

// String returns the spelling on the wire, in records and in events.
func (r Reason) String() string {
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("verdict(%d)", uint8(r))
}

// Parse returns the reason spelled s. None has no spelling that it accepts.
func Parse(s string) (Reason, bool) {
	r := slices.Index(names[:], s)
	return Reason(max(r, 0)), r > 0
}

// All returns every reason but None, in the order of this package.
func All() []Reason {
	var all []Reason
	for r := Counted; r <= last; r++ {
		all = append(all, r)
	}
	return all
}

// Refusal reports whether r is one of the protocol's refusals, which may
// stand in a refusal reply.
func (r Reason) Refusal() bool { return r >= Malformed && r <= BudgetExhausted }

// Authenticated reports whether a refusal is about a message of a known
// member: those are answered each time, shown on the event topic and named in
// the record. The others anybody can provoke: they are counted, and answered
// at most once a second.
func (r Reason) Authenticated() bool { return r >= StaleRound && r <= BudgetExhausted }

// Beyond reports whether r is about values that are too large to count, or no numbers.
func (r Reason) Beyond() bool { return r == NotFinite || r == OutOfRange || r == NormOutlier }

// Scale says what helps where most updates of a round are [Reason.Beyond]: then it is not
// one odd site.
const Scale = "columns that nothing scales want statistics: zscore, a target far from 1 its offset and scale; else a smaller lr"

// MarshalText writes the spelling; None is empty.
func (r Reason) MarshalText() ([]byte, error) {
	if r > last {
		return nil, fmt.Errorf("verdict: no reason %d", uint8(r))
	}
	return []byte(names[r]), nil
}

// UnmarshalText reads what MarshalText wrote.
func (r *Reason) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*r = None
		return nil
	}
	got, ok := Parse(string(b))
	if !ok {
		return fmt.Errorf("verdict: %q is no verdict", b)
	}
	*r = got
	return nil
}
