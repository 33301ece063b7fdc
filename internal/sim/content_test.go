package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// stretch makes n bytes of a seed.
func stretch(seed [32]byte, n int) []byte {
	b := make([]byte, (n+7)/8*8)
	x := binary.LittleEndian.Uint64(seed[:])
	y := binary.LittleEndian.Uint64(seed[8:])
	for i := 0; i < n; i += 8 {
		x = bits.RotateLeft64(x, 23)*0x9e3779b97f4a7c15 + y
		binary.LittleEndian.PutUint64(b[i:], x^x>>31)
	}
	return b[:n]
}

// train makes an update: what it is follows from all that is given.
func train(base model.Hash, path string, rnd uint64, nonce uint64, n int) []byte {
	in := slices.Concat(base[:], []byte(path))
	in = binary.LittleEndian.AppendUint64(in, rnd)
	frozen := sha256.Sum256(in)
	in = binary.LittleEndian.AppendUint64(in, nonce)
	b := partly(frozen, stretch(frozen, n), stretch(sha256.Sum256(in), n))
	return partly(sha256.Sum256(frozen[:]), make([]byte, n), b)
}

// partly puts stretches of another content into one, but for its beginning, so that
// parts of the two are the same.
func partly(which [32]byte, other, b []byte) []byte {
	const stretch = 16
	for i := stretch; i < len(b); i += stretch {
		if which[i/stretch%32]&3 == 0 {
			copy(b[i:min(i+stretch, len(b))], other[i:])
		}
	}
	return b
}

// cut makes a blob of parts that are smaller than the format has them.
func cut(b []byte, data int) wire.Blob {
	blob := wire.Blob{Length: uint64(len(b)), Data: uint32(data)} // a few bytes
	for off := 0; off < len(b); off += data {
		h := model.PartOf(b[off:min(off+data, len(b))])
		blob.Hashes = append(blob.Hashes, h[:wire.PartHash]...)
	}
	return blob
}

// partOf is a part of a blob whose bytes are b.
func partOf(blob wire.Blob, key wire.BlobKey, b []byte, i uint32) wire.Part {
	off, n := blob.Span(int(i))
	return wire.Part{Blob: key, Index: i, Count: uint32(blob.Count()), Data: b[off : off+n]} // a few
}
