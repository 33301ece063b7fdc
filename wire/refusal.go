package wire

import (
	"errors"
	"fmt"
)

// The reasons this package refuses for, spelled as on the wire; part of the
// closed list of docs/spec/rounds.md.
const (
	ReasonMalformed      = "malformed"
	ReasonTooLarge       = "too_large"
	ReasonUnknownMember  = "unknown_member"
	ReasonBadSignature   = "bad_signature"
	ReasonWrongTopic     = "wrong_topic"
	ReasonFutureRound    = "future_round"
	ReasonOtherOrigin    = "other_origin"
	ReasonWrongBase      = "wrong_base"
	ReasonSchemaMismatch = "schema_mismatch"
	ReasonNotFinite      = "not_finite"
	ReasonUnsupported    = "unsupported" // this version lacks what the detail names
)

// The stages of verification, in the order in which a receiver goes through
// them (W-14). Open does 1 to 10, the Decode functions 11 to 13.
const (
	StageSize       = 1  // size cap of the kind
	StageStructure  = 2  // envelope and header: structure, canonical form
	StageKey        = 3  // the key is known, not revoked, and may send this kind
	StageTopic      = 4  // header.topic is the arrival topic
	StageSender     = 5  // topic = sender + marker + task + kind; sender is the key's
	StageRound      = 6  // the origin is the receiver's; members: round within the bound
	StageSignature  = 7  // Ed25519
	StageHash       = 8  // body length and hash
	StageSealed     = 9  // payload encryption (no message of this version uses it)
	StageDecompress = 10 // encoding known, plain size within the bound, zstd
	StageScan       = 11 // structure scan of the body
	StageDecode     = 12 // typed decode
	StageSchema     = 13 // schema, finite, claims of the header about the body
)

var stageNames = [...]string{
	StageSize: "size", StageStructure: "structure", StageKey: "key", StageTopic: "topic",
	StageSender: "sender", StageRound: "round", StageSignature: "signature", StageHash: "hash",
	StageSealed: "sealed", StageDecompress: "decompress", StageScan: "scan",
	StageDecode: "decode", StageSchema: "schema",
}

// Refusal says why bytes were not accepted. Every error of Open, Scan and the
// Decode functions is one.
type Refusal struct {
	Reason string `json:"reason"` // closed list, see the Reason constants
	Stage  int    `json:"stage"`  // where: StageSize .. StageSchema
	Detail string `json:"detail"` // what was found and what was wanted
}

// Error returns one line: reason, stage and detail.
func (r *Refusal) Error() string {
	name := "?"
	if r.Stage > 0 && r.Stage < len(stageNames) {
		name = stageNames[r.Stage]
	}
	return fmt.Sprintf("wire: %s at step %d (%s): %s", r.Reason, r.Stage, name, r.Detail)
}

// Authenticated reports whether the sender's signature had held when the
// message was refused, on a task that signs: such a refusal is answered and
// recorded, any other is only counted (W-15).
func (r *Refusal) Authenticated() bool { return r.Stage > StageSignature }

// Unsupported returns what of a good message this version lacks, if an error says
// so; else "".
func Unsupported(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok && r.Reason == ReasonUnsupported {
		return r.Detail
	}
	return ""
}

func refuse(reason string, stage int, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Stage: stage, Detail: fmt.Sprintf(format, args...)}
}

// short quotes a peer's string for a detail, cut to a readable length.
func short(s string) string {
	const most = 96
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
