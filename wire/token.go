package wire

import (
	"encoding/binary"
	"math"
)

// The subset of msgpack that fedmq speaks (W-1): nil, bool, integers, float64,
// str, bin, array and map, each in its shortest form. next is the only place
// that reads a type byte, and the append functions the only place that write
// one, so whatever is read in one form is written in the same.

type tokenKind uint8

const (
	tokNil tokenKind = iota + 1
	tokBool
	tokUint
	tokInt // negative
	tokFloat
	tokStr
	tokBin
	tokArray
	tokMap
)

var tokenNames = [...]string{
	tokNil: "nil", tokBool: "a bool", tokUint: "an unsigned integer", tokInt: "a negative integer",
	tokFloat: "a float64", tokStr: "a str", tokBin: "a bin", tokArray: "an array", tokMap: "a map",
}

// token is one msgpack head.
type token struct {
	kind tokenKind
	n    uint64 // value; bits of a tokInt or tokFloat; length of a str or bin; count of an array or map
	size int    // bytes of the head; what n counts follows it
}

// problem is a fault of structure; "" is none. The constants are whole
// sentences' ends, so that nothing is allocated to report one.
type problem string

const (
	badEnd      problem = "the message ends inside an item"
	badReserved problem = "type byte c1 is reserved"
	badExt      problem = "ext types are not used"
	badFloat32  problem = "float32 is not used, floats are float64"
	badLong     problem = "an integer or length is not in its shortest form"
	badBeyond   problem = "a declared length is beyond the end"
	badDepth    problem = "nested too deep"
	badItems    problem = "too many items"
	badUTF8     problem = "a str is not UTF-8"
	badKey      problem = "a map key is not a str"
	badKeyOrder problem = "map keys are not in ascending order without duplicates"
	badTrailing problem = "bytes follow the message"
)

// form describes one type byte of c0..df.
type form struct {
	kind  tokenKind
	width int    // bytes of the number after the type byte
	least uint64 // smallest number that needs this form
	bad   problem
}

var forms = [32]form{
	0x00: {kind: tokNil}, 0x01: {bad: badReserved}, 0x02: {kind: tokBool}, 0x03: {kind: tokBool},
	0x04: {kind: tokBin, width: 1}, 0x05: {kind: tokBin, width: 2, least: 1 << 8}, 0x06: {kind: tokBin, width: 4, least: 1 << 16},
	0x07: {bad: badExt}, 0x08: {bad: badExt}, 0x09: {bad: badExt},
	0x0a: {bad: badFloat32}, 0x0b: {kind: tokFloat, width: 8},
	0x0c: {kind: tokUint, width: 1, least: 1 << 7}, 0x0d: {kind: tokUint, width: 2, least: 1 << 8},
	0x0e: {kind: tokUint, width: 4, least: 1 << 16}, 0x0f: {kind: tokUint, width: 8, least: 1 << 32},
	0x10: {kind: tokInt, width: 1}, 0x11: {kind: tokInt, width: 2}, 0x12: {kind: tokInt, width: 4}, 0x13: {kind: tokInt, width: 8},
	0x14: {bad: badExt}, 0x15: {bad: badExt}, 0x16: {bad: badExt}, 0x17: {bad: badExt}, 0x18: {bad: badExt},
	0x19: {kind: tokStr, width: 1, least: 1 << 5}, 0x1a: {kind: tokStr, width: 2, least: 1 << 8}, 0x1b: {kind: tokStr, width: 4, least: 1 << 16},
	0x1c: {kind: tokArray, width: 2, least: 1 << 4}, 0x1d: {kind: tokArray, width: 4, least: 1 << 16},
	0x1e: {kind: tokMap, width: 2, least: 1 << 4}, 0x1f: {kind: tokMap, width: 4, least: 1 << 16},
}

// next reads the head at the start of b.
func next(b []byte) (token, problem) {
	if len(b) == 0 {
		return token{}, badEnd
	}
	c := b[0]
	switch {
	case c <= 0x7f:
		return token{tokUint, uint64(c), 1}, ""
	case c <= 0x8f:
		return token{tokMap, uint64(c & 0x0f), 1}, ""
	case c <= 0x9f:
		return token{tokArray, uint64(c & 0x0f), 1}, ""
	case c <= 0xbf:
		return token{tokStr, uint64(c & 0x1f), 1}, ""
	case c >= 0xe0:
		return token{tokInt, uint64(int64(int8(c))), 1}, ""
	}
	f := forms[c-0xc0]
	if f.bad != "" {
		return token{}, f.bad
	}
	if len(b) < 1+f.width {
		return token{}, badEnd
	}
	v := number(b[1 : 1+f.width])
	if f.kind == tokInt {
		v = signExtend(v, f.width)
		if int64(v) >= leastNegative(f.width) {
			return token{}, badLong
		}
	}
	if v < f.least {
		return token{}, badLong
	}
	if f.kind == tokBool {
		v = uint64(c & 1)
	}
	return token{f.kind, v, 1 + f.width}, ""
}

// number reads b, 0 to 8 bytes, big-endian.
func number(b []byte) uint64 {
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

func signExtend(v uint64, width int) uint64 {
	shift := 64 - 8*uint(width)
	return uint64(int64(v<<shift) >> shift)
}

// leastNegative is the value from which on a shorter form than width exists.
func leastNegative(width int) int64 {
	if width == 1 {
		return -32
	}
	return -1 << (4*uint(width) - 1)
}

func appendArray(b []byte, n int) []byte {
	switch {
	case n < 1<<4:
		return append(b, 0x90|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(n))
}

// appendMap writes the head of a map of n entries, n < 2^16.
func appendMap(b []byte, n int) []byte {
	if n < 1<<4 {
		return append(b, 0x80|byte(n))
	}
	return binary.BigEndian.AppendUint16(append(b, 0xde), uint16(n))
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<7:
		return append(b, byte(v))
	case v < 1<<8:
		return append(b, 0xcc, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
}

func appendInt(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= -1<<7:
		return append(b, 0xd0, byte(v))
	case v >= -1<<15:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(v))
	case v >= -1<<31:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
}

func appendStr(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 1<<5:
		b = append(b, 0xa0|byte(n))
	case n < 1<<8:
		b = append(b, 0xd9, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	return append(b, s...)
}

// appendBinHead writes the head of a bin of n bytes, n < 2^32.
func appendBinHead(b []byte, n int) []byte {
	switch {
	case n < 1<<8:
		return append(b, 0xc4, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xc5), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
}

func appendBin(b, p []byte) []byte { return append(appendBinHead(b, len(p)), p...) }

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
}
