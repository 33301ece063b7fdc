package link

import (
	"context"
	"fmt"
	"strings"
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

// Publish sends one message and waits. It returns nil only for a PUBACK in the
// connection that carried the message (C-1); for QoS 0 when it was written.
// Else: ErrTooLarge, ErrTopic, ErrQuarantined, ErrNotConnected and ctx.Err()
// say that nothing was sent, ErrOutcomeUnknown that nobody knows. It blocks
// while 64 small messages or 8 parts are unacknowledged.
func (c *Conn) Publish(ctx context.Context, m Message) error { return ErrNotConnected }

// Post hands a message over without waiting; it never blocks. Messages go out
// in order, when the link is up. While it is down QoS 0 messages are dropped
// and a retained message replaces an older one of its topic that waits; when
// the queue is full the oldest unretained message is dropped. A retained
// message whose outcome is unknown is sent again after the reconnect unless a
// newer one of its topic was posted; any other is left to the protocol, which
// asks again. Failures are logged and counted in Stats.
func (c *Conn) Post(m Message) {}
