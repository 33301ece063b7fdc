package broker

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The library reads a message into two buffers, copies it for the retained one and
// for each subscriber, and joins it with its header in another two (M8). So a long
// payload stays outside: the screen takes it off the packet, where one byte remains,
// and the queue of each subscriber puts it behind the header again. All of them hold
// the same bytes, which nobody changes.
//
// What holds them inside the library is the packet's Filters. A PUBLISH has none, and
// all copies of a packet have the same ones (TestUpstreamSharesFilters): they lie in
// one piece of memory with the payload's slice, which lives for as long as any copy
// does, whatever the library does with it, and is found by its number.

// shareFrom is the length from which on a payload is shared: a copy of a shorter one
// costs less.
const shareFrom = 4 << 10

// standIn is what the library has in place of a payload: it is not empty, as that
// would clear what is retained.
var standIn = []byte{0}

// shares finds the payloads that are in use.
type shares struct {
	mu   sync.Mutex
	last int
	of   map[int]weak.Pointer[shared]
}

type shared struct {
	filters [1]packets.Subscription
	payload []byte
}

// carry gives pk its payload, which must not change any more; a long one to share.
func (s *shares) carry(pk *packets.Packet, payload []byte) {
	if len(payload) < shareFrom {
		pk.Payload = payload
		return
	}
	in := &shared{payload: payload}
	s.mu.Lock()
	s.last++
	id := s.last
	if s.of == nil {
		s.of = map[int]weak.Pointer[shared]{}
	}
	s.of[id] = weak.Make(in)
	s.mu.Unlock()
	in.filters[0].Identifier = id
	runtime.AddCleanup(in, s.forget, id)
	pk.Filters, pk.Payload = in.filters[:], standIn
}

func (s *shares) forget(id int) {
	s.mu.Lock()
	delete(s.of, id)
	s.mu.Unlock()
}

// payload is what a PUBLISH of the library's carries.
func (s *shares) payload(pk *packets.Packet) []byte {
	if len(pk.Filters) == 0 {
		return pk.Payload
	}
	s.mu.Lock()
	in := s.of[pk.Filters[0].Identifier].Value()
	s.mu.Unlock()
	return in.payload // pk keeps it alive
}

// lifted shares what the screen took off a packet.
func (h *hook) lifted(cl *mqtt.Client, pk *packets.Packet) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return
	}
	if payload, saved := c.in.lifted(); payload != nil {
		h.shares.carry(pk, payload)
		atomic.AddInt64(&h.server.Info.BytesReceived, int64(saved))
	}
}

// ticketSize is of what stands for the payload of a message on its way from the
// library's encoder to the queue.
const ticketSize = 8

// tickets are payloads on that way. All of a connection's messages have one, so that
// no payload can pass for one.
type tickets struct {
	mu   sync.Mutex
	last uint64
	of   map[uint64][]byte
}

func newTickets() *tickets { return &tickets{last: rand.Uint64(), of: map[uint64][]byte{}} }

// give returns what to encode in place of the payload.
func (t *tickets) give(payload []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.of[t.last] = payload
	return binary.BigEndian.AppendUint64(nil, t.last)
}

// ticket is what the library encodes in place of a message's payload.
func (h *hook) ticket(cl *mqtt.Client, pk *packets.Packet) []byte {
	payload := h.shares.payload(pk)
	if c, ok := cl.Net.Conn.(*conn); ok {
		return c.tickets.give(payload)
	}
	return payload
}

// redeem returns the header of an encoded PUBLISH, its length set right, and its
// payload; false where there is no such ticket.
func (t *tickets) redeem(p []byte) (head, payload []byte, ok bool) {
	length, used := varint(p[1:])
	if length < ticketSize || len(p) != 1+used+length {
		return nil, nil, false
	}
	end := len(p) - ticketSize
	id := binary.BigEndian.Uint64(p[end:])
	t.mu.Lock()
	payload, ok = t.of[id]
	delete(t.of, id)
	t.mu.Unlock()
	if !ok {
		return nil, nil, false
	}
	head = make([]byte, 0, end+maxVarint)
	head = appendVarint(append(head, p[0]), length-ticketSize+len(payload))
	return append(head, p[1+used:end]...), payload, true
}

const maxVarint = 4

func appendVarint(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// grown reads a payload of n bytes, of which some have come. It is allocated as it
// comes, but at once what a part of a model takes.
func grown(come []byte, n int, read func([]byte) (int, error)) ([]byte, error) {
	const atOnce = 256 << 10
	body := make([]byte, min(n, max(atOnce, len(come))))
	for got := copy(body, come); got < n; {
		if got == len(body) {
			more := make([]byte, min(n, 2*got))
			copy(more, body)
			body = more
		}
		m, err := read(body[got:])
		if got += m; err != nil && got < n {
			return nil, err
		}
	}
	return body, nil
}
