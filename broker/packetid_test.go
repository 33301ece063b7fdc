package broker

import (
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// The ids of messages the broker sent do not concern a client's SUBSCRIBE and
// UNSUBSCRIBE.
func TestPacketIDsOfTheTwoDirectionsAreApart(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true})
	c := join(t, b.Conn(""), connectOpts{id: "c"})
	pub := join(t, b.Conn(""), connectOpts{id: "pub"})
	if code := c.subscribeAs(100, "t", 1); code != 1 {
		t.Fatalf("SUBACK %#x", code)
	}
	pub.publish("t", "first", false)
	pk, ok := c.await(packets.Publish)
	if !ok || pk.PacketID == 0 {
		t.Fatal("no message")
	}
	if code := c.subscribeAs(pk.PacketID, "u", 1); code != 1 {
		t.Errorf("SUBSCRIBE with the id of a message: SUBACK %#x", code)
	}
	un := packets.Packet{
		ProtocolVersion: 4, PacketID: pk.PacketID, FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe, Qos: 1},
		Filters: packets.Subscriptions{{Filter: "t"}},
	}
	c.send(un.UnsubscribeEncode)
	if ack, ok := c.await(packets.Unsuback); !ok || ack.PacketID != pk.PacketID {
		t.Errorf("UNSUBACK %v %v", ok, ack.PacketID)
	}
	pub.publish("t", "unwanted", false)
	pub.publish("u", "wanted", false)
	if topic, what := c.message(); topic != "u" {
		t.Errorf("got %q on %q after UNSUBSCRIBE", what, topic)
	}
}

// A client of MQTT 5 is told why a publish is refused by a code alone, and does not
// get its own properties back: some stumble over either.
func TestAcknowledgementsHaveNoText(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	b, _ := run(t, cfg)
	c := join(t, b.Conn("screen"), connectOpts{id: "screen", version: 5})
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 5,
		TopicName: "acme/_fl_v1/q/order", Payload: []byte("x"), PacketID: 7,
		Properties: packets.Properties{User: []packets.UserProperty{{Key: "unit", Val: "bar"}}},
	}
	c.send(pk.PublishEncode)
	ack, ok := c.await(packets.Puback)
	if p := ack.Properties; !ok || ack.ReasonCode != packets.ErrNotAuthorized.Code || p.ReasonString != "" || len(p.User) != 0 {
		t.Errorf("PUBACK %v %#x %q %v", ok, ack.ReasonCode, p.ReasonString, p.User)
	}
}
