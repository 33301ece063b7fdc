package model

import (
	"crypto/sha256"
	"encoding/binary"
)

// A content id is a tree of two levels (W-25): the bytes are cut into leaves, and the
// id is the hash of the hashes of all leaves. What is cut into parts of whole leaves is
// proven part by part, and as a whole, by one pass over it.

// Leaf is the bytes of a leaf; the last of some bytes may be shorter.
const Leaf = 4096

// What stands before the hashes of leaves, so that none of these hashes is another.
const (
	contentDomain = "fedmq/content/v1"
	partDomain    = "fedmq/part/v1"
)

// leafHash is the bytes that [Leaves] have for each leaf.
const leafHash = sha256.Size

// Leaves are the hashes of consecutive leaves, 32 bytes each: those of some bytes, or of
// a part of them.
type Leaves []byte

// NewLeaves has room for the hashes of so many leaves, which are not known yet.
func NewLeaves(n int) Leaves { return make(Leaves, n*leafHash) }

// LeavesOf is one pass over b.
func LeavesOf(b []byte) Leaves {
	return make(Leaves, 0, (len(b)+Leaf-1)/Leaf*leafHash).Append(b)
}

// Append adds the hashes of the leaves of b.
func (l Leaves) Append(b []byte) Leaves {
	for l, b = l.wide(b); len(b) > 0; {
		n := min(len(b), Leaf)
		h := sha256.Sum256(b[:n])
		l = append(l, h[:]...)
		b = b[n:]
	}
	return l
}

// Count returns how many leaves these are.
func (l Leaves) Count() int { return len(l) / leafHash }

// Slice returns leaves i to j-1. It shares memory with l.
func (l Leaves) Slice(i, j int) Leaves { return l[i*leafHash : j*leafHash : j*leafHash] }

// ID is the content id of the bytes whose leaves these are, and which are n.
func (l Leaves) ID(n int) (id Hash) {
	h := sha256.New()
	h.Write([]byte(contentDomain))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) // a length
	h.Write(l)
	h.Sum(id[:0])
	return id
}

// Part is the hash of a part that has these leaves (W-34).
func (l Leaves) Part() (id Hash) {
	h := sha256.New()
	h.Write([]byte(partDomain))
	h.Write(l)
	h.Sum(id[:0])
	return id
}

// ContentOf is the content id of plain bytes.
func ContentOf(b []byte) Hash { return LeavesOf(b).ID(len(b)) }

// PartOf is the hash of a part of these bytes.
func PartOf(b []byte) Hash { return LeavesOf(b).Part() }
