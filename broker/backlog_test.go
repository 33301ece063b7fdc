package broker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/racing"
)

// retain publishes n retained messages, each of which says its topic, below t.
func (c *client) retain(n int) {
	c.t.Helper()
	for i := range n - 1 {
		c.publishAsync(nth(i), nth(i), byte(i%2), true)
	}
	c.publish(nth(n-1), nth(n-1), true)
}

func nth(i int) string { return fmt.Sprintf("t/%d/%d", i%7, i) }

// ask subscribes to filters, with options of MQTT 5.
func (c *client) ask(id int, filters ...packets.Subscription) {
	c.t.Helper()
	c.id++
	pk := packets.Packet{ProtocolVersion: c.v, PacketID: c.id, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, Filters: filters}
	if id > 0 {
		pk.Properties.SubscriptionIdentifier = []int{id}
	}
	c.send(pk.SubscribeEncode)
	if ack, _ := c.await(packets.Suback); len(ack.ReasonCodes) != len(filters) || slices.Max(ack.ReasonCodes) > 2 {
		c.t.Errorf("SUBACK %v", ack.ReasonCodes)
	}
}

// gets waits for n messages and acknowledges each.
func (c *client) gets(n int) (list []packets.Packet) {
	c.t.Helper()
	for len(list) < n {
		pk, ok := c.next()
		if !ok {
			c.t.Fatalf("the connection ended after %d of %d messages", len(list), n)
		}
		if c.answer(pk); pk.FixedHeader.Type == packets.Publish {
			list = append(list, pk)
		}
	}
	return list
}

// nothingMore comes, once all there is to do is done.
func (c *client) nothingMore() {
	c.t.Helper()
	synctest.Wait()
	if got := c.received(); len(got) > 0 {
		c.t.Errorf("%d messages more: %.100q", len(got), got)
	}
}

// Who subscribes to all that is retained gets all of it, once, as fast as it reads:
// more than fits into what waits for it, or is in flight to it.
func TestAllThatIsRetained(t *testing.T) {
	t.Parallel()
	n := 10_000
	if racing.On {
		n = 2_000
	}
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		go func() {
			for pk := range pub.in {
				pub.answer(pk)
			}
		}()
		for i := range n {
			pub.publishAsync(nth(i), nth(i), qosOf(i), true)
		}
		synctest.Wait()
		var wg sync.WaitGroup
		var all []*client
		for _, o := range []connectOpts{{id: "4"}, {id: "5", version: 5}, {id: "5 few", version: 5, atOnce: 20}, {id: "5 all", version: 5, stay: true}} {
			for qos := range byte(3) {
				if racing.On && qos == 2 {
					continue
				}
				o := o
				o.id += " " + strconv.Itoa(int(qos))
				c := join(t, b.Conn(""), o)
				all = append(all, c)
				c.subscribe("t/#", qos)
				wg.Go(func() { checkAll(t, c.gets(n), qos, o.id) })
			}
		}
		wg.Wait()
		for range 3 { // the last ones of QoS 2 are acknowledged
			synctest.Wait()
			for _, c := range all {
				for len(c.in) > 0 {
					c.answer(<-c.in)
				}
			}
		}
		if s := b.Stats(); s.InFlight != 0 || s.MessagesDropped != 0 {
			t.Errorf("%d in flight, %d dropped", s.InFlight, s.MessagesDropped)
		}
		for c := range b.conns {
			if l := &c.backlog; len(l.of)+cap(l.order) > 0 || c.out.held > 0 {
				t.Errorf("%d topics wait in %d, %d bytes", len(l.of), cap(l.order), c.out.held)
			}
		}
	})
}

// qosOf is the QoS of nth(i); of QoS 2 a publisher has 1,000 a second.
func qosOf(i int) byte {
	if i < 600 {
		return byte(i % 3)
	}
	return byte(i % 2)
}

// checkAll: each message has come once, as what is retained, and as it was asked for.
func checkAll(t *testing.T, got []packets.Packet, qos byte, id string) {
	t.Helper()
	seen := map[string]bool{}
	for _, pk := range got {
		i, _ := strconv.Atoi(pk.TopicName[strings.LastIndex(pk.TopicName, "/")+1:])
		want := min(qos, qosOf(i))
		if h := pk.FixedHeader; string(pk.Payload) != pk.TopicName || !h.Retain || h.Dup || h.Qos != want || seen[pk.TopicName] {
			t.Fatalf("%s: got %q on %q with %+v, want QoS %d; again: %v", id, pk.Payload, pk.TopicName, h, want, seen[pk.TopicName])
		}
		seen[pk.TopicName] = true
	}
}

// A slow reader gets all of it, and no more waits for it than a little at any time. One
// that stops is cut off, and nothing of it is left.
func TestRetainedAtThePaceOfTheClient(t *testing.T) {
	t.Parallel()
	for qos := range byte(2) {
		bubble.Test(t, func(t *testing.T) {
			const n = 1_000
			b, _ := run(t, Config{Open: true})
			join(t, b.Conn(""), connectOpts{id: "pub"}).retain(n)
			g := newGate(b.Conn(""))
			slow := join(t, g, connectOpts{id: "slow"})
			cl, _ := b.server.Clients.Get("slow")
			c := cl.Net.Conn.(*conn)
			g.slow(100, 100*time.Millisecond)
			slow.subscribe("#", qos)
			for i := range n {
				pk := slow.gets(1)[0]
				c.out.mu.Lock()
				if held := len(c.out.messages) + len(c.out.flight); held > retainedAtOnce+retainedFlight {
					t.Errorf("%d messages wait or are under way", held)
				}
				c.out.mu.Unlock()
				if !pk.FixedHeader.Retain {
					t.Fatalf("message %d is not what is retained: %v", i, pk)
				}
			}
			slow.nothingMore()

			slow.subscribe("#", qos)
			g.stall()
			time.Sleep(writeWithin + time.Second)
			synctest.Wait()
			if b.Stats().Refused[ReasonSlow] != 1 || len(c.backlog.of) > 0 {
				t.Errorf("%d cut off, %d topics wait", b.Stats().Refused[ReasonSlow], len(c.backlog.of))
			}
		})
	}
}

// Of large messages a client gets all as well, also of those of which only one fits
// into its queue.
func TestRetainedLargerThanTheQueue(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true, Limits: Limits{Anonymous: RoleLimits{Queue: 16 << 10}}})
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		const n = 50
		for i := range n {
			pub.publish(nth(i), strings.Repeat("x", 500*i), true)
		}
		c := join(t, b.Conn(""), connectOpts{id: "c"})
		c.subscribe("t/#", 1)
		sizes := map[int]bool{}
		for _, pk := range c.gets(n - 1) { // an empty one is not retained
			sizes[len(pk.Payload)] = true
		}
		if c.nothingMore(); len(sizes) < n-1 || b.Stats().InFlight > 0 {
			t.Errorf("%d of %d, %d in flight", len(sizes), n-1, b.Stats().InFlight)
		}
	})
}

// What is retained, replaced and cleared while others subscribe comes in order on each
// topic, old after new nowhere, and who stays has the newest in the end.
func TestRetainedWhileSubscribed(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true})
	rounds := 25
	if racing.On {
		rounds = 8
	}
	const parts = 20
	var publishers, subscribers sync.WaitGroup
	for p := range 2 {
		c := join(t, b.Conn(""), connectOpts{id: "pub" + strconv.Itoa(p)})
		publishers.Go(func() {
			for r := range rounds {
				for i := range parts {
					topic := fmt.Sprintf("t/%d/%d", p, i)
					c.publish(topic, strconv.Itoa(3*r), true)
					if i%3 == 0 {
						c.publish(topic, strconv.Itoa(3*r+1), i%2 == 0)
						c.publish(topic, "", true)
					}
					c.publish(topic, strconv.Itoa(3*r+2), true)
				}
			}
		})
	}
	var done atomic.Bool
	for s := range 4 {
		subscribers.Go(func() {
			for n := 0; ; n++ {
				stays := s%2 == 1 || done.Load()
				c := join(t, b.Conn(""), connectOpts{id: fmt.Sprintf("sub %d %d", s, n), version: byte(4 + s/2)})
				c.subscribe("t/#", byte(s/2))
				last := ordered{}
				for len(last) < 2*parts+1 && (stays || len(last) < parts) {
					last.add(t, c.gets(1)[0])
				}
				if !stays {
					_ = c.conn.Close()
					continue
				}
				for topic, got := range last {
					if got != 3*rounds-1 && topic != "t/end" {
						t.Errorf("%s: %d in the end", topic, got)
					}
				}
				return
			}
		})
	}
	publishers.Wait()
	done.Store(true)
	join(t, b.Conn(""), connectOpts{id: "end"}).publish("t/end", "0", true)
	subscribers.Wait()
	if s := b.Stats(); s.Retained != 2*parts+1 || s.Refused[ReasonPanic] != 0 || s.MessagesDropped > 0 {
		t.Errorf("%d topics retained, %d panics, %d dropped", s.Retained, s.Refused[ReasonPanic], s.MessagesDropped)
	}
}

// ordered has the last number of each topic.
type ordered map[string]int

func (o ordered) add(t *testing.T, pk packets.Packet) {
	t.Helper()
	n, err := strconv.Atoi(string(pk.Payload))
	last, again := o[pk.TopicName]
	switch {
	case len(pk.Payload) == 0:
		return
	case err != nil, again && n < last:
		t.Errorf("%s: %q after %d", pk.TopicName, pk.Payload, last)
	}
	o[pk.TopicName] = n
}

// waiting is a client to whom nothing goes out before resume is called, and has
// subscribed to all of n topics.
func waiting(t *testing.T, b *Broker, n int) (c, pub *client, resume func()) {
	t.Helper()
	pub = join(t, b.Conn(""), connectOpts{id: "pub"})
	pub.retain(n)
	g := newGate(b.Conn(""))
	c = join(t, g, connectOpts{id: "c", version: 5})
	stuck := make(chan struct{})
	c.subscribe("t/#", 1) // what the reader has under way already goes through
	g.mu.Lock()
	g.stuck = stuck
	g.mu.Unlock()
	return c, pub, func() {
		g.mu.Lock()
		g.stuck = nil
		g.mu.Unlock()
		close(stuck)
	}
}

// What changes before its turn comes as it is then; what is published on a topic comes
// behind what was retained on it; what is gone, or not wanted any more, does not come.
func TestRetainedChangesBeforeItsTurn(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		const n = 1_000
		c, pub, resume := waiting(t, b, n)
		synctest.Wait()
		cl, _ := b.server.Clients.Get("c")
		var late []string // those that wait
		for topic := range cl.Net.Conn.(*conn).backlog.of {
			late = append(late, topic)
		}
		slices.Sort(late)
		if len(late) < 100 {
			t.Fatalf("only %d wait", len(late))
		}
		kept, passing, replaced, cleared := late[0], late[1], late[2], late[3]
		pub.publish(passing, "passes", false)
		pub.publish(replaced, "new", true)
		pub.publish(replaced, "newest", true)
		pub.publish(cleared, "", true)
		time.Sleep(time.Second)
		synctest.Wait()
		resume()
		of := map[string][]string{}
		for _, pk := range c.gets(n - 1 + 1 + 3) { // without what is cleared; what passes; the others live
			said := string(pk.Payload)
			if pk.FixedHeader.Retain {
				said += " r"
			}
			of[pk.TopicName] = append(of[pk.TopicName], said)
		}
		for topic, want := range map[string][]string{
			kept: {kept + " r"}, passing: {passing + " r", "passes"}, replaced: {"new r", "new", "newest"}, cleared: {""},
		} {
			if got := of[topic]; !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", topic, got, want)
			}
		}
		c.nothingMore()
	})
}

// With the options of MQTT 5, and of several filters that match, each topic comes once,
// as the best of them has it, with all their numbers; also at the next time.
func TestRetainedByOptions(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		for _, topic := range []string{"a", "a/b", "a/b/c", "d"} {
			pub.publish(topic, topic, true)
		}
		filter := func(f string, qos, handling byte) packets.Subscription {
			return packets.Subscription{Filter: f, Qos: qos, RetainHandling: handling}
		}
		got := func(c *client) []string {
			synctest.Wait()
			var list []string
			for len(c.in) > 0 {
				pk, _ := c.next()
				c.answer(pk)
				list = append(list, fmt.Sprintf("%s %d%v", pk.TopicName, pk.FixedHeader.Qos, pk.Properties.SubscriptionIdentifier))
				synctest.Wait()
			}
			slices.Sort(list)
			return list
		}
		c := join(t, b.Conn(""), connectOpts{id: "c", version: 5, stay: true})
		back := func() { // the session goes on
			_ = c.conn.Close()
			c = join(t, b.Conn(""), connectOpts{id: "c", version: 5, stay: true})
		}
		for _, step := range []struct {
			does string
			do   func()
			want []string
		}{
			{"several", func() { c.ask(7, filter("a/#", 0, 0), filter("+/b", 1, 0), filter("e", 1, 0)) }, []string{"a 0[7]", "a/b 1[7]", "a/b/c 0[7]"}},
			{"never", func() { c.ask(0, filter("d", 0, 2), filter("+", 0, 2)) }, nil},
			{"if new, which it is not", func() { c.ask(8, filter("d", 1, 1)) }, nil},
			{"if new", func() { c.ask(8, filter("+/b/#", 1, 1)) }, []string{"a/b 1[8]", "a/b/c 1[8]"}},
			{"again", func() { c.ask(9, filter("+/b/#", 0, 0)) }, []string{"a/b 0[9]", "a/b/c 0[9]"}},
			{"a session that goes on", back, nil},
			{"again, in a session", func() { c.ask(9, filter("+/b/#", 0, 0)) }, []string{"a/b 0[9]", "a/b/c 0[9]"}},
			{"twice", func() { c.ask(3, filter("+/b/#", 2, 0), filter("+/b/#", 1, 0)) }, []string{"a/b 1[3]", "a/b/c 1[3]"}},
			{"all", func() { c.ask(0, filter("#", 2, 0)) }, []string{"a 1[]", "a/b 1[]", "a/b/c 1[]", "d 1[]"}},
			{"the library's own", func() { c.ask(0, filter("$SYS/+/version", 0, 0)) }, []string{"$SYS/broker/version 0[]"}},
		} {
			step.do()
			if list := got(c); !slices.Equal(list, step.want) {
				t.Errorf("%s: got %q, want %q", step.does, list, step.want)
			}
		}
	})
}

// What waits are topics, each once, of what is retained: not what has been.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		const n = 1_000
		c, pub, _ := waiting(t, b, n)
		cl, _ := b.server.Clients.Get("c")
		l := &cl.Net.Conn.(*conn).backlog
		ask := packets.Packet{ProtocolVersion: 5, PacketID: 9, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}}
		ask.Filters = packets.Subscriptions{{Filter: "t/#"}, {Filter: "+/#"}, {Filter: "t/1/#"}, {Filter: "t/+/+"}}
		for range 10 {
			c.send(ask.SubscribeEncode)
		}
		synctest.Wait()
		whys := map[*wanted]bool{}
		for _, why := range l.of {
			whys[why] = true
		}
		if len(l.of) > n || len(l.of) < n/2 || len(l.order) != len(l.of) || len(whys) > 20 {
			t.Errorf("%d topics, %d in order, for %d reasons", len(l.of), len(l.order), len(whys))
		}
		for round := range 5 {
			for i := range n {
				pub.publishAsync(nth(i), "", 0, true)
			}
			for i := range n / 4 {
				pub.publishAsync(fmt.Sprintf("t/%d/%d", round, n+i), "x", 0, true)
			}
			synctest.Wait()
			c.send(ask.SubscribeEncode)
			synctest.Wait()
			for i := range n / 4 {
				pub.publishAsync(fmt.Sprintf("t/%d/%d", round, n+i), "", 0, true)
			}
			synctest.Wait()
		}
		c.send(ask.SubscribeEncode)
		synctest.Wait()
		if len(l.order) != len(l.of) || len(l.of) > retainedAtOnce+n/4 {
			t.Errorf("%d topics, %d in order", len(l.of), len(l.order))
		}
	})
}
