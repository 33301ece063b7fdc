package link

import (
	"slices"
	"sync"
)

// spareFrom is the length from which on a payload is used again: a shorter one costs
// less to make than to keep.
const spareFrom = 16 << 10

// spare has payloads that were given back, for messages to come: memory that is at hand,
// and has neither to be cleared nor to be collected. What was given back last goes first,
// as it is the most likely to be in a cache.
type spare struct {
	most int // bytes that are kept

	mu    sync.Mutex
	list  [][]byte
	bytes int
}

// take returns n bytes with anything in them.
func (s *spare) take(n int) []byte {
	if n < spareFrom {
		return make([]byte, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.list) - 1; i >= 0; i-- {
		if b := s.list[i]; n <= cap(b) && cap(b) < 2*n {
			s.list = slices.Delete(s.list, i, i+1)
			s.bytes -= cap(b)
			return b[:n]
		}
	}
	return make([]byte, n)
}

// give takes a payload back. What is there longest makes room for it.
func (s *spare) give(b []byte) {
	if cap(b) < spareFrom || cap(b) > s.most {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for s.bytes += cap(b); s.bytes > s.most; n++ {
		s.bytes -= cap(s.list[n])
	}
	s.list = append(slices.Delete(s.list, 0, n), b)
}

// Room returns n bytes with anything in them: of a payload that was given back, if there is
// one that suits.
func (c *Conn) Room(n int) []byte { return c.spare.take(n) }

// Spent gives back the payload of a message that came, or was acknowledged, of which
// nothing is referred to any more: a message to come is read into it. It need not be called.
func (c *Conn) Spent(payload []byte) { c.spare.give(payload) }
