package broker

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// heap is what is in use, in KiB.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc >> 10)
}

// What a client leaves behind keeps nothing of the packets that brought it, and an
// acknowledgement nothing of what it acknowledges. Not parallel: it looks at the heap.
func TestNothingOfAPacketIsKept(t *testing.T) {
	long := packets.Properties{User: []packets.UserProperty{{Key: strings.Repeat("k", 60_000)}}}
	for name, tc := range map[string]struct {
		times int
		do    func(c *client, i int)
	}{
		"small retained messages in place of large ones": {60, func(c *client, i int) {
			c.publish(fmt.Sprintf(ownStatus, fmt.Sprint("q", i)), strings.Repeat("x", 1<<20), true)
			c.publish(fmt.Sprintf(ownStatus, fmt.Sprint("q", i)), "x", true)
		}},
		"subscriptions with properties": {100, func(c *client, i int) {
			pk := packets.Packet{
				ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
				Filters:    packets.Subscriptions{{Filter: fmt.Sprintf("acme/_fl_v1/q%d/order", i)}},
				Properties: long,
			}
			c.send(pk.SubscribeEncode)
		}},
		"QoS 2 without an end": {200, func(c *client, i int) {
			pk := packets.Packet{
				ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 2}, PacketID: uint16(i + 1),
				TopicName: fmt.Sprintf(ownStatus, "q"), Payload: []byte("x"), Properties: long,
			}
			c.send(pk.PublishEncode)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := run(t, plant(t))
			c := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1", version: 5})
			before := heap()
			for i := range tc.times {
				tc.do(c, i)
			}
			if !c.alive() {
				t.Error("cut off")
			}
			if more := heap() - before; more > 3<<10 {
				t.Errorf("%d KiB are kept", more)
			}
		})
	}
}

// A message that is longer than the client takes is not kept for it, and others come.
func TestTooLongForTheClient(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		c := join(t, b.Conn(""), connectOpts{id: "sub", version: 5, longest: 1000})
		c.subscribe("t", 1)
		p := join(t, b.Conn(""), connectOpts{id: "pub"})
		for range 50 {
			p.publish("t", strings.Repeat("x", 1000), false)
		}
		p.publish("t", "short", false)
		if _, what := c.message(); what != "short" {
			t.Errorf("got %d bytes", len(what))
		}
		synctest.Wait()
		if cl, _ := b.server.Clients.Get("sub"); cl.State.Inflight.Len() != 1 || b.Stats().InFlight != 1 || b.Stats().MessagesDropped != 50 {
			t.Errorf("%d in flight, %+v", cl.State.Inflight.Len(), b.Stats())
		}
	})
}
