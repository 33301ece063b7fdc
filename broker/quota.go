package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A client of MQTT 5 says how many unacknowledged messages it takes. What is
// beyond, the library holds back, and sends when there is room again; but it forgets
// such a message once it is sent, and then its PUBACK gives no room back. After as
// many as the client takes at once, a bridge of Mosquitto's after 20, nothing is ever
// sent to it again.

// giveRoomBack does what the library leaves undone at a PUBACK of a message that it
// had held back. It never gives more room than the client has.
func giveRoomBack(cl *mqtt.Client, pk packets.Packet) {
	if pk.FixedHeader.Type != packets.Puback {
		return
	}
	if _, known := cl.State.Inflight.Get(pk.PacketID); !known {
		cl.State.Inflight.IncreaseSendQuota()
	}
}
