package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

const ownStatus = "acme/berlin/line-1/_fl_v1/%s/status"

// A user keeps so many bytes and topics on the broker and no more, whatever it
// does in between; replacing and clearing go on, and others are not concerned.
func TestRetainedIsBounded(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.DataDir = t.TempDir()
	cfg.Limits.Site.RetainedBytes, cfg.Limits.Site.RetainedTopics = 100_000, 20
	b, stop := run(t, cfg)
	site := func() *client { return join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"}) }
	topic := func(i int) string { return fmt.Sprintf(ownStatus, fmt.Sprint("q", i)) }
	c, taken := site(), 0
	for i := range 40 {
		if c.publish(topic(i), "x", true) {
			taken++
			continue
		}
		c = site()
	}
	if taken != 20 {
		t.Errorf("%d topics are kept, want 20", taken)
	}
	if !c.publish(topic(0), "y", true) || !c.publish(topic(1), "", true) || !c.publish(topic(30), "z", true) || c.publish(topic(31), "z", true) {
		t.Error("replacing, clearing, and one more for the one cleared")
	}
	c = site()
	if !c.publish(topic(2), strings.Repeat("x", 70_000), true) || c.publish(topic(3), strings.Repeat("x", 20_000), true) {
		t.Error("70 kB fit, 20 kB more do not")
	}
	c = site()
	c.send((&packets.Packet{ // QoS 0 has no answer: the connection goes on, nothing is kept
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, TopicName: topic(4), Payload: make([]byte, 50_000), ProtocolVersion: 4,
	}).PublishEncode)
	if !c.publish(topic(2), "small again", true) || !c.publish(topic(3), strings.Repeat("x", 20_000), true) {
		t.Error("what is given back is not there again")
	}
	if pk, _ := b.server.Topics.Retained.Get(topic(4)); len(pk.Payload) > 1 {
		t.Errorf("%d bytes of a refused publish are kept", len(pk.Payload))
	}
	gera := join(t, b.Conn("gera/line-1"), connectOpts{id: "gera/line-1"})
	if !gera.publish("acme/gera/line-1/_fl_v1/q/status", strings.Repeat("x", 90_000), true) {
		t.Error("another user has no room")
	}
	s := b.Stats()
	if s.Retained != 21 || s.Refused[ReasonRetainedTopics] < 21 || s.Refused[ReasonRetainedBytes] != 2 {
		t.Errorf("%d retained, %v", s.Retained, s.Refused)
	}
	stop()

	// A file from before holds no more than what is allowed now.
	cfg.Limits.Site.RetainedTopics = 5
	b, stop = run(t, cfg)
	if n := b.Stats().Retained; n != 6 { // 5, and gera's
		t.Errorf("%d retained after a restart with a lower limit", n)
	}
	stop()
	if b, _ = run(t, cfg); b.Stats().Refused[ReasonRetainedTopics] != 0 {
		t.Error("what was dropped is still in the file")
	}
}

// Properties of MQTT 5 are bytes too.
func TestRetainedPropertiesCount(t *testing.T) {
	t.Parallel()
	pk := packets.Packet{TopicName: "t", Payload: []byte("x")}
	h := &hook{}
	plain := h.sizeOf(&pk)
	pk.Properties.User = []packets.UserProperty{{Key: strings.Repeat("k", 1000), Val: strings.Repeat("v", 2000)}}
	pk.Properties.CorrelationData, pk.Properties.ResponseTopic, pk.Properties.ContentType = make([]byte, 100), "response", "type"
	if got := h.sizeOf(&pk) - plain; got != 3112+32 {
		t.Errorf("properties of 3112 bytes and two strings count %d", got)
	}
}
