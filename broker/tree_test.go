package broker

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/racing"
)

// Subscribers look for what is retained while it is retained, replaced and cleared:
// what each gets is whole, and the race detector finds nothing.
func TestRetainedWhileSubscribed(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true})
	rounds, topics := 40, 20
	if racing.On {
		rounds = 10
	}
	var wg sync.WaitGroup
	for p := range 2 {
		c := join(t, b.Conn(""), connectOpts{id: "pub" + strconv.Itoa(p)})
		wg.Go(func() {
			for r := range rounds {
				for i := range topics {
					topic := fmt.Sprintf("t/%d/%d", p, i)
					c.publish(topic, topic, true)
					if r < rounds-1 {
						c.publish(topic, "", true)
					}
				}
			}
		})
	}
	for s := range 2 {
		c := join(t, b.Conn(""), connectOpts{id: "sub" + strconv.Itoa(s)})
		wg.Go(func() {
			for range rounds * topics / 2 {
				c.subscribe("t/#", 0)
				for _, got := range c.received() {
					if topic, what, _ := strings.Cut(got, "="); what != "" && what != topic {
						t.Errorf("got %q", got)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := b.Stats().Retained; n != int64(2*topics) || b.Stats().Refused[ReasonPanic] != 0 {
		t.Errorf("%d topics retained, %d panics", n, b.Stats().Refused[ReasonPanic])
	}
}

// Who looks for what is retained keeps others from retaining, and the other way round;
// nobody keeps the lock.
func TestTreeHasOneWriter(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true})
	c := join(t, b.Conn(""), connectOpts{id: "c"})
	cl, _ := b.server.Clients.Get("c")
	h := b.hook
	retain := packets.Packet{TopicName: "t", Payload: []byte("x"), FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}}
	for _, step := range []struct {
		name       string
		begin, end func()
		looks      bool
	}{
		{"publish", func() { _, _ = h.OnPublish(cl, retain) }, func() { h.OnRetainMessage(cl, retain, 1) }, false},
		{"subscribe", func() { h.OnSubscribed(cl, packets.Packet{}, nil) }, func() { h.OnPacketProcessed(cl, packets.Packet{}, nil) }, true},
	} {
		step.begin()
		if h.tree.TryLock() {
			t.Errorf("%s: another one may retain", step.name)
			h.tree.Unlock()
		}
		if h.tree.TryRLock() {
			h.tree.RUnlock()
			if !step.looks {
				t.Errorf("%s: another one may look", step.name)
			}
		} else if step.looks {
			t.Errorf("%s: another one may not look", step.name)
		}
		step.end()
		if !free(&h.tree) {
			t.Fatalf("%s: the lock is still held", step.name)
		}
	}
	c.publish("t", "y", true)
	c.subscribe("t", 0)
	if _, what := c.message(); what != "y" {
		t.Errorf("got %q", what)
	}
	if !free(&h.tree) {
		t.Error("the lock is still held")
	}
}
