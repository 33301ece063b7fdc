package round

import (
	"encoding/hex"
	"fmt"
)

// ID is a SHA-256: a content id, a schema hash or the hash of a record. The
// zero ID means that there is none.
type ID [32]byte

// Instance names one run of a process; it is drawn at random at each start.
type Instance [16]byte

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

// String returns 64 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes hex digits, or nothing for the zero ID.
func (id ID) MarshalText() ([]byte, error) { return marshalHex(id[:], id.IsZero()) }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error { return unmarshalHex(id[:], b) }

// IsZero reports whether no instance is known.
func (in Instance) IsZero() bool { return in == Instance{} }

// String returns 32 hex digits.
func (in Instance) String() string { return hex.EncodeToString(in[:]) }

// MarshalText writes hex digits, or nothing for the zero Instance.
func (in Instance) MarshalText() ([]byte, error) { return marshalHex(in[:], in.IsZero()) }

// UnmarshalText reads what MarshalText wrote.
func (in *Instance) UnmarshalText(b []byte) error { return unmarshalHex(in[:], b) }

func marshalHex(b []byte, zero bool) ([]byte, error) {
	if zero {
		return []byte{}, nil
	}
	return []byte(hex.EncodeToString(b)), nil
}

func unmarshalHex(dst, b []byte) error {
	clear(dst)
	if len(b) == 0 {
		return nil
	}
	if len(b) != 2*len(dst) {
		return fmt.Errorf("round: %d hex digits, want %d", len(b), 2*len(dst))
	}
	if _, err := hex.Decode(dst, b); err != nil {
		return fmt.Errorf("round: %w", err)
	}
	return nil
}
