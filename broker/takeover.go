package broker

import (
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A client that connects with an id in use takes it over. The library tells the
// old connection to end and goes on; the old one may then clear up behind the
// new one, which is left without subscriptions and without deliveries, and does
// not learn of it. Here the old connection has ended before the new one begins, also
// where its session stays: its client may end that yet, with DISCONNECT. Of several
// new ones with one id only one begins at a time.

// takeoverWait is how long a connection may take to end. Its Last Will may wait
// for a slow subscriber.
const takeoverWait = 5 * time.Second

// beginning holds the connections between CONNECT and CONNACK, by client id.
type beginning struct {
	mu sync.Mutex
	of map[string]*conn
}

// enter waits until no other connection with the id begins.
func (b *beginning) enter(id string, c *conn) {
	for {
		b.mu.Lock()
		other := b.of[id]
		if other == nil || other == c {
			if b.of == nil {
				b.of = map[string]*conn{}
			}
			b.of[id], c.begins = c, id
			b.mu.Unlock()
			return
		}
		settled := other.settled
		b.mu.Unlock()
		<-settled
	}
}

// settle lets the next one begin.
func (b *beginning) settle(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[c.begins] == c {
		delete(b.of, c.begins)
		close(c.settled)
	}
}

// OnSessionEstablish comes after a CONNECT was accepted and before the library
// looks for an older connection with its id.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return
	}
	sendAtOnce(cl)
	c.client.Store(cl)
	c.in.admitted()
	c.out.grow(h.limitsOf(h.userOf(cl)).Queue)
	h.begin(cl)
	h.begins.enter(cl.ID, c)
	old, ok := h.server.Clients.Get(cl.ID)
	if !ok {
		return
	}
	_ = h.server.DisconnectClient(old, packets.ErrSessionTakenOver) // its error is the code
	if oc, ok := old.Net.Conn.(*conn); ok {
		timer := time.NewTimer(takeoverWait)
		defer timer.Stop()
		select {
		case <-oc.gone:
		case <-timer.C:
		}
	}
}

// ends tells whether the session ends with the connection, as the library
// decides it. It is settled once the connection is gone.
func ends(cl *mqtt.Client) bool {
	if cl.Properties.ProtocolVersion < 5 {
		return cl.Properties.Clean
	}
	return cl.Properties.Props.SessionExpiryInterval == 0
}

// OnSessionEstablished comes after the CONNACK.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if c, ok := cl.Net.Conn.(*conn); ok {
		h.begins.settle(c)
	}
}
