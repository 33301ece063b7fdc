package broker

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// Who connects with names as long as CONNECT allows is not remembered by them.
func TestLongNames(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		long := strings.Repeat("x", maxTopic)
		open, _ := run(t, Config{Open: true})
		if _, code := dial(t, open.Conn(""), connectOpts{id: long}); code != 0 {
			t.Errorf("an id of 1 KiB: CONNACK %d", code)
		}
		if _, code := dial(t, open.Conn(""), connectOpts{id: long + "x"}); code != 5 || open.Stats().Refused[ReasonClientID] != 1 {
			t.Errorf("an id of more: CONNACK %d, %v", code, open.Stats().Refused)
		}
		b, _ := run(t, plant(t))
		for i := range 3 {
			if _, code := dial(t, b.Conn(""), connectOpts{id: "x", user: strings.Repeat(fmt.Sprint(i), 10_000), password: "x"}); code != 5 {
				t.Errorf("a user of 10,000 bytes: CONNACK %d", code)
			}
		}
		for of := range b.hook.logins.pairs {
			if len(of.user) > 2*maxUserName {
				t.Errorf("a name of %d bytes is remembered", len(of.user))
			}
		}
		if len(b.hook.logins.pairs) != 3 {
			t.Errorf("%d are remembered", len(b.hook.logins.pairs))
		}
	})
}

// particles counts the levels of the library's tree of topics.
func particles(b *Broker) int {
	var count func(particle reflect.Value) int
	count = func(particle reflect.Value) int {
		n := 1
		for below := particle.Elem().FieldByName("particles").FieldByName("internal").MapRange(); below.Next(); {
			n += count(below.Value())
		}
		return n
	}
	return count(reflect.ValueOf(b.server.Topics).Elem().FieldByName("root"))
}

// A retained message that expires leaves nothing behind, not even its topic; one that
// comes in between is kept.
func TestExpiredLeavesNothing(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, plant(t))
		c := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1", version: 5})
		before := particles(b)
		for i := range 50 {
			pk := packets.Packet{
				ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true},
				TopicName: fmt.Sprintf(ownStatus, fmt.Sprint("q", i)), Payload: []byte("x"),
			}
			pk.Properties.MessageExpiryInterval = 1
			c.send(pk.PublishEncode)
		}
		synctest.Wait()
		if n := b.Stats().Retained; n != 50 {
			t.Fatalf("%d retained", n)
		}
		time.Sleep(5 * time.Second) // of the bubble's
		if n := b.Stats().Retained; n != 0 || particles(b) != before {
			t.Errorf("%d retained, %d levels more than before", n, particles(b)-before)
		}
		topic := fmt.Sprintf(ownStatus, "again")
		c.publish(topic, "new", true)
		b.hook.OnRetainedExpired(topic) // of an older one
		if _, there := b.server.Topics.Retained.Get(topic); !there || b.Stats().Retained != 1 {
			t.Error("what came in between is gone")
		}
		cl, _ := b.server.Clients.Get("berlin/line-1")
		pk := packets.Packet{TopicName: topic, Payload: []byte("newer"), FixedHeader: packets.FixedHeader{Retain: true}}
		b.server.Topics.RetainMessage(packets.Packet{TopicName: topic}) // as if cleared between the library's two steps
		b.hook.OnRetainMessage(cl, pk, 1)
		if now, _ := b.server.Topics.Retained.Get(topic); string(now.Payload) != "newer" || b.Stats().Retained != 1 {
			t.Errorf("kept is %q", now.Payload)
		}
	})
}

// A Last Will is kept within the limits of its user; on an open broker it is to a
// topic that may be published to.
func TestWillsOfAnOpenBroker(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		cfg := Config{Open: true}
		cfg.Limits.Anonymous.RetainedTopics = 3
		b, _ := run(t, cfg)
		watch := join(t, b.Conn(""), connectOpts{id: "watch"})
		watch.subscribe("w/#", 1)
		for i := range 5 {
			will := &packets.Packet{TopicName: fmt.Sprint("w/", i), Payload: []byte("gone"), FixedHeader: packets.FixedHeader{Qos: 1, Retain: true}}
			_ = join(t, b.Conn(""), connectOpts{id: fmt.Sprint("c", i), will: will}).conn.Close()
			if topic, _ := watch.message(); topic != will.TopicName {
				t.Errorf("a Will on %s, want %s", topic, will.TopicName)
			}
		}
		if s := b.Stats(); s.Retained != 3 || s.Refused[ReasonRetainedTopics] != 2 {
			t.Errorf("%d retained, %v", s.Retained, s.Refused)
		}
		for _, topic := range []string{"#", "a/+", "$SYS/broker/version"} {
			if _, code := dial(t, b.Conn(""), connectOpts{id: "c", will: &packets.Packet{TopicName: topic, Payload: []byte("x")}}); code != 5 {
				t.Errorf("a Will on %q: CONNACK %d", topic, code)
			}
		}
	})
}
