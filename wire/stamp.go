package wire

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Stamp says which order is meant. Of two orders a site obeys the one with the
// higher stamp (S-5).
type Stamp struct {
	Epoch   uint64 `json:"epoch"`
	Round   uint64 `json:"round"`
	Attempt uint32 `json:"attempt"`
}

// Compare orders stamps by epoch, then round, then attempt.
func (s Stamp) Compare(o Stamp) int {
	return cmp.Or(cmp.Compare(s.Epoch, o.Epoch), cmp.Compare(s.Round, o.Round), cmp.Compare(s.Attempt, o.Attempt))
}

// String is the stamp for people.
func (s Stamp) String() string {
	return fmt.Sprintf("(epoch %d, round %d, attempt %d)", s.Epoch, s.Round, s.Attempt)
}

// Stamp is that of the order which a message belongs to.
func (h Header) Stamp() Stamp { return Stamp{Epoch: h.Epoch, Round: h.Round, Attempt: h.Attempt} }

// Sampled reports whether an order's sample asks the member of a path: the first
// 8 bytes of SHA-256(seed || path), big-endian, are below the threshold (R-11, S-8).
func Sampled(seed Nonce, threshold uint64, path string) bool {
	if threshold == SampleAll {
		return true
	}
	h := sha256.Sum256(append(seed[:], path...))
	return binary.BigEndian.Uint64(h[:8]) < threshold
}
