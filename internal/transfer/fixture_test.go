package transfer

import (
	"bytes"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/fedmq/fedmq/wire"
)

// testData is the data of a part of the smallest part size.
const testData = wire.MinPart - wire.PartOverhead

// testBytes are n parts, the last one of 100 bytes, that depend on a name.
func testBytes(name string, n int) []byte {
	b := make([]byte, (n-1)*testData+100)
	x := uint32(2166136261)
	for _, c := range []byte(name) {
		x = (x ^ uint32(c)) * 16777619
	}
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

type cut struct {
	name string
	n    int
}

var cuts sync.Map // cut -> wire.Blob

func testBlob(name string, n int) wire.Blob {
	if b, ok := cuts.Load(cut{name, n}); ok {
		return b.(wire.Blob)
	}
	b, err := wire.NewBlob(testBytes(name, n), wire.MinPart)
	if err != nil {
		panic(err)
	}
	cuts.Store(cut{name, n}, b)
	return b
}

// partly changes one part, and about so many of a thousand others, to others or to zeros.
func partly(s *sim, b []byte, n int) ([]byte, wire.Blob) {
	b = bytes.Clone(b)
	one := s.rand.IntN(len(b)) / testData * testData
	for off := 0; off < len(b); off += testData {
		part := b[off:min(off+testData, len(b))]
		switch {
		case off != one && !s.chance(n):
		case off != one && s.chance(300):
			clear(part)
		default:
			copy(part, testBytes(fmt.Sprint("other", s.rand.Uint64()), 2))
		}
	}
	blob, err := wire.NewBlob(b, wire.MinPart)
	if err != nil {
		panic(err)
	}
	return b, blob
}

func partOf(blob wire.Blob, b []byte, i uint32) wire.Part {
	off, n := blob.Span(int(i))
	return wire.Part{Blob: blob.Key(), Index: i, Count: uint32(blob.Count()), Data: b[off : off+n]}
}

func testPart(name string, n int, i uint32) wire.Part {
	return partOf(testBlob(name, n), testBytes(name, n), i)
}

func testUpload(k Key, name string, n int, round uint64) Upload {
	u := Upload{Key: k, Round: round, Attempt: 1, Blob: testBlob(name, n)}
	copy(u.Content[:], name)
	return u
}

// fataler is what testing.TB and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// check recounts a receiver's books from what they are about.
func check(t fataler, r *Receiver) {
	t.Helper()
	parts, bytes, waiting := 0, 0, 0
	if len(r.byKey) != len(r.list) {
		t.Fatalf("%d uploads by key, %d in order", len(r.byKey), len(r.list))
	}
	for i, u := range r.list {
		if r.byKey[u.Key] != u {
			t.Fatalf("%v is not found", u.Key)
		}
		if u.place != (i < r.cfg.Uploads) {
			t.Fatalf("%v: number %d has a place: %v", u.Key, i, u.place)
		}
		if !u.place {
			waiting += len(u.Blob.Hashes)
			continue
		}
		checkUpload(t, u)
		parts += u.nOwed
		bytes += u.nOwed * int(u.Blob.Data)
		if r.connected && u.left > 0 && u.nOwed == 0 && u.paused == 0 {
			t.Fatalf("%v has a place, misses %d parts and has no grant", u.Key, u.left)
		}
	}
	if parts != r.parts || bytes != r.bytes || waiting != r.waiting {
		t.Fatalf("books: %d parts, %d bytes, %d waiting; counted %d, %d, %d", r.parts, r.bytes, r.waiting, parts, bytes, waiting)
	}
	if r.budget < 1 || r.budget > budgetMost {
		t.Fatalf("budget %d", r.budget)
	}
}

func checkUpload(t fataler, u *upload) {
	t.Helper()
	if u.left != int(u.count)-u.have.count() || u.nOwed != u.owed.count() {
		t.Fatalf("%v: left %d, owed %d, counted %d of %d, %d", u.Key, u.left, u.nOwed, u.have.count(), u.count, u.owed.count())
	}
	if u.window < 1 || u.window > windowQuick || u.nOwed > windowQuick {
		t.Fatalf("%v: window %d, %d owed", u.Key, u.window, u.nOwed)
	}
	left, seen := 0, newBitmap(int(u.count))
	for _, s := range u.out {
		n := 0
		for i := s.first; i < s.first+s.n; i++ {
			if seen.has(i) {
				t.Fatalf("%v: part %d is in two ranges", u.Key, i)
			}
			seen.add(i)
			if u.owed.has(i) {
				n++
			}
		}
		if n != s.left || n == 0 || s.n > rangeMost {
			t.Fatalf("%v: range %+v, %d parts owed", u.Key, s, n)
		}
		left += n
	}
	if left != u.nOwed {
		t.Fatalf("%v: ranges of %d parts, %d owed", u.Key, left, u.nOwed)
	}
}

// The sets count, and find what is free, as a plain loop does.
func TestBitmap(t *testing.T) {
	t.Parallel()
	x := uint32(7)
	for range 300 {
		n := 1 + x%200
		a, b := newBitmap(int(n)), newBitmap(int(n))
		for i := range n {
			if x = x*1664525 + 1013904223; x>>24 < 150 {
				a.add(i)
			}
			if x>>16&255 < 100 {
				b.add(i)
			}
		}
		for i := range n {
			want := i
			for want < n && (a.has(want) || b.has(want)) {
				want++
			}
			if got := free(i, n, a, b); got != want {
				t.Fatalf("free from %d of %d: %d, want %d", i, n, got, want)
			}
		}
		twin := newBitmap(int(n))
		for i := range n {
			twin.add(i)
		}
		ranges := a.missing(n)
		for _, r := range ranges {
			for i := r.First; i < r.End(); i++ {
				if a.has(i) || !twin.has(i) {
					t.Fatalf("missing %v", ranges)
				}
				twin.del(i)
			}
		}
		if len(ranges) < wire.MaxRanges && twin.count() != a.count() {
			t.Fatalf("missing %v of %d, %d are there", ranges, n, a.count())
		}
	}
	if clip(wire.Range{First: math.MaxUint32, N: math.MaxUint32}, 9) != 9 {
		t.Error("a range that wraps")
	}
}

// progress returns how many parts of an upload are there, 0 of 0 if it is not known.
func (r *Receiver) progress(key Key) (have, count int) {
	u := r.byKey[key]
	switch {
	case u == nil:
		return 0, 0
	case !u.place:
		return 0, int(u.count)
	}
	return int(u.count) - u.left, int(u.count)
}
