package link

import (
	"fmt"
	"time"
)

// A PUBLISH that leaves does not pass through the library, which would copy its payload
// and take it from goroutine to goroutine: one goroutine writes it, with the others that
// wait, and the reader of the connection has its PUBACK.

// flight is a message with QoS 1 that has left, or is about to.
type flight struct {
	*request
	at     time.Time   // when it left
	late   *time.Timer // its room is given back before its PUBACK
	landed bool        // its outcome is known, or another has it
}

// write serves what is to be sent until the session ends: requests, and posts from the
// first State.Up on, by turns.
func (s *session) write() {
	defer s.flush(nil) // what is left has its outcome
	q := s.conn.posts
	var wake chan struct{} // of posts, when they may go
	for {
		select {
		case r := <-s.requests:
			s.send(r)
		default:
		}
		if wake != nil && s.post() {
			continue
		}
		s.flush(nil) // nothing else waits
		select {
		case <-s.guard.done:
			return
		case r := <-s.requests:
			s.send(r)
		case <-s.posting:
			s.posting, wake = nil, q.wake
		case <-wake:
		}
	}
}

// send waits for room and has one message leave.
func (s *session) send(r *request) {
	s.conn.mu.Lock()
	alone := s.conn.suspects.alone(r.msg.Topic) // C-16
	s.conn.mu.Unlock()
	if !s.waitRoom(r.weight(), alone) {
		if r.claim() {
			s.unsent(r)
		}
		return
	}
	if !r.claim() {
		s.release(r)
		return
	}
	if r.msg.QoS == 0 {
		s.leave(leaving{r: r})
		return
	}
	f, id := s.takeOff(r)
	s.leave(leaving{r: r, f: f, id: id})
	if alone {
		s.waitRoom(0, true)
	}
}

func (s *session) unsent(r *request) { r.done(fmt.Errorf("%w: %s", ErrNotConnected, r.msg.Topic)) }

// takeOff gives a message its packet id. The library takes those of its SUBSCRIBEs one
// after the other, so these are of the other half.
func (s *session) takeOff(r *request) (*flight, uint16) {
	s.mu.Lock()
	lost := len(s.pending)
	defer func() {
		if s.mu.Unlock(); lost >= mostLost {
			s.guard.fail(fmt.Errorf("%w: %d messages without a PUBACK", errPacket, lost), false)
		}
	}()
	half := ^s.guard.lastID() & (1 << 15)
	for {
		if s.lastID++; s.lastID&(1<<15-1) == 0 {
			s.lastID++
		}
		id := half | s.lastID&(1<<15-1)
		if s.pending[id] == nil {
			f := &flight{request: r, at: time.Now(), late: time.AfterFunc(roomFor, func() { s.release(r) })}
			s.pending[id] = f
			return f, id
		}
	}
}

// acked takes a PUBACK. In a connection that carried the message it is its outcome
// (C-1). It runs in the reader of the connection, and waits for nothing.
func (s *session) acked(id uint16) {
	s.mu.Lock()
	f := s.pending[id]
	delete(s.pending, id)
	s.mu.Unlock()
	if f != nil {
		s.land(f, nil)
	}
}

// strand ends what has no PUBACK when the session has ended. It stays in pending: accuse
// asks who was in flight.
func (s *session) strand() {
	s.mu.Lock()
	var list []*flight
	for _, f := range s.pending {
		list = append(list, f)
	}
	s.mu.Unlock()
	for _, f := range list {
		s.land(f, fmt.Errorf("connection %d ended before the PUBACK", s.epoch))
	}
}

// land gives a message its outcome, once: the reader may still take a PUBACK from its
// buffer when the session has ended.
func (s *session) land(f *flight, err error) {
	s.mu.Lock()
	again := f.landed
	f.landed = true
	s.mu.Unlock()
	if again {
		return
	}
	if f.late.Stop() {
		s.release(f.request)
	}
	s.tell(f.request, err)
}

// tell gives a request its outcome.
func (s *session) tell(r *request, err error) {
	c := s.conn
	c.mu.Lock()
	if err == nil {
		c.stats.Published++
		if r.msg.QoS > 0 {
			c.suspects.acquit(r.msg.Topic)
		}
	} else {
		c.stats.Unknown++
		err = fmt.Errorf("%w: %s: %w", ErrOutcomeUnknown, r.msg.Topic, err)
	}
	c.mu.Unlock()
	r.done(err)
}

// waitRoom reserves room for unacknowledged messages; alone waits until there
// are none. It returns false when the session ended first.
func (s *session) waitRoom(weight int, alone bool) bool {
	for {
		s.mu.Lock()
		ok := s.used+weight <= inFlight && (!alone || s.used == 0)
		if ok {
			s.used += weight
		}
		s.mu.Unlock()
		if ok {
			return true
		}
		s.flush(nil) // what frees room may be in it
		select {
		case <-s.freed:
		case <-s.guard.done:
			return false
		}
	}
}

func (s *session) release(r *request) {
	s.mu.Lock()
	s.used -= r.weight()
	s.mu.Unlock()
	signal(s.freed)
	signal(s.idle)
}
