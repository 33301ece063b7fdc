package transfer

import (
	"crypto/sha256"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// leaves are the hashes of the leaves of a blob, as far as its parts are there: what
// came is hashed once, for its part and for the content id of the whole (TR-18, TR-30).
type leaves struct {
	hashes model.Leaves
	size   int // of a leaf
}

// newLeaves has room for those of a blob: 32 bytes for each 4 KiB.
func newLeaves(b wire.Blob) leaves {
	l := leaves{size: min(model.Leaf, int(b.Data))} // parts of less are a leaf each
	l.hashes = model.NewLeaves(l.at(int(b.Length))) // of a schema
	return l
}

// at is the number of leaves before an offset, where a leaf ends or the blob does.
func (l leaves) at(off int) int { return (off + l.size - 1) / l.size }

// stretch are the leaves of n bytes from an offset on.
func (l leaves) stretch(off, n int) model.Leaves { return l.hashes.Slice(l.at(off), l.at(off+n)) }

// put hashes bytes that belong at an offset, and returns their leaves.
func (l leaves) put(off int, b []byte) model.Leaves {
	room := l.stretch(off, len(b))
	if l.size == model.Leaf {
		return room[:0].Append(b)
	}
	for at := room[:0]; len(b) > 0; {
		n := min(l.size, len(b))
		at = at.Append(b[:n])
		b = b[n:]
	}
	return room
}

// zeroLeaf is the hash of a whole leaf of zeros.
var zeroLeaf = sha256.Sum256(make([]byte, model.Leaf))

// zero sets the leaves of zeros.
func (l leaves) zero(off, n int) {
	room := l.stretch(off, n)
	for at := room[:0]; n > 0; n -= l.size {
		if n >= model.Leaf && l.size == model.Leaf {
			at = append(at, zeroLeaf[:]...)
			continue
		}
		var short [model.Leaf]byte
		at = at.Append(short[:min(n, l.size)])
	}
}

// content is the content id of the whole blob, of which all parts are there.
func (l leaves) content(length uint64) model.Hash { return l.hashes.ID(int(length)) } // of a schema
