package transfer

import (
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Same is a stretch of a blob whose bytes are at hand, so that they need not travel
// (TR-70).
type Same struct {
	From int // where they lie in what is at hand, Zeros: they are zeros
	To   int // where they belong
	N    int
}

// Zeros is where zeros are from.
const Zeros = -1

// copies lists the parts of a blob that lie in another one: those with an equal hash
// and length, wherever they are. had says which parts of the other are at hand; nil:
// all. Parts in have need none, and those that are found join it.
func copies(blob, other wire.Blob, had, have bitmap) (list []Same) {
	at := map[string]int{} // the parts of the other, by hash
	for j := range other.Count() {
		if had == nil || had.has(uint32(j)) { // at most topics.MaxParts
			at[hashOf(other, j)] = j
		}
	}
	if len(at) == 0 {
		return nil
	}
	for i := range blob.Count() {
		j, ok := at[hashOf(blob, i)]
		if !ok || have.has(uint32(i)) { // at most topics.MaxParts
			continue
		}
		to, n := blob.Span(i)
		if from, m := other.Span(j); m == n {
			list = join(list, Same{From: from, To: to, N: n})
			have.add(uint32(i)) // at most topics.MaxParts
		}
	}
	return list
}

// zeros lists the parts of a blob that are zeros, and adds them to have.
func zeros(blob wire.Blob, have bitmap) (list []Same) {
	last := blob.Count() - 1
	whole, tail := zeroHash(blob, 0), zeroHash(blob, last)
	for i := range last + 1 {
		want := whole
		if i == last {
			want = tail
		}
		if hashOf(blob, i) == want {
			to, n := blob.Span(i)
			list = join(list, Same{From: Zeros, To: to, N: n})
			have.add(uint32(i)) // at most topics.MaxParts
		}
	}
	return list
}

// copied reports whether something of a list is not zeros.
func copied(list []Same) bool {
	return slices.ContainsFunc(list, func(s Same) bool { return s.From != Zeros })
}

// join adds a stretch to a list, to the last one if it goes on where that ends.
func join(list []Same, s Same) []Same {
	if len(list) > 0 {
		last := &list[len(list)-1]
		goesOn := last.From+last.N == s.From
		if s.From == Zeros || last.From == Zeros {
			goesOn = s.From == last.From
		}
		if goesOn && last.To+last.N == s.To {
			last.N += s.N
			return list
		}
	}
	return append(list, s)
}

func hashOf(b wire.Blob, i int) string {
	return string(b.Hashes[i*wire.PartHash : (i+1)*wire.PartHash])
}

// zeroHash is what part i hashes to if it is zeros.
func zeroHash(b wire.Blob, i int) string {
	_, n := b.Span(i)
	l := leaves{hashes: model.NewLeaves(n/model.Leaf + 1), size: model.Leaf}
	l.zero(0, n)
	h := l.stretch(0, n).Part()
	return string(h[:wire.PartHash])
}

// take brings the leaves of bytes that another blob has, or of zeros.
func (l leaves) take(other leaves, list []Same) {
	for _, s := range list {
		if s.From == Zeros {
			l.zero(s.To, s.N)
			continue
		}
		copy(l.stretch(s.To, s.N), other.stretch(s.From, s.N))
	}
}
