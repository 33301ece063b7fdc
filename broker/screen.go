package broker

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	maxConnect  = 16 << 10 // a CONNECT: credentials and a Last Will are small
	freeConnect = 1 << 10  // of it, which no other connection can take away
	allConnects = 8 << 20  // what all connections hold beyond that before they are in
	maxHead     = 66 << 10 // any other packet, with the longest topic; of a PUBLISH all but its payload
	shortHead   = 1 << 10  // where most payloads have begun
	screenBuf   = 4 << 10  // kept between packets
)

// screen is a client's bytes as the library reads them: whole packets, of which
// each was found right before its first byte passes. What is announced is not
// allocated, only what came. A short payload passes unseen; a long one is lifted off
// (share.go), and one byte passes in its place.
type screen struct {
	r      io.Reader
	most   int           // bytes of a packet
	before *atomic.Int64 // what connections hold that are not in yet, all together
	seen   func(*packet) // is told of each packet before it passes
	packet packet

	buf  []byte // read: buf[pos:ok] may pass, buf[ok:] is not looked at yet
	pos  int
	ok   int
	rest int // of a payload, to pass behind buf[pos:ok]
	held int // of before
	in   bool

	payload []byte // that was lifted off the packet which passes, nil for none
	saved   int    // bytes that the packet is shorter for it
}

// Read passes what is screened, and screens the next packet when all has passed.
func (s *screen) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.pos == s.ok && s.rest == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	if s.pos < s.ok {
		n := copy(p, s.buf[s.pos:s.ok])
		s.pos += n
		return n, nil
	}
	n, err := s.r.Read(p[:min(len(p), s.rest)])
	s.rest -= n
	return n, err
}

// next reads a packet, of a long PUBLISH its beginning, and checks it.
func (s *screen) next() error {
	s.drop()
	length, used := 0, 0
	for n := 2; used == 0; n++ {
		if err := s.fill(n); err != nil {
			return err
		}
		if length, used = varint(s.buf[s.ok+1:]); used < 0 {
			return fmt.Errorf("%w: remaining length", errMalformed)
		}
	}
	first, head := s.buf[s.ok], 1+used
	whole := head + length
	kind := first >> 4
	switch {
	case (kind == packets.Connect) == s.in:
		return fmt.Errorf("%w: CONNECT comes first, and once", errMalformed)
	case !s.in && whole > maxConnect:
		return fmt.Errorf("%w: CONNECT of %d bytes, want up to %d", errMalformed, whole, maxConnect)
	case whole > s.most, kind != packets.Publish && whole > maxHead:
		return fmt.Errorf("%w: type %d: %d bytes", errMalformed, kind, whole)
	}
	if err := s.look(first, head, whole); err != nil {
		return err
	}
	s.in = true
	if n := whole - head - s.packet.head; kind == packets.Publish && n >= shareFrom {
		if err := s.lift(first, head, n); err != nil {
			return err
		}
	} else {
		s.ok = min(s.ok+whole, len(s.buf))
		s.rest = whole - (s.ok - s.pos)
	}
	s.seen(&s.packet)
	return nil
}

// lift reads the payload of n bytes, and lets pass what lies before it and the byte
// that stands in for it.
func (s *screen) lift(first byte, head, n int) error {
	if err := s.fill(head + s.packet.head + 1); err != nil {
		return err
	}
	body := s.ok + head
	at := body + s.packet.head
	end := min(at+n, len(s.buf))
	payload, err := grown(s.buf[at:end], n, s.r.Read)
	if err != nil {
		return err
	}
	var fixed [1 + maxVarint]byte
	short := appendVarint(append(fixed[:0], first), s.packet.head+len(standIn))
	s.payload, s.saved = payload, head-len(short)+n-len(standIn)
	to := end - len(standIn)
	copy(s.buf[to-s.packet.head:to], s.buf[body:at])
	copy(s.buf[to:], standIn)
	s.pos, s.ok, s.rest = to-s.packet.head-len(short), end, 0
	copy(s.buf[s.pos:], short)
	return nil
}

// lifted is what was lifted off the packet that has just passed, once, and the bytes
// that it is shorter for it.
func (s *screen) lifted() (payload []byte, saved int) {
	payload, saved = s.payload, s.saved
	s.payload, s.saved = nil, 0
	return payload, saved
}

// look checks a packet, of a PUBLISH as much as it takes: most have short topics.
func (s *screen) look(first byte, head, whole int) error {
	part := min(whole, maxHead)
	if first>>4 == packets.Publish {
		part = min(whole, shortHead)
	}
	for {
		if err := s.fill(part); err != nil {
			return err
		}
		err := s.packet.check(first, s.buf[s.ok+head:s.ok+part])
		if !errors.Is(err, errShort) || part == min(whole, maxHead) {
			return err
		}
		part = min(whole, maxHead)
	}
}

// drop forgets what has passed, when that is all.
func (s *screen) drop() {
	if s.ok < len(s.buf) {
		return
	}
	s.pos, s.ok, s.buf = 0, 0, s.buf[:0]
	if cap(s.buf) > screenBuf {
		s.buf = nil
	}
}

// fill reads until n bytes are there to be looked at. It reads more when there is
// room, but not before CONNECT.
func (s *screen) fill(n int) error {
	for len(s.buf)-s.ok < n {
		if err := s.room(n); err != nil {
			return err
		}
		end := cap(s.buf)
		if !s.in {
			end = min(end, s.ok+n)
		}
		got, err := s.r.Read(s.buf[len(s.buf):end])
		s.buf = s.buf[:len(s.buf)+got]
		if got == 0 && err != nil {
			return err
		}
	}
	return nil
}

// room makes some in buf: by forgetting what has passed, or by doubling it.
func (s *screen) room(n int) error {
	if len(s.buf) < cap(s.buf) {
		return nil
	}
	least := screenBuf
	if !s.in {
		least = freeConnect / 4
	}
	size := max(least, cap(s.buf))
	if unseen := len(s.buf) - s.ok; 2*unseen > size {
		size = max(size, min(2*size, n), unseen+1)
	}
	if more := size - freeConnect - s.held; !s.in && more > 0 {
		s.held += more
		if s.before.Add(int64(more)) > allConnects {
			s.admitted()
			return fmt.Errorf("%w: CONNECT beside others that hold %d bytes", errMalformed, allConnects)
		}
	}
	to := s.buf[:0]
	if size > cap(s.buf) {
		to = make([]byte, 0, size)
	}
	s.buf = append(to, s.buf[s.ok:]...)
	s.pos, s.ok = 0, 0
	return nil
}

// admitted gives back what the connection held before it was in, or refused.
func (s *screen) admitted() {
	s.before.Add(int64(-s.held))
	s.held = 0
}
