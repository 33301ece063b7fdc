package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// In MQTT the packet ids of the two directions have nothing to do with each
// other. The library mixes them: it refuses a SUBSCRIBE, with 0x91 that MQTT
// 3.1.1 does not even have, when its id is that of a message the broker sent and the
// client has not acknowledged, and ignores such an UNSUBSCRIBE. A client that
// pulls parts while others arrive meets that often. So a SUBSCRIBE is done by us
// (subscriptions.go), and such an UNSUBSCRIBE.

// OnPacketEncode says in a SUBACK what was granted. It leaves the text out of
// acknowledgements, and the payload out of messages.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	switch pk.FixedHeader.Type {
	case packets.Publish:
		pk.Mods.MaxSize = 0 // the queue looks: the library would keep what is too long for the client in flight
		pk.Payload = h.ticket(cl, &pk)
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		// The code says it. A text, and the sender's own user properties, which the
		// library sends back to it, are what some clients stumble over.
		pk.Properties.ReasonString, pk.Properties.User = "", nil
	case packets.Suback:
		if c, ok := cl.Net.Conn.(*conn); ok {
			pk.ReasonCodes, pk.Properties.ReasonString = c.granted, ""
		}
	}
	return comeLater(cl, pk)
}

// OnUnsubscribe does what the library leaves undone when the packet id is
// among those it sent.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if _, busy := cl.State.Inflight.Get(pk.PacketID); busy {
		for _, f := range pk.Filters {
			h.server.Topics.Unsubscribe(f.Filter, cl.ID)
			cl.State.Subscriptions.Delete(f.Filter)
		}
	}
	return pk
}
