package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/bubble"
)

// C-3, C-9: an idle link and a busy one stay up for an hour, in 3.1.1.
func TestKeepAliveThroughAnHour(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		idle, _ := start(t, Config{Dial: b.dial, ClientID: "idle"}, "ns/+/update")
		busy, _ := start(t, Config{Dial: b.dial, ClientID: "busy"})
		next(t, idle, isUp)
		next(t, busy, isUp)
		for i := range 12 {
			time.Sleep(5 * time.Minute)
			if err := publish(busy, "ns/a/update", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			if m := receive(t, idle); string(m.Payload) != fmt.Sprint(i) || m.Topic != "ns/a/update" {
				t.Fatalf("got %+v", m)
			}
		}
		for _, c := range []*Conn{idle, busy} {
			if s := c.Stats(); s.Losses != 0 || s.Epoch != 1 || !s.Up {
				t.Errorf("link lost: %+v", s)
			}
		}
		b.set(func() {
			if b.pings < 80 { // about one a minute and link
				t.Errorf("%d pings in an hour", b.pings)
			}
			if !bytes.Equal(b.versions, []byte{4, 4}) {
				t.Errorf("protocol versions %v, want 3.1.1", b.versions)
			}
		})
	})
}

// C-3: a broker that stops answering is noticed by the missing PINGRESP.
func TestHalfOpenLinkIsLost(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			if _, ok := p.(*packets.PingreqPacket); ok {
				return nil
			}
			return polite(p)
		})
		c, _ := start(t, Config{Dial: s.dial}, "a")
		next(t, c, isUp)
		begin := time.Now()
		down := next(t, c, isDown)
		if d := time.Since(begin); d > KeepAlive+PingTimeout+15*time.Second {
			t.Errorf("noticed after %s", d)
		}
		if !strings.Contains(down.Err.Error(), "pingresp") {
			t.Errorf("reason %v", down.Err)
		}
	})
}

// C-1: only a PUBACK in the same connection is success.
func TestPublishOutcomes(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		b.cutAt = func(topic string) bool { return topic == "cut" }
		c, _ := start(t, Config{Dial: b.dial, MaxPacket: 8 << 10})
		if err := publish(c, "a", "early"); !errors.Is(err, ErrNotConnected) {
			t.Errorf("before the connect: %v", err)
		}
		next(t, c, isUp)
		if err := publish(c, "a", "1"); err != nil {
			t.Errorf("acknowledged: %v", err)
		}
		if err := c.Publish(context.Background(), Message{Topic: "a", Payload: []byte("0")}); err != nil {
			t.Errorf("QoS 0: %v", err)
		}
		if err := publish(c, "cut", "2"); !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("PUBACK lost: %v", err)
		}
		next(t, c, isDown)
		if err := publish(c, "a", "3"); !errors.Is(err, ErrNotConnected) {
			t.Errorf("while down: %v", err)
		}
		for _, topic := range []string{"", "a/+", "a/#", "a\xff", "a\x00"} {
			if err := publish(c, topic, ""); !errors.Is(err, ErrTopic) {
				t.Errorf("topic %q: %v", topic, err)
			}
		}
		if err := publish(c, "a", strings.Repeat("x", 8<<10)); !errors.Is(err, ErrTooLarge) { // C-2
			t.Errorf("too large: %v", err)
		}
		next(t, c, isUp)
		time.Sleep(time.Minute)
		if got := b.payloads("cut"); len(got) != 1 { // C-2: the library resends nothing
			t.Errorf("sent %d times", len(got))
		}
		if s := c.Stats(); s.Published != 2 || s.Unknown != 1 || s.Losses != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// C-4: a broker that stops reading costs the link after WriteTimeout, a caller
// with a context returns earlier, and Run does not wait for it.
func TestStalledWriter(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			if _, ok := p.(*packets.PublishPacket); ok {
				<-stuck
			}
			return polite(p)
		})
		t.Cleanup(func() { close(stuck) })
		c, stop := start(t, Config{Dial: s.dial})
		next(t, c, isUp)
		begin := time.Now()
		first := make(chan error, 1)
		go func() { first <- publish(c, "a", "1") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		second := c.Publish(ctx, Message{Topic: "b", QoS: 1}) // stuck in the pipe
		if !errors.Is(second, ErrOutcomeUnknown) || !errors.Is(second, context.DeadlineExceeded) {
			t.Errorf("written in part: %v", second)
		}
		third := c.Publish(ctx, Message{Topic: "c", QoS: 1}) // waits behind it
		if !errors.Is(third, context.DeadlineExceeded) || errors.Is(third, ErrOutcomeUnknown) {
			t.Errorf("not sent: %v", third)
		}
		down := next(t, c, isDown)
		if d := time.Since(begin); d > WriteTimeout+PingTimeout {
			t.Errorf("noticed after %s", d)
		}
		if err := <-first; !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("first: %v", err)
		}
		t.Log(down.Err)
		next(t, c, isUp)
		go func() { _ = publish(c, "a", "1") }()
		go func() { _ = publish(c, "a", "2") }()
		synctest.Wait()
		begin = time.Now()
		stop()
		if d := time.Since(begin); d > drainTime+2*goodbye {
			t.Errorf("Run ended after %s", d)
		}
	})
}

// C-8: the table is asked for again at each connect, at most 8 filters a
// SUBSCRIBE, and Up comes after the last SUBACK.
func TestResubscribesAfterLoss(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		var filters []string
		for i := range 20 {
			filters = append(filters, fmt.Sprintf("ns/%02d/order", i))
		}
		b.slowSub = func(f string) {
			if f == filters[19] {
				time.Sleep(5 * time.Second)
			}
		}
		c, _ := start(t, Config{Dial: b.dial}, filters...)
		other, _ := start(t, Config{Dial: b.dial, ClientID: "other"})
		next(t, other, isUp)
		for epoch := uint64(1); epoch <= 3; epoch++ {
			begin := time.Now()
			if s := next(t, c, isUp); s.Epoch != epoch || s.Err != nil {
				t.Fatalf("state %+v, want epoch %d", s, epoch)
			}
			if d := time.Since(begin); d < 5*time.Second {
				t.Errorf("up after %s, before the last SUBACK", d)
			}
			b.set(func() {
				var sizes []int
				var all []string
				for _, batch := range b.batches {
					sizes, all = append(sizes, len(batch)), append(all, batch...)
				}
				slices.Sort(all)
				if !slices.Equal(sizes, []int{8, 8, 4}) || !slices.Equal(all, filters) {
					t.Errorf("epoch %d: batches %v", epoch, sizes)
				}
				b.batches = nil
			})
			if epoch > 1 {
				next(t, other, isUp)
			}
			if err := publish(other, filters[7], "x"); err != nil {
				t.Fatal(err)
			}
			if m := receive(t, c); m.Topic != filters[7] {
				t.Errorf("got %q", m.Topic)
			}
			b.cut()
		}
	})
}

// Subscribe, Resubscribe and Unsubscribe on a live link.
func TestTableWhileUp(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		c, _ := start(t, Config{Dial: b.dial})
		next(t, c, isUp)
		if err := c.Publish(context.Background(), Message{Topic: "m", Payload: []byte("kept"), QoS: 1, Retained: true}); err != nil {
			t.Fatal(err)
		}
		c.Subscribe(Filter{Topic: "m", QoS: 1})
		if m := receive(t, c); string(m.Payload) != "kept" || !m.Retained {
			t.Errorf("got %+v", m)
		}
		c.Resubscribe("m", "unknown")
		if m := receive(t, c); string(m.Payload) != "kept" {
			t.Errorf("got %+v", m)
		}
		c.Unsubscribe("m", "unknown")
		synctest.Wait()
		if err := publish(c, "m", "unheard"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		select {
		case m := <-c.Messages():
			t.Errorf("after Unsubscribe: %+v", m)
		default:
		}
	})
}

// C-7: a denied subscription is a named, visible error, and only a repeated
// 0x80 is one.
func TestDeniedSubscription(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		flaky := 0
		b.denySub = func(f string) bool {
			if f == "flaky" { // as mochi answers when it holds the packet id itself
				flaky++
				return flaky <= 2
			}
			return strings.HasPrefix(f, "secret")
		}
		c, _ := start(t, Config{Dial: b.dial}, "ok", "secret/#", "flaky", "a#b")
		s := next(t, c, isUp)
		if !errors.Is(s.Err, ErrDenied) || !strings.Contains(s.Err.Error(), "secret/#") ||
			!strings.Contains(s.Err.Error(), "a#b") || strings.Contains(s.Err.Error(), "flaky") {
			t.Errorf("error %v", s.Err)
		}
		if got := c.Stats().Denied; !slices.Equal(got, []string{"a#b", "secret/#"}) {
			t.Errorf("denied %q", got)
		}
		c.Subscribe(Filter{Topic: "secret/2"})
		if s := next(t, c, isUp); s.Epoch != 1 || !strings.Contains(s.Err.Error(), "secret/2") {
			t.Errorf("later denial: %+v", s)
		}
		for _, f := range []string{"ok", "flaky"} {
			if err := publish(c, f, "x"); err != nil {
				t.Fatal(err)
			}
			if m := receive(t, c); m.Topic != f {
				t.Errorf("got %q", m.Topic)
			}
		}
		b.set(func() { b.denySub = nil })
		b.cut()
		if s := next(t, c, func(s State) bool { return s.Up && s.Epoch == 2 }); strings.Contains(s.Err.Error(), "secret") {
			t.Errorf("asked again at the next connect: %v", s.Err)
		}
	})
}

// C-7: other codes, no codes and silence are asked again with a new packet id.
func TestSubscribeAskedAgain(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		ids := map[uint16]bool{}
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			sub, ok := p.(*packets.SubscribePacket)
			if !ok {
				return polite(p)
			}
			ids[sub.MessageID] = true
			a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			a.MessageID, a.ReturnCodes = sub.MessageID, []byte{0x91}
			switch len(ids) {
			case 1, 2, 3, 4:
				return []packets.ControlPacket{a}
			case 5:
				return []packets.ControlPacket{puback(sub.MessageID)} // wrong answer
			case 6:
				return nil
			}
			return polite(p)
		})
		c, _ := start(t, Config{Dial: s.dial}, "a")
		if up := next(t, c, isUp); up.Err != nil || up.Epoch != 1 {
			t.Errorf("state %+v", up)
		}
		if len(ids) != 7 {
			t.Errorf("%d packet ids", len(ids))
		}
	})
}

// C-16: a denied publish, at which mochi cuts the link, is quarantined after
// the second time; its neighbours are not.
func TestDeniedPublishIsQuarantined(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		b.denyPub = func(topic string) bool { return topic == "bad" }
		c, _ := start(t, Config{Dial: b.dial})
		topics := []string{"good/1", "good/2", "bad", "good/3"}
		var mu sync.Mutex
		last := map[string]error{}
		for round := range 8 {
			if round < 3 {
				next(t, c, isUp)
			}
			var all sync.WaitGroup
			for _, topic := range topics {
				all.Go(func() {
					err := publish(c, topic, "x")
					mu.Lock()
					last[topic] = err
					mu.Unlock()
				})
			}
			all.Wait()
			time.Sleep(time.Second)
		}
		for _, topic := range topics {
			if topic == "bad" != errors.Is(last[topic], ErrQuarantined) || topic != "bad" && last[topic] != nil {
				t.Errorf("%s: %v", topic, last[topic])
			}
		}
		s := c.Stats()
		if s.Losses != 2 || !slices.Equal(s.Quarantined, []string{"bad"}) {
			t.Errorf("losses %d, quarantined %q", s.Losses, s.Quarantined)
		}
		time.Sleep(QuarantineTime) // then one more try
		b.set(func() { b.denyPub = nil })
		if err := publish(c, "bad", "x"); err != nil {
			t.Errorf("after the quarantine: %v", err)
		}
	})
}

// C-16: RabbitMQ cuts the link at a denied SUBSCRIBE, without SUBACK. The
// culprit is found among the others and named.
func TestSubscriptionThatCutsTheLink(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			if sub, ok := p.(*packets.SubscribePacket); ok && slices.Contains(sub.Topics, "bad") {
				return []packets.ControlPacket{nil}
			}
			return polite(p)
		})
		c, _ := start(t, Config{Dial: s.dial}, "a", "b", "bad", "c")
		up := next(t, c, isUp)
		if !errors.Is(up.Err, ErrDenied) || !strings.Contains(up.Err.Error(), "bad") {
			t.Errorf("state %+v", up)
		}
		if got := c.Stats(); got.Losses != 2 || !slices.Equal(got.Denied, []string{"bad"}) {
			t.Errorf("losses %d, denied %q", got.Losses, got.Denied)
		}
	})
}

// C-16: links lost twice at a SUBSCRIBE by another's fault, as when a second
// client takes over our id, do not leave a party deaf: the filter is asked for
// again after half a minute, in the same connection.
func TestSubscriptionInnocentlyQuarantined(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		losses := 0
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			if _, ok := p.(*packets.SubscribePacket); ok && losses < 2 {
				losses++
				return []packets.ControlPacket{nil}
			}
			return polite(p)
		})
		c, _ := start(t, Config{Dial: s.dial}, "order", "reply")
		next(t, c, isUp)
		if got := c.Stats(); !slices.Equal(got.Denied, []string{"order"}) {
			t.Fatalf("denied %q, want the first filter", got.Denied)
		}
		time.Sleep(firstQuarantine)
		synctest.Wait()
		if got := c.Stats(); len(got.Denied) != 0 || got.Losses != 2 {
			t.Errorf("after %s: denied %q, losses %d", firstQuarantine, got.Denied, got.Losses)
		}
	})
}

// C-16: what is really denied costs the link less and less often.
func TestDeniedSubscriptionCostsLess(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			if sub, ok := p.(*packets.SubscribePacket); ok && slices.Contains(sub.Topics, "bad") {
				return []packets.ControlPacket{nil}
			}
			return polite(p)
		})
		c, _ := start(t, Config{Dial: s.dial}, "a", "bad")
		time.Sleep(24 * time.Hour)
		if got := c.Stats(); got.Losses > 10 || !got.Up || !slices.Equal(got.Denied, []string{"bad"}) {
			t.Errorf("after a day: %d losses, up %t, denied %q", got.Losses, got.Up, got.Denied)
		}
	})
}

// C-9: attempts go on for ever, at most 30 s apart, spread by the number of
// members.
func TestBackOff(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		b.gone = true
		c, _ := start(t, Config{Dial: b.dial})
		if s := next(t, c, isDown); !strings.Contains(s.Err.Error(), "nobody listens") {
			t.Errorf("state %+v", s)
		}
		time.Sleep(10 * time.Minute)
		b.set(func() {
			if n := len(b.dials); n < 20 || n > 50 {
				t.Errorf("%d attempts in 10 minutes", n)
			}
			for i := 1; i < len(b.dials); i++ {
				if d := b.dials[i].Sub(b.dials[i-1]); d > maxInterval {
					t.Errorf("attempt %d after %s", i, d)
				}
			}
			b.gone = false
		})
		begin := time.Now()
		next(t, c, isUp)
		if d := time.Since(begin); d > maxInterval {
			t.Errorf("up after %s", d)
		}
	})
}

func TestBackOffSpread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		members          int
		jitter           float64
		lost, first, nth time.Duration
	}{
		{0, 0.999999, 5 * time.Second, 5 * time.Second, 30 * time.Second},
		{1000, 0.5, 2625 * time.Millisecond, 2500 * time.Millisecond, 22500 * time.Millisecond},
		{10000, 0.999999, 50 * time.Second, 50 * time.Second, 50 * time.Second},
	} {
		b := newBackoff()
		b.members.Store(int64(tt.members))
		b.jitter = func() float64 { return tt.jitter }
		near := func(what string, got, want time.Duration) {
			if d := got - want; d < -time.Millisecond || d > time.Millisecond {
				t.Errorf("%d members: %s %s, want %s", tt.members, what, got, want)
			}
		}
		got, _ := b.lost(time.Now(), time.Hour, false)
		near("after a loss", got, tt.lost)
		near("after a failure", b.failed(), tt.first)
		for range 20 {
			got = b.failed()
		}
		near("after 20 more", got, tt.nth)
	}
}

// C-14: commands do not throw each other out, on whatever machine they run.
func TestUniqueID(t *testing.T) {
	t.Parallel()
	one, two := UniqueID("screen", "dashboard"), UniqueID("screen", "dashboard")
	if one == two || !strings.HasPrefix(one, "screen:dashboard-") {
		t.Errorf("%q and %q, want two of the user screen", one, two)
	}
}

// C-14: two clients with one id throw each other out; each says so at its second
// loss, and what to do, and one gives way.
func TestClientIDInUse(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		one, _ := start(t, Config{Dial: b.dial, ClientID: "twin"})
		synctest.Wait() // at one moment the broker lets both in
		two, _ := start(t, Config{Dial: b.dial, ClientID: "twin"})
		begin := time.Now()
		for _, c := range []*Conn{one, two} {
			losses := 0
			for s := range c.States() {
				if s.Err == nil {
					continue
				}
				if losses++; losses == 1 {
					continue
				}
				if !errors.Is(s.Err, ErrIDInUse) || !strings.Contains(s.Err.Error(), `"twin"`) || !strings.Contains(s.Err.Error(), oneProcess) {
					t.Errorf("at the second loss: %v", s.Err)
				}
				break
			}
		}
		if d := time.Since(begin); d > 6*minSpread {
			t.Errorf("said after %s", d)
		}
		time.Sleep(10 * time.Minute)
		var before int
		b.set(func() { before = len(b.dials) })
		time.Sleep(time.Hour)
		b.set(func() {
			if n := len(b.dials) - before; n > 30 { // two in 5 to 10 minutes
				t.Errorf("%d connects in an hour", n)
			}
		})
	})
}

// C-13: bytes that are no packet, or one over the cap, drop the link before anything
// is allocated.
func TestBadIncomingDropsTheLink(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string][]byte{
		"too large":        {0xd0, 0xff, 0xff, 0xff, 0x7f},
		"too large, QoS 2": append([]byte{0x34, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a'}, 0, 1),
		"length of 5":      {0x30, 0x80, 0x80, 0x80, 0x80, 0x01},
		"client's type":    {0x10, 0x00},
		"malformed":        {0x30, 0x01, 0x30},
		"long PUBACK":      {0x40, 0x7f},
		"unasked SUBACK":   {0x90, 0x03, 0x00, 0x63, 0x00},
		"SUBACK too short": {0x90, 0x01, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
					if _, ok := p.(*packets.PublishPacket); ok {
						return []packets.ControlPacket{rawPacket{b: answer}}
					}
					return polite(p)
				})
				c, _ := start(t, Config{Dial: s.dial}, "a")
				next(t, c, isUp)
				if err := publish(c, "a", "x"); !errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("publish: %v", err)
				}
				if down := next(t, c, isDown); !errors.Is(down.Err, errPacket) {
					t.Errorf("reason %v", down.Err)
				}
				next(t, c, isUp)
			})
		})
	}
}

// A SUBACK with more codes than filters would crash the library.
func TestSubackWithTooManyCodes(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		bad := true
		s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			a := polite(p)
			if sub, ok := p.(*packets.SubscribePacket); ok && bad {
				bad = false
				a[0].(*packets.SubackPacket).ReturnCodes = make([]byte, len(sub.Topics)+1)
			}
			return a
		})
		c, _ := start(t, Config{Dial: s.dial}, "a", "b")
		if down := next(t, c, isDown); !errors.Is(down.Err, errPacket) {
			t.Errorf("reason %v", down.Err)
		}
		next(t, c, isUp)
	})
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []byte{1, 2, 3, 4, 5, 6, 0xfe} {
		bubble.Test(t, func(t *testing.T) {
			s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
				a := polite(p)
				if _, ok := p.(*packets.ConnectPacket); ok {
					a[0].(*packets.ConnackPacket).ReturnCode = code
				}
				return a
			})
			c, _ := start(t, Config{Dial: s.dial})
			want := ErrRefused
			if code > 5 {
				want = errPacket
			}
			if down := next(t, c, isDown); !errors.Is(down.Err, want) {
				t.Errorf("code %d: %v", code, down.Err)
			}
		})
	}
}

// At most 64 small messages or 8 parts are unacknowledged; Publish waits.
func TestInFlight(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ size, most int }{{10, 64}, {smallMessage, 8}} {
		bubble.Test(t, func(t *testing.T) {
			s := newStub(t, func(_ *stub, p packets.ControlPacket) []packets.ControlPacket { return polite(p) })
			c, _ := start(t, Config{Dial: s.dial})
			next(t, c, isUp)
			results := make(chan error, 100)
			for range 100 {
				go func() { results <- publish(c, "a", strings.Repeat("x", tt.size)) }()
			}
			synctest.Wait()
			if n := s.count(packets.Publish); n != tt.most || c.Stats().InFlight != tt.most {
				t.Errorf("%d messages of %d bytes out, %d in flight", n, tt.size, c.Stats().InFlight)
			}
			for i := range 100 {
				synctest.Wait()
				if err := puback(s.ids()[i]).Write(s.conn); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			for range 100 {
				if err := <-results; err != nil {
					t.Fatal(err)
				}
			}
			if n := c.Stats().InFlight; n != 0 {
				t.Errorf("%d left in flight", n)
			}
		})
	}
}

// C-17 and the end of Run: what is in flight is waited for, the Will is not
// sent; at a loss it is.
func TestPoliteEnd(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		will := &Message{Topic: "ns/a/_fl_v1/state", Payload: []byte(`{"online":false}`), QoS: 1, Retained: true}
		c, stop := start(t, Config{Dial: b.dial, Will: will}, "a")
		next(t, c, isUp)
		for i := range 50 {
			c.Post(Message{Topic: "p", Payload: fmt.Append(nil, i), QoS: 1})
		}
		stop()
		b.set(func() {
			if len(b.wills) != 0 {
				t.Errorf("Will sent at a polite end")
			}
		})
		if n := len(b.payloads("p")); n != 50 {
			t.Errorf("%d of 50 posts sent before the end", n)
		}
		if err := publish(c, "p", "x"); !errors.Is(err, ErrNotConnected) {
			t.Errorf("after the end: %v", err)
		}
		if err := c.Run(context.Background()); err == nil {
			t.Error("Run again: no error")
		}

		c, _ = start(t, Config{Dial: b.dial, Will: will})
		next(t, c, isUp)
		b.set(func() { _ = b.last.Close() }) // mochi forgets the Will of a client that it stops itself
		next(t, c, isDown)
		synctest.Wait()
		b.set(func() {
			if len(b.wills) != 1 {
				t.Fatalf("%d Wills sent at a loss", len(b.wills))
			}
			w := b.wills[0]
			got := Message{Topic: w.TopicName, Payload: w.Payload, QoS: w.FixedHeader.Qos, Retained: w.FixedHeader.Retain}
			if d := cmp.Diff(*will, got); d != "" {
				t.Errorf("Will: %s", d)
			}
		})
	})
}

// Run ends at once in every phase.
func TestEndInEveryPhase(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(*stub, packets.ControlPacket) []packets.ControlPacket{
		"no CONNACK": func(*stub, packets.ControlPacket) []packets.ControlPacket { return nil },
		"no SUBACK": func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
			if _, ok := p.(*packets.SubscribePacket); ok {
				return nil
			}
			return polite(p)
		},
		"cut at CONNECT": func(*stub, packets.ControlPacket) []packets.ControlPacket { return []packets.ControlPacket{nil} },
	} {
		for _, after := range []time.Duration{0, time.Second, time.Minute, 20 * time.Minute} {
			bubble.Test(t, func(t *testing.T) {
				s := newStub(t, on)
				_, stop := start(t, Config{Dial: s.dial}, "a")
				time.Sleep(after)
				begin := time.Now()
				stop()
				if d := time.Since(begin); d > 2*goodbye {
					t.Errorf("%s, after %s: ended after %s", name, after, d)
				}
			})
		}
	}
}

// C-5: a driver that does not read harms nobody: pings go on, control messages
// coalesce, bulk is dropped and counted.
func TestSlowDriver(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		c, _ := start(t, Config{
			Dial: b.dial, Queue: 10,
			Coalesce: func(topic string, _ []byte) string {
				if strings.HasSuffix(topic, "/order") {
					return topic
				}
				return ""
			},
		}, "ns/+/order", "ns/+/update")
		other, _ := start(t, Config{Dial: b.dial, ClientID: "other"})
		next(t, c, isUp)
		next(t, other, isUp)
		for i := range 100 {
			for _, topic := range []string{"ns/a/order", "ns/a/update", "ns/b/order"} {
				if err := publish(other, topic, fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(30 * time.Minute)
		s := c.Stats()
		if s.Losses != 0 || s.Received != 300 || s.Coalesced < 190 || s.Dropped < 85 || s.Queued > 12 {
			t.Errorf("stats %+v", s)
		}
		newest := map[string]string{}
		for range s.Queued + 1 { // one more in the pump's hand
			m := receive(t, c)
			newest[m.Topic] = string(m.Payload)
		}
		if newest["ns/a/order"] != "99" || newest["ns/b/order"] != "99" {
			t.Errorf("newest orders %v", newest)
		}
	})
}

// C-5: messages of one topic keep their order.
func TestOrderPerTopic(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		c, _ := start(t, Config{Dial: b.dial}, "a")
		next(t, c, isUp)
		for i := range 500 {
			c.Post(Message{Topic: "a", Payload: fmt.Append(nil, i), QoS: 1})
		}
		for i := range 500 {
			if m := receive(t, c); string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, m.Payload)
			}
		}
	})
}

// C-18: nothing of a payload reaches the log, whatever happens to it.
func TestLogsWithoutPayload(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		const canary = "canary-5f1e"
		b := newBroker(t)
		b.denyPub = func(topic string) bool { return topic == "bad" }
		b.cutAt = func(topic string) bool { return topic == "cut" }
		var buf syncBuffer
		c, stop := start(t, Config{Dial: b.dial, Log: zerolog.New(&buf), Queue: 1, Password: canary}, "a", "x/#/y")
		next(t, c, isUp)
		for _, topic := range []string{"a", "a", "a", "bad", "cut", "a/#"} {
			c.Post(Message{Topic: topic, Payload: []byte(canary), QoS: 1, Retained: true})
			time.Sleep(time.Minute)
		}
		stop()
		if s := buf.String(); strings.Contains(s, canary) || !strings.Contains(s, "link up") || !strings.Contains(s, "quarantined") {
			t.Errorf("log: %s", s)
		}
	})
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// No two parties have one client id, whatever their names, and what a broker may dislike
// in one is encoded (C-14).
func TestPartyID(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	names := []string{"a", "a:b", "a:site", "a/b", "Werk Köln", "Werk%20K", "..", "site", "aggregator"}
	for _, user := range names {
		for _, role := range []string{"site", "aggregator"} {
			for _, ns := range names {
				for _, of := range [][]string{{ns}, {ns, "a"}, {ns, "b:a"}} {
					id, what := PartyID(user, role, of...), fmt.Sprintf("%q %s %q", user, role, of)
					if other, twice := seen[id]; twice {
						t.Fatalf("%s and %s are %s", what, other, id)
					}
					seen[id] = what
					if strings.ContainsAny(id, " .ö") {
						t.Fatalf("%s: %s", what, id)
					}
				}
			}
		}
	}
	if id := PartyID("berlin/line-1", "site", "acme"); id != "berlin/line-1:site:acme" {
		t.Error(id)
	}
}
