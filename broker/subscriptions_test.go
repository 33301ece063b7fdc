package broker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

const ownOrder = "acme/_fl_v1/q%d/order"

// The subscriptions of a user are bounded, whatever sessions they are of, also of
// those that it left behind; those that a session has already may come again.
func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		cfg := plant(t)
		cfg.Limits.Site.Subscriptions = 40
		b, _ := run(t, cfg)
		left := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1:left", stay: true})
		c := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"})
		for i := range 20 {
			left.subscribe(fmt.Sprintf(ownOrder, i), 1)
			c.subscribe(fmt.Sprintf(ownOrder, i), 1)
		}
		_ = left.conn.Close()
		synctest.Wait()
		for range 3 {
			if code := c.subscribe(fmt.Sprintf(ownOrder, 19), 1); code != 1 {
				t.Fatalf("one that it has, again: %#x", code)
			}
		}
		few := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1:few"})
		for i := range fewSubscriptions {
			few.subscribe(fmt.Sprintf(ownOrder, i), 1)
		}
		other := join(t, b.Conn("gera/line-1"), connectOpts{id: "gera/line-1"})
		for i := range 40 {
			other.subscribe(fmt.Sprintf(ownOrder, i), 1)
		}
		if n := b.Stats().Subscriptions; n != 96 {
			t.Errorf("%d subscriptions", n)
		}
		c.send((&packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 99, ProtocolVersion: 4,
			Filters: packets.Subscriptions{{Filter: fmt.Sprintf(ownOrder, 20), Qos: 1}},
		}).SubscribeEncode)
		if pk, more := c.next(); more {
			t.Errorf("one more is answered: type %d", pk.FixedHeader.Type)
		}
		if n := b.Stats().Refused[ReasonSubscriptions]; n != 1 {
			t.Errorf("%d refused", n)
		}
	})
}

// Each level of a topic costs memory; fedmq's own have a dozen.
func TestDeepTopicsAreRefused(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, plant(t))
		c := join(t, b.Conn("screen"), connectOpts{id: "screen"})
		deep := "acme/_fl_v1/q/kpi" + strings.Repeat("/a", maxLevels-4)
		if code := c.subscribe(deep, 1); code != 1 {
			t.Errorf("%d levels: %#x", maxLevels, code)
		}
		if code := c.subscribe(deep+"/a", 1); code != packets.ErrUnspecifiedError.Code || b.Stats().Refused[ReasonTopicLength] != 1 {
			t.Errorf("%d levels: %#x, %v", maxLevels+1, code, b.Stats().Refused)
		}
		open, _ := run(t, Config{Open: true})
		o := join(t, open.Conn(""), connectOpts{id: "o"})
		if !o.publish(deep, "x", true) || o.publish(deep+"/a", "x", true) {
			t.Error("a publish on an open broker")
		}
	})
}
