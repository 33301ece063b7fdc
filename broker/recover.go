package broker

import (
	"fmt"
	"runtime/debug"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"
)

// What panics in the library in spite of the screen costs the one client it
// panicked for: it is removed as by a cut link (M12). The library holds no lock
// at that point: it gives all of them back by defer, but for one around a line
// that cannot panic (TestUpstreamLocksAreDeferred). A panic in a goroutine of its
// own, of which it has one a client for writing and one for its clock, could not be
// caught here: what those call of ours does not let one out (guard, conn.Write).

// establish serves c with the library.
func (b *Broker) establish(c *conn, kind string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("broker: panic: %v", p)
			b.hook.panicked(p, c.RemoteAddr().String())
			b.sweep(c, err)
		}
	}()
	return b.server.EstablishConnection(kind, c)
}

// sweep does what the library does at the end of a connection that breaks.
func (b *Broker) sweep(c *conn, err error) {
	cl := c.client.Load()
	if cl == nil {
		return // it has no session yet
	}
	cl.Stop(err)
	again := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}}
	for _, step := range []func(){
		func() { _ = b.server.InjectPacket(cl, again) }, // a second CONNECT makes the library send the Will
		func() { b.hook.OnDisconnect(cl, err, ends(cl)) },
		func() {
			if ends(cl) && !cl.IsTakenOver() {
				cl.ClearInflights()
			}
		},
		func() {
			if ends(cl) && !cl.IsTakenOver() {
				b.server.UnsubscribeClient(cl)
			}
		},
		func() {
			if now, ok := b.server.Clients.Get(cl.ID); ok && now == cl && ends(cl) {
				b.server.Clients.Delete(cl.ID)
			}
		},
	} {
		b.hook.guard(cl, step)
	}
}

// guard runs f, and ends the client's connection when that panics.
func (h *hook) guard(cl *mqtt.Client, f func()) {
	defer func() {
		if p := recover(); p != nil {
			remote := ""
			if cl != nil {
				remote = cl.Net.Remote
				defer cl.Stop(fmt.Errorf("broker: panic: %v", p))
			}
			h.panicked(p, remote)
		}
	}()
	f()
}

// panicked counts a panic and logs where it came from.
func (h *hook) panicked(p any, remote string) {
	h.refuse(ReasonPanic, remote, "a client's connection panicked; it is removed", func(e *zerolog.Event) {
		e.Str("panic", cut(fmt.Sprint(p))).Str("stack", string(debug.Stack()))
	})
}
