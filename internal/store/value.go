package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A value on the disk is type u8, version u8, CRC-32C u32le, bytes. The sum
// covers type, version, bucket, key and bytes, so that a value found under
// another key is as broken as one with a flipped bit: bbolt itself checks only
// its two meta pages.
const (
	valueVersion = 1
	valueHeader  = 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errShort = errors.New("too short")
	errType  = errors.New("wrong type")
	errSum   = errors.New("checksum differs")
)

// valueType is the type byte of the values of b.
func valueType(b Bucket) byte {
	if b == retainedBucket {
		return 11
	}
	return bucketTypes[b]
}

// seal wraps val for bucket b and key.
func seal(b Bucket, key, val []byte) []byte {
	return appendSealed(make([]byte, 0, valueHeader+len(val)), b, key, val)
}

// appendSealed is seal of a value in pieces, behind what dst has.
func appendSealed(dst []byte, b Bucket, key []byte, val ...[]byte) []byte {
	at := len(dst)
	dst = append(dst, valueType(b), valueVersion, 0, 0, 0, 0)
	for _, piece := range val {
		dst = append(dst, piece...)
	}
	raw := dst[at:]
	binary.LittleEndian.PutUint32(raw[2:], sum(b, key, raw))
	return dst
}

// unseal checks raw and returns the bytes inside, not copied.
func unseal(b Bucket, key, raw []byte) ([]byte, error) {
	switch {
	case len(raw) < valueHeader:
		return nil, errShort
	case binary.LittleEndian.Uint32(raw[2:]) != sum(b, key, raw):
		return nil, errSum
	case raw[0] != valueType(b):
		return nil, errType
	case raw[1] != valueVersion:
		return nil, fmt.Errorf("value version %d, this fedmq knows %d", raw[1], valueVersion)
	}
	return raw[valueHeader:], nil
}

func sum(b Bucket, key, raw []byte) uint32 {
	c := crc32.Update(0, castagnoli, raw[:2])
	c = crc32.Update(c, castagnoli, []byte(b))
	c = crc32.Update(c, castagnoli, []byte{0})
	c = crc32.Update(c, castagnoli, key)
	c = crc32.Update(c, castagnoli, []byte{0})
	return crc32.Update(c, castagnoli, raw[valueHeader:])
}

// open is unseal with a copy and an error that names the place.
func (tx *Tx) open(b Bucket, key, raw []byte) ([]byte, error) {
	val, err := unseal(b, key, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s, bucket %s, key %q: %w", ErrCorrupt, tx.s.path, b, key, err)
	}
	return append([]byte{}, val...), nil
}
