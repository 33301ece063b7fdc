package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A PUBLISH that comes does not pass through the library, which would copy its payload
// once more and hand it from goroutine to goroutine: the guard reads it, and the session
// queues and acknowledges it.
//
// A broker with a larger limit than ours lets any peer that may write to a topic of
// our subscriptions send what we would not take. If that cost the link, one peer could
// keep it down. So a PUBLISH over the cap is read past, nothing of it is kept, and
// with QoS 1 it is acknowledged, or the broker would keep a place for it (C-13).

// shownTopic is how much of the topic of such a message is kept.
const shownTopic = 200

// publish takes a PUBLISH whose fixed header has been seen.
func (g *guard) publish(first byte, head, length int) error {
	size, qos := head+length, first>>1&3
	switch {
	case !g.accepted:
		return fmt.Errorf("%w: PUBLISH before CONNACK", errPacket)
	case qos > g.qos:
		return fmt.Errorf("%w: PUBLISH with QoS %d", errPacket, qos)
	}
	if _, err := g.r.Discard(head); err != nil {
		return err
	}
	most := size
	if size > g.max {
		most = shownTopic
	}
	topic, left, err := g.text(length, most)
	if err != nil {
		return err
	}
	id := 0
	if qos > 0 {
		if id, left, err = g.number(left); err != nil {
			return err
		}
	}
	var payload []byte
	if size > g.max {
		_, err = g.r.Discard(left)
	} else {
		payload = g.spare.take(left)
		_, err = io.ReadFull(g.r, payload)
	}
	if err != nil {
		return err
	}
	g.in.Add(uint64(size)) // a length of four bytes of seven bits
	g.came(Message{Topic: topic, Payload: payload, QoS: qos, Retained: first&1 != 0}, uint16(id), size)
	return nil
}

// text reads a text with its length before it, and returns the beginning of it, of
// most bytes at most, and what is left of the packet.
func (g *guard) text(length, most int) (text string, left int, err error) {
	long, left, err := g.number(length)
	if err != nil {
		return "", 0, err
	}
	if left -= long; left < 0 {
		return "", 0, fmt.Errorf("%w: PUBLISH of %d bytes with a topic of %d", errPacket, length, long)
	}
	b := make([]byte, min(long, most))
	if _, err := io.ReadFull(g.r, b); err != nil {
		return "", 0, err
	}
	_, err = g.r.Discard(long - len(b))
	return string(b), left, err
}

// number reads two bytes of a packet of which so many are left, and returns how many
// then are.
func (g *guard) number(of int) (n, left int, err error) {
	if of < 2 {
		return 0, 0, fmt.Errorf("%w: PUBLISH that ends in the middle", errPacket)
	}
	b, err := g.r.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	n = int(binary.BigEndian.Uint16(b))
	_, err = g.r.Discard(2)
	return n, of - 2, err
}

// came queues a message, or counts one that was over the limit. It runs in the reader
// of the connection, which is safe for exactly one reason: nothing here can wait, neither
// the queue nor the PUBACK, which another goroutine sends (C-5, C-12).
func (s *session) came(m Message, id uint16, size int) {
	if m.Payload == nil {
		s.conn.tooLarge(m.Topic, size)
	} else {
		s.conn.inbox.put(m)
	}
	if m.QoS == 0 {
		return
	}
	s.mu.Lock()
	s.acks = appendPuback(s.acks, id)
	over := len(s.acks) > maxAcks*len(appendPuback(nil, 0))
	s.mu.Unlock()
	if over {
		s.guard.fail(fmt.Errorf("%w: %d messages without waiting for a PUBACK", errPacket, maxAcks), false)
	}
	signal(s.wakeOK)
}

func appendPuback(b []byte, id uint16) []byte {
	return append(b, typePuback<<4, 2, byte(id>>8), byte(id))
}

// acknowledge sends PUBACKs in order of arrival, those that wait in one write. One that
// takes long delays them, and nobody else (C-5).
func (s *session) acknowledge() {
	for {
		s.mu.Lock()
		acks := s.acks
		s.acks = nil
		s.mu.Unlock()
		if len(acks) > 0 {
			if _, err := s.guard.Write(acks); err != nil {
				return // the guard is closed
			}
			continue
		}
		select {
		case <-s.wakeOK:
		case <-s.guard.done:
			return
		}
	}
}

// tooLarge counts a message that was read past, and says so once a second at most.
func (c *Conn) tooLarge(topic string, size int) {
	c.mu.Lock()
	c.stats.TooLarge++
	n, now := c.stats.TooLarge, time.Now()
	quiet := now.Sub(c.toldLarge) < time.Second
	if !quiet {
		c.toldLarge = now
	}
	c.mu.Unlock()
	if !quiet {
		c.log.Warn().Str("topic", topic).Int("bytes", size).Int("limit", c.cfg.MaxPacket).Uint64("messages", n).Msg("message over the limit, not read")
	}
}
