package broker

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// ack answers whatever comes, as a client does, and returns how many messages
// came until nothing more did.
func (c *client) ack() (got int) {
	for {
		select {
		case pk, more := <-c.in:
			if !more {
				return got
			}
			if pk.FixedHeader.Type == packets.Publish {
				got++
			}
			c.answer(pk)
		case <-time.After(10 * time.Second):
			return got
		}
	}
}

// answer goes one step on with QoS 1 and 2, in both directions.
func (c *client) answer(pk packets.Packet) {
	var kind byte
	switch {
	case pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos == 1:
		kind = packets.Puback
	case pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos == 2:
		kind = packets.Pubrec
	case pk.FixedHeader.Type == packets.Pubrec:
		kind = packets.Pubrel
	case pk.FixedHeader.Type == packets.Pubrel:
		kind = packets.Pubcomp
	default:
		return
	}
	out := packets.Packet{ProtocolVersion: c.v, FixedHeader: packets.FixedHeader{Type: kind}, PacketID: pk.PacketID}
	if kind == packets.Pubrel {
		out.FixedHeader.Qos = 1
	}
	c.send(out.PubackEncode)
}

// neverWaits fails when a client has a send quota left, with which the library
// would enter Inflight.NextImmediate (M11).
func neverWaits(t *testing.T, b *Broker) {
	t.Helper()
	synctest.Wait()
	all := b.server.Clients.GetAll()
	for id, cl := range all {
		in := reflect.ValueOf(cl.State.Inflight).Elem()
		if n, most := in.FieldByName("sendQuota").Int(), in.FieldByName("maximumSendQuota").Int(); n != 0 || most != 0 {
			t.Errorf("client %s: send quota %d of %d: the library looks for what it held back, and may freeze", id, n, most)
		}
	}
	if len(all) == 0 {
		t.Error("no client")
	}
}

// A client of MQTT 5 that takes few messages at once gets no more than that, and
// all that are retained, in order.
func TestNarrowClient(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		for i := range 100 {
			pub.publish(fmt.Sprint("t/", i), "x", true)
		}
		for _, atOnce := range []uint16{1, 20, 99} {
			for _, qos := range []byte{1, 2} {
				c := join(t, b.Conn(""), connectOpts{id: "narrow", version: 5, atOnce: atOnce})
				c.subscribe("t/#", qos)
				synctest.Wait()
				if got := len(c.in); got != int(atOnce) {
					t.Errorf("%d at once: %d messages before the first is acknowledged", atOnce, got)
				}
				if got := c.ack(); got != 100 {
					t.Errorf("%d at once, QoS %d: %d messages of 100", atOnce, qos, got)
				}
				neverWaits(t, b)
			}
		}
	})
}

// What else a client of MQTT 5 may be, and a session of MQTT 3.1.1 that becomes one.
func TestNoClientHasAQuota(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*testing.T, *Broker, *client){
		"fresh": func(t *testing.T, b *Broker, pub *client) {
			c := join(t, b.Conn(""), connectOpts{id: "sub", version: 5, atOnce: 3})
			c.subscribe("t", 1)
			for i := range 50 {
				pub.publish("t", fmt.Sprint(i), false)
			}
			if got := c.ack(); got != 50 {
				t.Errorf("%d messages", got)
			}
		},
		"session of 3.1.1 resumed": func(t *testing.T, b *Broker, pub *client) {
			c := join(t, b.Conn(""), connectOpts{id: "sub", stay: true})
			c.subscribe("t", 1)
			_ = c.conn.Close()
			synctest.Wait()
			for i := range 50 {
				pub.publish("t", fmt.Sprint(i), false)
			}
			c = join(t, b.Conn(""), connectOpts{id: "sub", stay: true, version: 5, atOnce: 3})
			synctest.Wait()
			if got := len(c.in); got != 3 {
				t.Errorf("%d messages at once", got)
			}
			if got := c.ack(); got != 50 {
				t.Errorf("%d messages", got)
			}
			pub.publish("t", "more", false)
			if got := c.ack(); got != 1 {
				t.Errorf("%d messages later", got)
			}
		},
		"publisher of QoS 2": func(t *testing.T, b *Broker, pub *client) {
			c := join(t, b.Conn(""), connectOpts{id: "two", version: 5, atOnce: 3})
			c.subscribe("t", 2)
			for range 20 {
				c.publishAsync("t", "x", 2, false)
			}
			if got := c.ack(); got != 20 {
				t.Errorf("%d messages", got)
			}
		},
		"Will of QoS 1": func(t *testing.T, b *Broker, pub *client) {
			c := join(t, b.Conn(""), connectOpts{id: "sub", version: 5, atOnce: 1})
			c.subscribe("t", 1)
			for i := range 5 {
				w := join(t, b.Conn(""), connectOpts{id: fmt.Sprint("will", i), version: 5, atOnce: 1, will: &packets.Packet{
					TopicName: "t", Payload: []byte("gone"), FixedHeader: packets.FixedHeader{Qos: 1},
				}})
				_ = w.conn.Close()
			}
			if got := c.ack(); got != 5 {
				t.Errorf("%d messages", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				b, _ := run(t, Config{Open: true})
				pub := join(t, b.Conn(""), connectOpts{id: "pub"})
				f(t, b, pub)
				neverWaits(t, b)
			})
		})
	}
}

// What froze the broker within a second: a client of MQTT 5 that acknowledges and
// pings, beside publishers that never pause.
func TestPublishersBesideMQTT5(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true})
	sub := join(t, b.Conn(""), connectOpts{id: "sub", version: 5, atOnce: 2})
	sub.subscribe("t", 1)
	var all sync.WaitGroup
	for i := range 3 {
		pub := join(t, b.Conn(""), connectOpts{id: fmt.Sprint("pub", i)})
		all.Go(func() {
			for range 300 {
				if !pub.publish("t", strings.Repeat("x", 400), false) {
					t.Error("a publisher was cut off")
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	ping := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	for got := 0; ; {
		select {
		case pk := <-sub.in:
			got++
			sub.answer(pk)
			sub.send(ping.PingreqEncode)
		case <-done:
			if got == 0 {
				t.Error("nothing came")
			}
			return
		case <-time.After(time.Minute):
			t.Fatal("frozen")
		}
	}
}
