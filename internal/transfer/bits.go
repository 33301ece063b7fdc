package transfer

import (
	"math/bits"

	"github.com/fedmq/fedmq/wire"
)

// bitmap is a set of parts of one blob.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) has(i uint32) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitmap) add(i uint32)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) del(i uint32)      { b[i/64] &^= 1 << (i % 64) }

func (b bitmap) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// free returns the first part from i on, below end, that is in none of the
// sets; end if there is none.
func free(i, end uint32, sets ...bitmap) uint32 {
	for i < end {
		var taken uint64
		for _, s := range sets {
			taken |= s[i/64]
		}
		if left := ^taken >> (i % 64); left != 0 {
			return min(i+uint32(bits.TrailingZeros64(left)), end) // at most 63
		}
		i = i/64*64 + 64
	}
	return end
}

// missing returns the parts below end that are not in b as ranges, as many as
// one message takes.
func (b bitmap) missing(end uint32) []wire.Range {
	var list []wire.Range
	for i := free(0, end, b); i < end && len(list) < wire.MaxRanges; i = free(i, end, b) {
		r := wire.Range{First: i}
		for ; i < end && !b.has(i); i++ {
			r.N++
		}
		list = append(list, r)
	}
	return list
}

// present returns the parts below end that are in b, likewise.
func (b bitmap) present(end uint32) []wire.Range {
	others := make(bitmap, len(b))
	for i, w := range b {
		others[i] = ^w
	}
	return others.missing(end)
}

// clip returns the end of a range of a peer, at most count.
func clip(r wire.Range, count uint32) uint32 {
	return uint32(min(uint64(r.First)+uint64(r.N), uint64(count))) // at most count
}
