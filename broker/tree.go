package broker

import (
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The library keeps in a tree which topics have something retained. It writes there
// with a lock of its own, and looks for what a filter matches without one, so that a
// subscriber may read half a string, and panic (M14). Here connections look side by
// side, and who retains does it alone: the hook takes the lock in the last call
// before the library looks or writes, and gives it back in the first one after.

// hold takes a lock for what the library does next for the client's packet.
func hold(cl *mqtt.Client, l sync.Locker) {
	if c, ok := cl.Net.Conn.(*conn); ok {
		l.Lock()
		c.holds = l
	}
}

// release gives back what the connection holds. Only its own goroutine calls it.
func (c *conn) release() {
	if c.holds != nil {
		c.holds.Unlock()
		c.holds = nil
	}
}

// retaining notes that the library has retained pk for the client, and returns what
// ends it. A Will that was delayed comes from the library's clock, which tells nobody
// before.
func (h *hook) retaining(cl *mqtt.Client, pk *packets.Packet) (end func()) {
	if delayed := pk.Connect.WillProperties.WillDelayInterval > 0; !delayed {
		if c, ok := cl.Net.Conn.(*conn); ok && c.holds != nil {
			return c.release
		}
	}
	h.tree.Lock()
	return h.tree.Unlock
}

// OnPacketProcessed comes after the retained messages of a SUBSCRIBE.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, _ packets.Packet, _ error) {
	if c, ok := cl.Net.Conn.(*conn); ok {
		c.release()
	}
}
