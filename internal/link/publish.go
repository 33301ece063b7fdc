package link

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	mqtt "github.com/eclipse/paho.mqtt.golang"
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
func packetSize(m *Message) int { return 5 + 2 + len(m.Topic) + 2 + len(m.Payload) }

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

// write serves the requests of the session until it ends.
func (s *session) write() {
	for {
		select {
		case <-s.guard.done:
			return
		case r := <-s.requests:
			s.send(r)
		}
	}
}

// send waits for room and hands one message to the library. The hand-over is
// gated by the guard so that it never waits behind a PUBLISH still being
// written: a caller stuck in the library could not be freed (C-4).
func (s *session) send(r *request) {
	s.conn.mu.Lock()
	alone := s.conn.suspects.alone(r.msg.Topic) // C-16
	s.conn.mu.Unlock()
	if !s.waitRoom(r.weight(), alone) {
		if r.claim() {
			r.done(fmt.Errorf("%w: %s", ErrNotConnected, r.msg.Topic))
		}
		return
	}
	if !r.claim() {
		s.release(r)
		return
	}
	select {
	case <-s.guard.sent: // left over from a message acknowledged before we looked
	default:
	}
	token := s.client.Publish(r.msg.Topic, r.msg.QoS, r.msg.Retained, r.msg.Payload)
	select {
	case <-s.guard.sent:
	case <-token.Done():
	case <-s.guard.done:
	}
	s.track(r)
	s.goes.Go(func() { s.await(r, token) })
	if alone {
		s.waitRoom(0, true)
	}
}

// await turns a token into an outcome. In a client that never reconnects a
// token ends without error by its PUBACK only (C-1).
func (s *session) await(r *request, token mqtt.Token) {
	late := time.AfterFunc(roomFor, func() { s.release(r) })
	select {
	case <-token.Done():
	case <-s.guard.done:
	}
	err := s.outcome(r, token)
	c := s.conn
	c.mu.Lock()
	if err == nil {
		c.stats.Published++
		if r.msg.QoS > 0 {
			c.suspects.acquit(r.msg.Topic)
		}
	} else {
		c.stats.Unknown++
	}
	c.mu.Unlock()
	if err == nil || !s.ended() { // else accuse asks who was in flight
		s.untrack(r)
	}
	if late.Stop() {
		s.release(r)
	}
	r.done(err)
}

// outcome is what a token says when it, or the connection, has ended.
func (s *session) outcome(r *request, token mqtt.Token) error {
	select {
	case <-token.Done():
		if err := token.Error(); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrOutcomeUnknown, r.msg.Topic, err)
		}
		return nil
	default:
		return fmt.Errorf("%w: %s: connection %d ended before the PUBACK", ErrOutcomeUnknown, r.msg.Topic, s.epoch)
	}
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

// track notes when a message left, for the question who made the broker cut
// the link; untrack forgets it at its PUBACK.
func (s *session) track(r *request) {
	if r.msg.QoS == 0 {
		return
	}
	s.mu.Lock()
	s.pending[r] = time.Now()
	s.mu.Unlock()
}

func (s *session) untrack(r *request) {
	s.mu.Lock()
	delete(s.pending, r)
	s.mu.Unlock()
}
