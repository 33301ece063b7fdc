package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Bytes of a blob and of its parts (W-34, W-35).
const (
	PartHash     = 16 // of the list of hashes, for each part: the start of its hash
	PartOverhead = 64 // of a part's MQTT payload: what is not data, rounded up

	mostData = (MaxPart - PartOverhead) / model.Leaf * model.Leaf
)

const blobDomain = "fedmq/blob/v1"

// Blob describes bytes that travel in parts (W-34). What a manifest or an
// offer says of one has passed its checks, as has what [NewBlob] makes; the
// methods need that.
type Blob struct {
	Length uint64 // bytes
	Data   uint32 // bytes in every part but the last: whole leaves
	Hashes []byte // PartHash bytes for each part
}

// BlobKey is the start of a blob's id, as its parts carry it.
type BlobKey [16]byte

// String returns lower-case hex.
func (k BlobKey) String() string { return hex.EncodeToString(k[:]) }

// MarshalText returns lower-case hex.
func (k BlobKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *BlobKey) UnmarshalText(b []byte) error { return fromHex(k[:], b) }

// PartData is how many bytes of a blob a part of such a size takes: whole leaves.
func PartData(partSize int) int { return (partSize - PartOverhead) / model.Leaf * model.Leaf }

// NewBlob cuts b, at least one byte, into parts of MQTT payloads of partSize
// bytes, MinPart..MaxPart. An error names what does not fit: more than
// topics.MaxParts parts want a larger partSize.
func NewBlob(b []byte, partSize int) (Blob, error) { return Cut(len(b), model.LeavesOf(b), partSize) }

// Cut is [NewBlob] of n bytes whose leaves are known: what a pass over them has given
// is their content id, too ([model.Leaves.ID]), and that of any other partSize.
func Cut(n int, leaves model.Leaves, partSize int) (Blob, error) {
	if partSize < MinPart || partSize > MaxPart {
		return Blob{}, fmt.Errorf("wire: blob: part_size: want %d to %d, got %d", MinPart, MaxPart, partSize)
	}
	blob := Blob{Length: uint64(n), Data: uint32(PartData(partSize))} // at most MaxPart
	count, err := blob.parts()
	if err != nil {
		return Blob{}, fmt.Errorf("wire: blob: %w", err)
	}
	if want := (n-1)/model.Leaf + 1; leaves.Count() != want {
		return Blob{}, fmt.Errorf("wire: blob: %d leaves of %d bytes, want %d", leaves.Count(), n, want)
	}
	blob.Hashes = make([]byte, 0, PartHash*count)
	for i, per := 0, int(blob.Data)/model.Leaf; i < leaves.Count(); i += per {
		h := leaves.Slice(i, min(i+per, leaves.Count())).Part()
		blob.Hashes = append(blob.Hashes, h[:PartHash]...)
	}
	return blob, nil
}

// parts is how many parts length and data give, if the format has them.
func (b Blob) parts() (int, error) {
	if b.Length == 0 || b.Length > math.MaxInt {
		return 0, fmt.Errorf("length: want 1 to %d bytes, got %d", math.MaxInt, b.Length)
	}
	if b.Data < model.Leaf || b.Data > mostData || b.Data%model.Leaf != 0 {
		return 0, fmt.Errorf("data: want %d to %d bytes in a part, a multiple of %d, got %d, as of an older fedmq; both sides want the same version", model.Leaf, mostData, model.Leaf, b.Data)
	}
	n := (b.Length-1)/uint64(b.Data) + 1
	if n > topics.MaxParts {
		return 0, fmt.Errorf("%d bytes make %d parts, want at most %d: a larger part_size is needed", b.Length, n, topics.MaxParts)
	}
	return int(n), nil
}

// check reports a blob that the format does not have.
func (b Blob) check() error {
	n, err := b.parts()
	if err == nil && len(b.Hashes) != n*PartHash {
		err = fmt.Errorf("hashes: want %d bytes for %d parts, got %d", n*PartHash, n, len(b.Hashes))
	}
	return err
}

// ID names the blob and the way it is cut.
func (b Blob) ID() model.Hash {
	head := make([]byte, 0, len(blobDomain)+12)
	head = binary.LittleEndian.AppendUint64(append(head, blobDomain...), b.Length)
	head = binary.LittleEndian.AppendUint32(head, b.Data)
	h := sha256.New()
	h.Write(head)
	h.Write(b.Hashes)
	return model.Hash(h.Sum(nil))
}

// Key is the start of the ID.
func (b Blob) Key() BlobKey {
	id := b.ID()
	return BlobKey(id[:16])
}

// Count returns the number of parts.
func (b Blob) Count() int { return len(b.Hashes) / PartHash }

// Span returns where part i of 0..Count-1 lies in the blob's bytes.
func (b Blob) Span(i int) (off, n int) {
	off = i * int(b.Data)
	return off, min(int(b.Data), int(b.Length)-off) // at most MaxInt
}

// Holds reports whether data is part i: its length and its hash.
func (b Blob) Holds(i int, data []byte) bool {
	if i < 0 || i >= b.Count() {
		return false
	}
	if _, n := b.Span(i); n != len(data) {
		return false
	}
	return b.Has(i, model.PartOf(data))
}

// Has reports whether part i of 0..Count-1 has this hash.
func (b Blob) Has(i int, part model.Hash) bool {
	return string(part[:PartHash]) == string(b.Hashes[i*PartHash:(i+1)*PartHash])
}

// Equal reports whether both describe the same bytes, cut alike.
func (b Blob) Equal(o Blob) bool {
	return b.Length == o.Length && b.Data == o.Data && string(b.Hashes) == string(o.Hashes)
}

// appendCut writes what a manifest and an offer say of a blob; its length is
// that of their table.
func (b Blob) appendCut(dst []byte) []byte {
	return appendBin(appendUint(dst, uint64(b.Data)), b.Hashes)
}

// cut reads it again, for a table of length bytes.
func (r *reader) cut(length uint64) Blob {
	b := r.cutOf()
	b.Length = length
	r.holds(b)
	return b
}

// cutOf reads it without its length.
func (r *reader) cutOf() Blob { return Blob{Data: r.uint32("data"), Hashes: r.bin("hashes")} }

// holds reports a blob that the format does not have.
func (r *reader) holds(b Blob) {
	if r.err == nil {
		if err := b.check(); err != nil {
			r.malformed("blob: %v", err)
		}
	}
}

// ofSchema reports a blob that is not of the size that a schema has.
func (b Blob) ofSchema(size int) error {
	if err := b.check(); err != nil {
		return err
	}
	if b.Length != uint64(size) { // sizes are >= 0
		return fmt.Errorf("blob of %d bytes, the table says %d", b.Length, size)
	}
	return nil
}
