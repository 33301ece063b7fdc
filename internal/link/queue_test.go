package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
)

// C-5: the inbox keeps the newest under a key, drops bulk first, and is bounded
// in messages and bytes.
func TestInbox(t *testing.T) {
	t.Parallel()
	kind := func(prefix string) func(string) bool {
		return func(topic string) bool { return strings.HasPrefix(topic, prefix) }
	}
	key := func(topic string, _ []byte) string {
		if kind("order")(topic) {
			return topic
		}
		return ""
	}
	for _, tt := range []struct {
		name               string
		cfg                Config
		put                string // topic:payload, ...
		want               string
		dropped, coalesced uint64
	}{
		{"newest in its place", Config{Coalesce: key, Queue: 9}, "order/a:1 x:1 order/a:2 order/b:3", "order/a:2 x:1 order/b:3", 0, 1},
		{"no key, no coalescing", Config{Queue: 9}, "order/a:1 order/a:2", "order/a:1 order/a:2", 0, 0},
		{"bulk dropped when full", Config{Coalesce: key, Queue: 2}, "x:1 x:2 x:3 order/a:4 order/a:5", "x:1 x:2 order/a:5", 1, 1},
		{"kept has more room", Config{Bulk: kind("x"), Queue: 1}, "x:1 x:2 c:3 c:4 c:5 c:6 x:7", "x:1 c:3 c:4 c:5", 3, 0},
		{"bounded in bytes", Config{Queue: 9, QueueBytes: 4}, "x:123 x:45 x:6 x:7", "x:123 x:6", 2, 0},
		{"even with keys", Config{Coalesce: key, Queue: 1}, "order/1:1 order/2:2 order/3:3 order/4:4 order/5:5", "order/1:1 order/2:2 order/3:3 order/4:4", 1, 0},
	} {
		if tt.cfg.QueueBytes == 0 {
			tt.cfg.QueueBytes = 1000
		}
		b := newInbox(&tt.cfg)
		for _, s := range strings.Fields(tt.put) {
			topic, payload, _ := strings.Cut(s, ":")
			b.put(Message{Topic: topic, Payload: []byte(payload)})
		}
		var got []string
		for m, ok := b.take(); ok; m, ok = b.take() {
			got = append(got, m.Topic+":"+string(m.Payload))
		}
		if s := strings.Join(got, " "); s != tt.want || b.dropped != tt.dropped || b.coalesced != tt.coalesced {
			t.Errorf("%s: %q, dropped %d, coalesced %d", tt.name, s, b.dropped, b.coalesced)
		}
		if b.bytes != 0 || len(b.byKey) != 0 {
			t.Errorf("%s: %d bytes and %d keys left", tt.name, b.bytes, len(b.byKey))
		}
	}
}

// Posts made while the link is down: newest retained per topic, in order of
// posting; QoS 0 dropped; the oldest unretained gives way.
func TestPostsWhileDown(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		b.gone = true
		c, _ := start(t, Config{Dial: b.dial, Queue: 4})
		next(t, c, isDown)
		post := func(topic, payload string, qos byte, retained bool) {
			c.Post(Message{Topic: topic, Payload: []byte(payload), QoS: qos, Retained: retained})
		}
		post("part", "1", 1, true)
		post("model", "1", 1, true)
		post("event", "lost", 0, false)
		post("reply", "old", 1, false)
		post("part", "2", 1, true)
		post("model", "2", 1, true)
		post("reply", "new", 1, false)
		post("reply", "newest", 1, false) // one too many
		b.set(func() { b.gone = false })
		next(t, c, isUp)
		synctest.Wait()
		if got, want := b.all(), []string{"part:2", "model:2", "reply:new", "reply:newest"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if s := c.Stats(); s.PostDropped != 2 || s.Posts != 0 || s.PostFailed != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// all lists what arrived, as topic:payload.
func (b *broker) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(func(yield func(string) bool) {
		for _, pk := range b.got {
			if !yield(pk.TopicName + ":" + string(pk.Payload)) {
				return
			}
		}
	})
}

// A post of unknown outcome is repeated when it is retained and still the
// newest of its topic; else it is left to the protocol.
func TestPostOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		seen := map[string]int{}
		b.cutAt = func(topic string) bool { seen[topic]++; return seen[topic] == 1 && topic != "fine" }
		c, _ := start(t, Config{Dial: b.dial})
		for i, m := range []Message{
			{Topic: "order", Payload: []byte("1"), QoS: 1, Retained: true},
			{Topic: "receipt", Payload: []byte("1"), QoS: 1},
			{Topic: "fine", Payload: []byte("1"), QoS: 1},
		} {
			next(t, c, isUp)
			c.Post(m)
			synctest.Wait()
			if i == 0 {
				c.Post(Message{Topic: "order", Payload: []byte("2"), QoS: 1, Retained: true}) // link down: replaces it
			}
		}
		time.Sleep(time.Minute)
		if got, want := b.all(), []string{"order:1", "order:2", "receipt:1", "fine:1"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if s := c.Stats(); s.PostFailed != 1 {
			t.Errorf("stats %+v", s)
		}
		b.set(func() {
			b.cutAt = func(topic string) bool { seen[topic]++; return topic == "state" && seen[topic] == 1 }
		})
		c.Post(Message{Topic: "state", Payload: []byte("x"), QoS: 1, Retained: true})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.payloads("state"); !slices.Equal(got, []string{"x", "x"}) {
			t.Errorf("retained post sent %d times, want twice", len(got))
		}
		if !c.posts.empty() || len(c.posts.newest) != 0 {
			t.Errorf("left behind: %v", c.posts.newest)
		}
	})
}

// Post never waits, whatever the network does, and what cannot be sent at all
// is counted.
func TestPostNeverBlocks(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		stall := make(chan struct{})
		b.cutAt = func(string) bool { <-stall; return false }
		c, _ := start(t, Config{Dial: b.dial, Queue: 100, MaxPacket: 4 << 10})
		next(t, c, isUp)
		begin := time.Now()
		for i := range 1000 {
			c.Post(Message{Topic: "a", Payload: fmt.Append(nil, i), QoS: 1})
		}
		c.Post(Message{Topic: "a/+", QoS: 1})
		c.Post(Message{Topic: "a", QoS: 2})
		c.Post(Message{Topic: "a", QoS: 1, Payload: make([]byte, 5<<10)})
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %s", d)
		}
		if s := c.Stats(); s.PostDropped < 800 || s.Posts > 100 || s.PostFailed != 3 {
			t.Errorf("stats %+v", s)
		}
		close(stall)
		time.Sleep(time.Minute)
		if got := b.payloads("a"); got[len(got)-1] != "999" {
			t.Errorf("last is %s", got[len(got)-1])
		}
	})
}

// A caller that gives up while waiting for its turn has sent nothing.
func TestWithdrawnPublish(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		stall := make(chan struct{})
		b.cutAt = func(string) bool { <-stall; return false }
		c, _ := start(t, Config{Dial: b.dial})
		next(t, c, isUp)
		for range inFlight {
			c.Post(Message{Topic: "a", QoS: 1})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := c.Publish(ctx, Message{Topic: "b", QoS: 1})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("error %v", err)
		}
		close(stall)
		time.Sleep(time.Minute)
		if n := len(b.payloads("b")); n != 0 {
			t.Errorf("sent %d times", n)
		}
	})
}
