package link

import (
	"slices"
	"testing"
)

// What was given back last goes first, to a message that it suits, and what is kept stays
// within its bound.
func TestSpare(t *testing.T) {
	t.Parallel()
	s := spare{most: 4 * spareFrom}
	first := func(b []byte) *byte { return &b[:1][0] }
	lists := [][]byte{make([]byte, spareFrom), make([]byte, spareFrom+1), make([]byte, spareFrom+2)}
	for _, b := range lists {
		s.give(b)
	}
	if got := s.take(spareFrom + 1); first(got) != first(lists[2]) || len(got) != spareFrom+1 {
		t.Errorf("%d bytes, want those that were given back last", len(got))
	}
	if got := s.take(spareFrom + 2); slices.ContainsFunc(lists, func(b []byte) bool { return first(b) == first(got) }) {
		t.Error("a payload that is too short was given away")
	}
	if got := s.take(spareFrom); first(got) != first(lists[1]) {
		t.Error("a payload that suits was left")
	}
	s.give(lists[1])
	s.give(lists[2])
	s.give(make([]byte, 3*spareFrom)) // the oldest make room for it
	if len(s.list) != 1 || s.bytes != 3*spareFrom {
		t.Errorf("%d payloads of %d bytes are kept", len(s.list), s.bytes)
	}
	if got := s.take(spareFrom); cap(got) >= 3*spareFrom {
		t.Error("a short message got a long payload")
	}
	for _, b := range [][]byte{nil, make([]byte, spareFrom-1), make([]byte, s.most+1)} { // not worth it, or too much
		s.give(b)
	}
	if len(s.list) != 1 || len(s.take(10)) != 10 || len(s.list) != 1 {
		t.Errorf("%d payloads are kept", len(s.list))
	}
}
