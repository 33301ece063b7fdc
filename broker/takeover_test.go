package broker

import (
	"fmt"
	"sync"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Of many that connect with one id at once one is left, and it is heard.
func TestTakeoverAtOnce(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{TCP: "127.0.0.1:0", Open: true})
	pub := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: "publisher"})
	for range 20 {
		var all sync.WaitGroup
		clients := make([]*client, 8)
		for i := range clients {
			all.Go(func() { clients[i], _ = dial(t, tcp(t, b.Addrs().TCP), connectOpts{id: "site"}) })
		}
		all.Wait()
		alive := 0
		for _, c := range clients {
			if c.alive() {
				alive++
				c.subscribe("order", 1)
				pub.publish("order", "x", false)
				c.message()
			}
		}
		if alive != 1 {
			t.Fatalf("%d connections with one client id", alive)
		}
	}
}

// A client that comes back while its last connection ends, however that is, or is taken over,
// keeps its subscriptions: what is published to them after its SUBACK arrives.
func TestComesBackAtOnce(t *testing.T) {
	t.Parallel()
	goodbye := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}
	ends := goodbye // the session, which should have stayed for a day
	ends.ProtocolVersion, ends.Properties.SessionExpiryIntervalFlag = 5, true
	for name, c := range map[string]struct {
		opts  connectOpts
		leave func(*client)
	}{
		"cut":                  {connectOpts{}, func(c *client) { _ = c.conn.Close() }},
		"goodbye":              {connectOpts{}, func(c *client) { c.send(goodbye.DisconnectEncode) }},
		"cut, with a session":  {connectOpts{stay: true}, func(c *client) { _ = c.conn.Close() }},
		"cut, MQTT 5":          {connectOpts{version: 5}, func(c *client) { _ = c.conn.Close() }},
		"its session stays":    {connectOpts{version: 5, stay: true}, func(c *client) { _ = c.conn.Close() }},
		"it ends its session":  {connectOpts{version: 5, stay: true}, func(c *client) { c.send(ends.DisconnectEncode) }},
		"taken over":           {connectOpts{}, func(*client) {}},
		"taken over, MQTT 5":   {connectOpts{version: 5}, func(*client) {}},
		"taken over, it stays": {connectOpts{version: 5, stay: true}, func(*client) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := run(t, Config{TCP: "127.0.0.1:0", Open: true})
			pub := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: "publisher"})
			c.opts.id = "site"
			at := join(t, tcp(t, b.Addrs().TCP), c.opts)
			at.subscribe("order", 0)
			for round := range 60 {
				next := tcp(t, b.Addrs().TCP)
				c.leave(at)
				at = join(t, next, c.opts)
				at.subscribe("order", 0)
				want := fmt.Sprint(round)
				pub.publish("order", want, false)
				if _, got := at.message(); got != want {
					t.Fatalf("round %d: message %q", round, got)
				}
			}
		})
	}
}
