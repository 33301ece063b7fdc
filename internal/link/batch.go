package link

import (
	"encoding/binary"
	"time"
)

// batch is messages that leave in one write, as nothing waits for one of them alone: a
// write costs both sides more than a short message does.
type batch struct {
	b    []byte
	list []leaving
}

// leaving is a message in a batch.
type leaving struct {
	r    *request
	f    *flight // nil: QoS 0
	id   uint16
	from int // its place in the batch
}

const (
	// joinedUpTo is up to which size a payload is copied behind its header.
	joinedUpTo = 16 << 10
	// batchUpTo is how much is put together before it is written whatever else waits.
	batchUpTo = 32 << 10
)

// leave puts a message into the batch. One with a long payload leaves at once, and all
// before it.
func (s *session) leave(l leaving) {
	l.from = len(s.batch.b)
	var payload []byte
	s.batch.b, payload = appendPublish(s.batch.b, &l.r.msg, l.id)
	s.batch.list = append(s.batch.list, l)
	if payload != nil || len(s.batch.b) >= batchUpTo {
		s.flush(payload)
	}
}

// flush writes the batch, and the payload of its last message.
func (s *session) flush(payload []byte) {
	if len(s.batch.list) == 0 {
		return
	}
	n, err := s.guard.write(s.batch.b, payload)
	for _, l := range s.batch.list {
		s.left(l, err, n <= l.from)
	}
	clear(s.batch.list)
	s.batch.b, s.batch.list = s.batch.b[:0], s.batch.list[:0]
}

// left says what came of writing a message. When one with QoS 1 could not be written whole
// strand has its outcome, unless nothing of it was.
func (s *session) left(l leaving, err error, nothing bool) {
	if l.f == nil {
		s.release(l.r)
		s.tell(l.r, err)
		return
	}
	s.mu.Lock()
	l.f.at = time.Now()
	gone := err != nil && nothing && !l.f.landed // some broker acknowledges what was not sent
	if gone {
		l.f.landed = true
		delete(s.pending, l.id)
	}
	s.mu.Unlock()
	if gone {
		if l.f.late.Stop() {
			s.release(l.r)
		}
		s.unsent(l.r)
	}
}

// appendPublish encodes a PUBLISH behind b, but for a payload that is long.
func appendPublish(b []byte, m *Message, id uint16) (_, payload []byte) {
	length := 2 + len(m.Topic) + len(m.Head) + len(m.Payload)
	if m.QoS > 0 {
		length += 2
	}
	first := typePublish<<4 | m.QoS<<1
	if m.Retained {
		first |= 1
	}
	b = text5(appendHeader(b, first, length), m.Topic)
	if m.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	b = append(b, m.Head...)
	if len(m.Payload) > joinedUpTo {
		return b, m.Payload
	}
	return append(b, m.Payload...), nil
}
