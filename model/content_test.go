package model_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/model"
)

// naive is the content id as W-25 has it, and naivePart the hash of a part.
func naive(b []byte) model.Hash {
	text := binary.LittleEndian.AppendUint64([]byte("fedmq/content/v1"), uint64(len(b)))
	for leaf := range slices.Chunk(b, 4096) {
		h := sha256.Sum256(leaf)
		text = append(text, h[:]...)
	}
	return sha256.Sum256(text)
}

func naivePart(b []byte) model.Hash {
	text := []byte("fedmq/part/v1")
	for leaf := range slices.Chunk(b, 4096) {
		h := sha256.Sum256(leaf)
		text = append(text, h[:]...)
	}
	return sha256.Sum256(text)
}

func someBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	for i := range b {
		seed = seed*6364136223846793005 + 1442695040888963407
		b[i] = byte(seed >> 56)
	}
	return b
}

// One pass over bytes gives their id and the hash of any part of whole leaves, and so
// does a pass over the parts one by one.
func TestLeaves(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 50_000), rapid.SampledFrom([]int{0, 1, 4095, 4096, 4097, 8192})).Draw(t, "size")
		b := someBytes(size, rapid.Uint64().Draw(t, "seed"))
		l := model.LeavesOf(b)
		if l.ID(size) != naive(b) || model.ContentOf(b) != naive(b) {
			t.Fatalf("the id of %d bytes is %v, want %v", size, l.ID(size), naive(b))
		}
		per := rapid.IntRange(1, 5).Draw(t, "leaves in a part")
		apart := model.NewLeaves(l.Count())
		for i := 0; i < l.Count(); i += per {
			j := min(i+per, l.Count())
			part := b[i*model.Leaf : min(j*model.Leaf, size)]
			if got := l.Slice(i, j).Part(); got != naivePart(part) || model.PartOf(part) != got {
				t.Fatalf("leaves %d to %d of %d: %v, want %v", i, j, l.Count(), got, naivePart(part))
			}
			apart.Slice(i, j)[:0].Append(part)
		}
		if !bytes.Equal(apart, l) {
			t.Fatalf("%d leaves, put together by parts of %d, are others", l.Count(), per)
		}
	})
}

// What some processors do for many leaves at once is what crypto/sha256 says of each, at
// whatever place and beside whichever others it is.
func TestLeavesSideBySide(t *testing.T) {
	t.Parallel()
	for n := range 50 {
		checkLeaves(t, someBytes(n*model.Leaf+n%3*17, uint64(n)))
	}
	for _, fill := range []byte{0, 0x80, 0xff} {
		checkLeaves(t, bytes.Repeat([]byte{fill}, 33*model.Leaf))
	}
}

func FuzzLeaves(f *testing.F) {
	f.Add([]byte("a"), uint16(33_000), uint8(3))
	f.Fuzz(func(t *testing.T, seed []byte, n uint16, at uint8) {
		b := make([]byte, int(n)+int(at))
		for i := 0; len(seed) > 0 && i < len(b); i += len(seed) {
			copy(b[i:], seed)
		}
		checkLeaves(t, b[at:]) // at any address
	})
}

func checkLeaves(t *testing.T, b []byte) {
	t.Helper()
	var want []byte
	for leaf := range slices.Chunk(b, model.Leaf) {
		h := sha256.Sum256(leaf)
		want = append(want, h[:]...)
	}
	if got := model.LeavesOf(b); !bytes.Equal(got, want) {
		t.Fatalf("%d bytes have other leaves", len(b))
	}
}

// Bytes that differ in a bit, in length, or by zeros at their end have other ids; an id
// is no part's hash and no plain one.
func TestContentDiffers(t *testing.T) {
	t.Parallel()
	b := someBytes(9000, 1)
	seen := map[model.Hash]string{}
	add := func(name string, id model.Hash) {
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[id] = name
	}
	add("content", model.ContentOf(b))
	add("part", model.PartOf(b))
	add("plain", model.HashOf(b))
	add("nothing", model.ContentOf(nil))
	for _, n := range []int{1, 4095, 4096, 4097, 8192} {
		add(fmt.Sprint("zeros ", n), model.ContentOf(make([]byte, n)))
	}
	for _, i := range []int{0, 4095, 4096, 8999} {
		b[i] ^= 1
		add(fmt.Sprint("bit of byte ", i), model.ContentOf(b))
		b[i] ^= 1
	}
	add("shorter", model.ContentOf(b[:8999]))
}

// However many leaves, a pass takes memory once.
func TestLeavesAllocate(t *testing.T) {
	b := make([]byte, 1<<20)
	if n := testing.AllocsPerRun(10, func() { model.LeavesOf(b) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
	room := model.NewLeaves(256)
	if n := testing.AllocsPerRun(10, func() { room[:0].Append(b) }); n != 0 {
		t.Errorf("%v allocations in room that is there", n)
	}
}

// The tree against one SHA-256 of all bytes.
func BenchmarkContent(b *testing.B) {
	for _, n := range []int{40 << 10, 4 << 20, 40 << 20} {
		data := someBytes(n, 1)
		for name, hash := range map[string]func([]byte) model.Hash{"flat": model.HashOf, "tree": model.ContentOf} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					hash(data)
				}
			})
		}
	}
}
