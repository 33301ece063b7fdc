package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// abandon leaves a session behind that waits for the order.
func abandon(t *testing.T, b *Broker, user, id string) {
	t.Helper()
	c := join(t, b.Conn(user), connectOpts{id: id, stay: true})
	if code := c.subscribe("acme/_fl_v1/q/order", 1); code != 1 {
		t.Fatalf("SUBACK %#x", code)
	}
	_ = c.conn.Close()
	b.until(t, func() bool {
		cl, ok := b.server.Clients.Get(id)
		return !ok || cl.Closed()
	})
}

// until waits for what the broker does by itself.
func (b *Broker) until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 s")
		}
	}
}

// settled waits for want sessions without a connection.
func (b *Broker) settled(t *testing.T, want int) (left map[string]bool) {
	t.Helper()
	b.until(t, func() bool {
		left = map[string]bool{}
		for id, cl := range b.server.Clients.GetAll() {
			if cl.Closed() {
				left[id] = true
			}
		}
		return len(left) == want
	})
	return left
}

// Of the sessions a user leaves behind the newest stay, of all users' likewise;
// their subscriptions and messages go with the others.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.Limits.Sessions, cfg.Limits.Site.Sessions = 5, 3
	b, _ := run(t, cfg)
	for i := range 12 {
		abandon(t, b, "berlin/line-1", fmt.Sprint("berlin/line-1:", i))
		b.settled(t, min(i+1, 3))
	}
	left := b.settled(t, 3)
	if !left["berlin/line-1:11"] || !left["berlin/line-1:10"] || !left["berlin/line-1:9"] {
		t.Errorf("left: %v", left)
	}
	for i := range 3 {
		abandon(t, b, "gera/line-1", fmt.Sprint("gera/line-1:", i))
	}
	left = b.settled(t, 5)
	if !left["gera/line-1:0"] || !left["gera/line-1:2"] || left["berlin/line-1:9"] {
		t.Errorf("left: %v", left)
	}
	s := b.Stats()
	if s.Subscriptions != 5 || s.Refused[ReasonSessions] != 10 {
		t.Errorf("%d subscriptions, %v", s.Subscriptions, s.Refused)
	}
	c, code := dial(t, b.Conn("gera/line-1"), connectOpts{id: "gera/line-1:1", stay: true})
	if code != 0 || b.Stats().Subscriptions != 5 {
		t.Errorf("one that stayed: CONNACK %d, %d subscriptions", code, b.Stats().Subscriptions)
	}
	agg := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	agg.publish("acme/_fl_v1/q/order", "one order", false)
	if _, what := c.message(); what != "one order" {
		t.Errorf("got %q", what)
	}
}

// What waits for clients that are away is bounded in bytes, of a user and of
// all: the oldest sessions go.
func TestQueuedBytesAreBounded(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.Limits.QueuedBytes, cfg.Limits.Site.QueuedBytes = 600_000, 250_000
	b, _ := run(t, cfg)
	for i := range 4 {
		abandon(t, b, "berlin/line-1", fmt.Sprint("berlin/line-1:", i))
	}
	agg := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	order := strings.Repeat("x", 50_000)
	agg.publish("acme/_fl_v1/q/order", order, false)
	b.settled(t, 4)
	agg.publish("acme/_fl_v1/q/order", order, false) // 2 x 51 kB each
	if left := b.settled(t, 2); !left["berlin/line-1:2"] || !left["berlin/line-1:3"] {
		t.Errorf("left: %v", left)
	}
	for range 4 {
		agg.publish("acme/_fl_v1/q/order", order, false)
	}
	b.settled(t, 0)
	if s := b.Stats(); s.InFlight != 0 || s.Subscriptions != 0 || s.Refused[ReasonQueued] < 4 {
		t.Errorf("%+v", s)
	}
}

// A connection that ends during its CONNACK leaves a client in the library's
// table, with its subscriptions, which nobody would ever come back to.
func TestNoClientIsLeftBehind(t *testing.T) {
	t.Parallel()
	b, err := New(Config{Open: true}) // a running one sweeps by itself
	if err != nil {
		t.Fatal(err)
	}
	for _, clean := range []bool{true, false} {
		cl := b.server.NewClient(nil, "test", fmt.Sprint(clean), false)
		cl.Properties.Clean = clean
		cl.State.Subscriptions.Add("t", packets.Subscription{Filter: "t"})
		b.server.Topics.Subscribe(cl.ID, packets.Subscription{Filter: "t"})
		b.server.Clients.Add(cl)
		cl.Stop(nil)
	}
	b.hook.sweepSessions()
	if _, ok := b.server.Clients.Get("true"); ok {
		t.Error("a client without a session is left")
	}
	if _, ok := b.server.Clients.Get("false"); !ok {
		t.Error("a session is gone with its connection")
	}
	if n := len(b.server.Topics.Subscribers("t").Subscriptions); n != 1 {
		t.Errorf("%d subscriptions, want 1", n)
	}
}
