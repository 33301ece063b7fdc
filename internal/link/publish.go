package link

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// checkTopic says why a topic cannot be published to. The client library does
// not check, and brokers drop such a message in silence.
func checkTopic(topic string) error {
	switch {
	case topic == "", len(topic) > 65535:
		return fmt.Errorf("%w: %d bytes long", ErrTopic, len(topic))
	case strings.ContainsAny(topic, "+#\x00"):
		return fmt.Errorf("%w: %q has a wildcard or NUL", ErrTopic, topic)
	case !utf8.ValidString(topic):
		return fmt.Errorf("%w: not UTF-8", ErrTopic)
	}
	return nil
}

// packetSize is the length of a PUBLISH in bytes, at most.
func packetSize(m *Message) int { return 5 + 2 + len(m.Topic) + 2 + len(m.Head) + len(m.Payload) }

// check says why a message cannot be sent at all.
func (c *Conn) check(m *Message) error {
	if err := checkTopic(m.Topic); err != nil {
		return err
	}
	if n := packetSize(m); n > c.cfg.MaxPacket { // C-2: the library knows no maximum
		return fmt.Errorf("%w: %s: %d bytes, the limit is %d", ErrTooLarge, m.Topic, n, c.cfg.MaxPacket)
	}
	if m.QoS > 1 {
		return fmt.Errorf("link: %s: QoS %d, want 0 or 1", m.Topic, m.QoS)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspects.quarantined(m.Topic, time.Now()) {
		return fmt.Errorf("%w: %s: the broker cut the link at it twice, as brokers do at a denied publish", ErrQuarantined, m.Topic)
	}
	return nil
}

// Publish sends one message and waits. It returns nil only for a PUBACK in the
// connection that carried the message (C-1); for QoS 0 when it was written.
// Else: ErrTooLarge, ErrTopic, ErrQuarantined, ErrNotConnected and ctx.Err()
// alone say that nothing was sent, ErrOutcomeUnknown that nobody knows. It
// blocks while 64 small messages or 8 parts are unacknowledged.
func (c *Conn) Publish(ctx context.Context, m Message) error {
	h, err := c.Hand(ctx, m)
	if err != nil {
		return err
	}
	return h.Wait(ctx)
}

// Handed is a message whose turn to leave has come.
type Handed struct {
	r      *request
	result chan error
}

// Hand is the first half of [Conn.Publish]: it waits until the message's turn has come,
// and Wait for its PUBACK. What is handed over one after the other leaves in that order.
func (c *Conn) Hand(ctx context.Context, m Message) (*Handed, error) {
	if err := c.check(&m); err != nil {
		return nil, err
	}
	c.mu.Lock()
	s := c.up
	if c.closing {
		s = nil
	}
	c.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotConnected, m.Topic)
	}
	h := &Handed{result: make(chan error, 1)}
	h.r = &request{msg: m, done: func(err error) { h.result <- err }}
	return h, s.submit(ctx, h.r)
}

// Wait is the second half of [Conn.Publish], and has its errors.
func (h *Handed) Wait(ctx context.Context) error {
	select {
	case err := <-h.result:
		return err
	case <-ctx.Done():
		if h.r.withdraw() {
			return ctx.Err()
		}
		select {
		case err := <-h.result:
			return err
		default:
			return fmt.Errorf("%w: %s: %w", ErrOutcomeUnknown, h.r.msg.Topic, ctx.Err())
		}
	}
}

// request is one message on its way through a session. done is called exactly
// once, unless it is withdrawn.
type request struct {
	msg   Message
	done  func(error)
	state atomic.Int32 // 0 waiting, 1 sent, 2 withdrawn
}

func (r *request) claim() bool    { return r.state.CompareAndSwap(0, 1) }
func (r *request) withdraw() bool { return r.state.CompareAndSwap(0, 2) }

// weight is what a message takes of the room for unacknowledged ones.
func (r *request) weight() int {
	if len(r.msg.Payload) >= smallMessage {
		return partWeight
	}
	return 1
}

// submit gives a request to the session's writer, in order of arrival.
func (s *session) submit(ctx context.Context, r *request) error {
	select {
	case s.requests <- r:
		return nil
	case <-s.guard.done:
		return fmt.Errorf("%w: %s", ErrNotConnected, r.msg.Topic)
	case <-ctx.Done():
		return ctx.Err()
	}
}
