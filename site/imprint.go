package site

import (
	"errors"
	"hash/crc32"

	"github.com/fedmq/fedmq/model"
)

// errChanged: a trainer has changed the model that it was given (S-18).
var errChanged = errors.New("the trainer changed the model it was given")

// imprint is what a model is known by again. Who changes it is a bug, no attack: a CRC of
// each block, in whose way there is nothing but memory.
type imprint uint64

// imprintOf is one pass over a model.
func imprintOf(m *model.Model) (k imprint) {
	eachBlock(m.Schema, func(_ model.Spec, off, _, n int) { k.add(m.Blob[off : off+n]) })
	return k
}

// add takes the next block. The factor, odd, has an order of blocks be an imprint of its own.
func (m *imprint) add(b []byte) { *m = *m*0x9e3779b97f4a7c15 + imprint(crc32.ChecksumIEEE(b)) }

// blockBytes is how much of a model is worked on at a time: what one step has had in its
// hands is still in a cache for the next. It is whole values.
const blockBytes = 128 << 10

// eachBlock calls fn for all values of a model in their order, for a block of one tensor
// at a time: n bytes, from off of the model and at of the tensor on.
func eachBlock(s model.Schema, fn func(spec model.Spec, off, at, n int)) {
	off := 0
	for _, spec := range s {
		for at, size := 0, spec.Bytes(); at < size; at += blockBytes {
			n := min(blockBytes, size-at)
			fn(spec, off, at, n)
			off += n
		}
	}
}
