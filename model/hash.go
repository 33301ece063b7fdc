package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// Hash is a SHA-256, or a tree of them: the content id of a model or an update, which is
// that of its plain encoded values without any table ([ContentOf]); the hash of a
// schema, of a record. The zero value means "none".
type Hash [32]byte

// HashOf returns the SHA-256 of plain bytes, which is no content id.
func HashOf(plain []byte) Hash { return sha256.Sum256(plain) }

// ParseHash reads 64 lower-case hex digits, or "" for the zero value.
func ParseHash(s string) (Hash, error) {
	var h Hash
	err := parseHex((*[32]byte)(&h), s)
	return h, err
}

// String returns 64 lower-case hex digits, or "" for the zero value.
func (h Hash) String() string { return hexOf(h) }

// IsZero reports whether h names nothing.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes what String returns.
func (h Hash) MarshalText() ([]byte, error) { return []byte(hexOf(h)), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(b []byte) error { return parseHex((*[32]byte)(h), string(b)) }

func hexOf(b [32]byte) string {
	if b == [32]byte{} {
		return ""
	}
	return hex.EncodeToString(b[:])
}

// parseHex accepts exactly what hexOf writes, so that text and value are one to one.
func parseHex(dst *[32]byte, s string) error {
	var b [32]byte
	if len(s) != 0 {
		if len(s) != 64 {
			return fmt.Errorf("model: a SHA-256 in hex has 64 digits, got %d", len(s))
		}
		if _, err := hex.Decode(b[:], []byte(s)); err != nil {
			return fmt.Errorf("model: SHA-256 in hex: %w", err)
		}
	}
	if hexOf(b) != s {
		return fmt.Errorf("model: %.64q is not a SHA-256 in lower-case hex", s)
	}
	*dst = b
	return nil
}

// Hash returns the schema hash: SHA-256 of the canonical msgpack of the array
// of [name, dtype, shape], tensors in byte order of their names. Canonical
// means shortest forms: text as str, sizes as unsigned integers.
func (s Schema) Hash() Hash { return sha256.Sum256(s.appendMsgpack(nil)) }

func (s Schema) appendMsgpack(b []byte) []byte {
	b = appendArray(b, len(s))
	for _, spec := range s {
		b = appendArray(b, 3)
		b = appendStr(b, spec.Name)
		b = appendStr(b, spec.DType.String())
		b = appendArray(b, len(spec.Shape))
		for _, d := range spec.Shape {
			b = appendUint(b, uint64(d)) // dimensions are >= 0
		}
	}
	return b
}

func appendArray(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(n)) // at most MaxTensors
}

func appendStr(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, 0xd9, byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n)) // at most MaxName
	}
	return append(b, s...)
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v < 128:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
}
