package broker

import (
	"fmt"
	"sync"
	"testing"
)

// A connection that takes a client id over keeps its subscriptions: what is
// published to them after its SUBACK arrives.
func TestTakeover(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{TCP: "127.0.0.1:0", Open: true})
	pub := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: "publisher"})
	for round := range 200 {
		c := join(t, tcp(t, b.Addrs().TCP), connectOpts{id: "site"})
		c.subscribe("order", 1)
		want := fmt.Sprint(round)
		pub.publish("order", want, false)
		if _, got := c.message(); got != want {
			t.Fatalf("round %d: message %q", round, got)
		}
	}
}

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
