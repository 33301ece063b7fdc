// Package wire is fedmq's msgpack wire format: the signed envelope, the bodies
// of all message kinds, their limits, and compression. docs/spec/wire.md states
// the rules by number (W-1 ...); the code cites them.
//
// To send, build a message ([Order], [Model], [Join], [Update], [Decline],
// [Welcome] ...), [Encode] it and [Seal] the body. To receive, make an [Opener]
// once, [Opener.Open] what arrived on a topic, then call the Decode function of
// the header's kind. [Inspect] shows any message to a person.
//
// What does not fit one message travels as a [Blob] in parts: a [Manifest] or
// an [Offer] is signed and lists the hash of each [Part], which is no envelope
// ([AppendPart], [DecodePart], [Blob.Holds]).
//
// Everything that arrives is hostile until proven otherwise: bytes are scanned
// before they are decoded, lengths are checked before memory is taken, and no
// input makes the package panic, recurse or hang. Each message has exactly one
// encoding, so accepted bytes re-encode to themselves. The package does no
// network input or output, reads no clock, and never decides who is a member:
// that belongs to the round.
//
// A received slice belongs to the receiver: what Open and the Decode functions
// return may alias the payload, which must not be changed afterwards.
package wire

import (
	"encoding/hex"
	"fmt"

	"github.com/fedmq/fedmq/topics"
)

// Version is the envelope version this package speaks (W-5).
const Version = 1

// The message kinds, spelled as the leaf of their topic (W-9).
const (
	KindOrder  = "order"
	KindModel  = "model"
	KindReply  = "reply"
	KindJoin   = "join"
	KindUpdate = "update"
	KindNeed   = "need"

	KindReleased = "released" // a model, too
	KindCanary   = "canary"   // likewise
)

// The encodings of a model or an update body (W-19). All other kinds leave the
// field empty.
const (
	EncodingDense     = "dense"      // little-endian tensors as they are
	EncodingDenseZstd = "dense+zstd" // the whole body is one zstd frame
)

// The work an order asks for (W-26).
const (
	WorkTrain      = "train"
	WorkEvaluate   = "evaluate"
	WorkStatistics = "statistics"
	WorkInit       = "init"
	WorkNone       = "none"
)

// SampleAll is the Order.SampleThreshold that chooses every welcomed site.
const SampleAll = ^uint64(0)

// kindInfo says where a kind travels and who may send it (W-9).
type kindInfo struct {
	topic   topics.Kind
	role    topics.Role
	member  bool // written by a member: bound by the current round (step 6)
	tensors bool // carries an encoding
}

// kindOf is the closed list of kinds; ok is false for any other spelling.
func kindOf(kind string) (info kindInfo, ok bool) {
	switch kind {
	case KindOrder:
		return kindInfo{topic: topics.Order, role: topics.RoleAggregator}, true
	case KindModel:
		return kindInfo{topic: topics.Model, role: topics.RoleAggregator, tensors: true}, true
	case KindReleased:
		return kindInfo{topic: topics.Released, role: topics.RoleAggregator, tensors: true}, true
	case KindCanary:
		return kindInfo{topic: topics.Canary, role: topics.RoleAggregator, tensors: true}, true
	case KindReply:
		return kindInfo{topic: topics.Reply, role: topics.RoleAggregator}, true
	case KindJoin:
		return kindInfo{topic: topics.Join, role: topics.RoleSite, member: true}, true
	case KindUpdate:
		return kindInfo{topic: topics.Update, role: topics.RoleSite, member: true, tensors: true}, true
	case KindNeed:
		return kindInfo{topic: topics.Need, role: topics.RoleSite, member: true}, true
	}
	return kindInfo{}, false
}

// encodingOK reports whether a kind may carry an encoding (W-19).
func (k kindInfo) encodingOK(encoding string) bool {
	if k.tensors {
		return encoding == EncodingDense || encoding == EncodingDenseZstd
	}
	return encoding == ""
}

// originOK reports whether a kind may carry an origin: only a model may have none,
// as anybody may publish one (W-43).
func (k kindInfo) originOK(origin Nonce) bool { return k.topic == topics.Model || !origin.IsZero() }

// Nonce is 16 random bytes: a task's origin, a process's instance, a sampling seed. The
// zero Nonce is "absent" where a field allows that.
type Nonce [16]byte

// String returns lower-case hex.
func (n Nonce) String() string { return hex.EncodeToString(n[:]) }

// MarshalText returns lower-case hex, "" for the zero Nonce.
func (n Nonce) MarshalText() ([]byte, error) {
	if n == (Nonce{}) {
		return []byte{}, nil
	}
	return []byte(n.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (n *Nonce) UnmarshalText(b []byte) error { return fromHex(n[:], b) }

// IsZero reports whether the nonce is absent.
func (n Nonce) IsZero() bool { return n == Nonce{} }

// fromHex reads hex digits that fill dst, or nothing for zeros.
func fromHex(dst, b []byte) error {
	clear(dst)
	if len(b) == 0 {
		return nil
	}
	if len(b) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("wire: %d hex digits, want %d", len(b), hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, b); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	return nil
}
