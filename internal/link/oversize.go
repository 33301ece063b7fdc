package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A broker with a larger limit than ours lets any peer that may write to a topic of
// our subscriptions send what we would not take. If that cost the link, one peer could
// keep it down. So a PUBLISH over the cap is read past, nothing of it is kept, and
// with QoS 1 it is acknowledged, or the broker would keep a place for it (C-13).

// skip reads past a PUBLISH whose fixed header has been seen.
func (g *guard) skip(first byte, head, length int) error {
	if _, err := g.r.Discard(head); err != nil {
		return err
	}
	qos := first >> 1 & 3
	topic, left, err := g.prefix(length)
	if err != nil {
		return err
	}
	var id [2]byte
	if qos > 0 {
		if left < len(id) || qos > 1 {
			return fmt.Errorf("%w: PUBLISH of %d bytes with QoS %d", errPacket, length, qos)
		}
		if _, err := io.ReadFull(g.r, id[:]); err != nil {
			return err
		}
		left -= len(id)
	}
	if _, err := g.r.Discard(left); err != nil {
		return err
	}
	g.in.Add(uint64(head + length)) // a length of four bytes of seven bits
	if g.skipped != nil {
		g.skipped(topic, head+length)
	}
	if qos > 0 {
		_, err = g.Write([]byte{typePuback << 4, 2, id[0], id[1]})
	}
	return err
}

// prefix reads a text with its length before it, and returns the beginning of it
// and what is left of the packet.
func (g *guard) prefix(length int) (text string, left int, err error) {
	var n [2]byte
	if length < len(n) {
		return "", 0, fmt.Errorf("%w: PUBLISH of %d bytes", errPacket, length)
	}
	if _, err := io.ReadFull(g.r, n[:]); err != nil {
		return "", 0, err
	}
	long := int(binary.BigEndian.Uint16(n[:]))
	if left = length - len(n) - long; left < 0 {
		return "", 0, fmt.Errorf("%w: PUBLISH of %d bytes with a topic of %d", errPacket, length, long)
	}
	b := make([]byte, min(long, 200))
	if _, err := io.ReadFull(g.r, b); err != nil {
		return "", 0, err
	}
	_, err = g.r.Discard(long - len(b))
	return string(b), left, err
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
