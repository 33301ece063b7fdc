package broker

import (
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// gate is the client's end of a pipe whose reading a test holds up.
type gate struct {
	net.Conn
	mu     sync.Mutex
	pause  time.Duration // before each Read
	chunk  int           // at most this much in one Read, 0 = no limit
	stuck  chan struct{} // reads wait for it when not nil
	closed chan struct{}
}

func newGate(c net.Conn) *gate { return &gate{Conn: c, closed: make(chan struct{})} }

func (g *gate) stall() {
	g.mu.Lock()
	g.stuck = make(chan struct{})
	g.mu.Unlock()
}

func (g *gate) slow(chunk int, pause time.Duration) {
	g.mu.Lock()
	g.chunk, g.pause = chunk, pause
	g.mu.Unlock()
}

func (g *gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	stuck, pause, chunk := g.stuck, g.pause, g.chunk
	g.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-g.closed:
			return 0, net.ErrClosed
		}
	}
	time.Sleep(pause)
	if chunk > 0 && len(p) > chunk {
		p = p[:chunk]
	}
	return g.Conn.Read(p)
}

func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.closed:
	default:
		close(g.closed)
	}
	return g.Conn.Close()
}

// A subscriber that stops reading holds nobody up, and other subscribers get
// everything (M5b). What waits for it is bounded; it is cut off in the end.
func TestStalledReaderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true, Limits: Limits{Anonymous: RoleLimits{Queue: ownQueue}}})
		g := newGate(b.Conn(""))
		bad := join(t, g, connectOpts{id: "bad"})
		good := join(t, b.Conn(""), connectOpts{id: "good"})
		if bad.subscribe("t", 1) != 1 || good.subscribe("t", 1) != 1 {
			t.Fatal("SUBSCRIBE refused")
		}
		cl, _ := b.server.Clients.Get("bad")
		g.stall()
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		began := time.Now()
		for range 100 {
			if !pub.publish("t", strings.Repeat("x", 100_000), false) {
				t.Fatal("the publisher lost its connection, or waits for ever")
			}
			pk, _ := good.await(packets.Publish)
			good.answer(pk)
		}
		if d := time.Since(began); d > 0 {
			t.Errorf("the publisher waited for %v", d)
		}
		if n := cl.State.Inflight.Len(); n > ownQueue/100_000+1 {
			t.Errorf("%d messages of 100 KB are kept for the stalled subscriber", n)
		}
		time.Sleep(writeWithin + time.Second)
		synctest.Wait()
		if _, ok := b.server.Clients.Get("bad"); ok {
			t.Error("the stalled subscriber is still connected")
		}
		if s := b.Stats(); s.Refused[ReasonSlow] != 1 || s.InFlight != 0 || s.MessagesDropped < 50 {
			t.Errorf("%d stalled, %d in flight, %d dropped", s.Refused[ReasonSlow], s.InFlight, s.MessagesDropped)
		}
	})
}

// A client that reads everything and acknowledges nothing is cut off when that
// fills its queue, and gets what is published until then.
func TestWhoAcknowledgesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true, Limits: Limits{Anonymous: RoleLimits{Queue: ownQueue}}})
		bad := join(t, b.Conn(""), connectOpts{id: "bad"})
		bad.subscribe("t", 1)
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		began := time.Now()
		for b.Stats().Refused[ReasonSlow] == 0 {
			pub.publish("t", strings.Repeat("x", 100_000), false)
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(began); d < writeWithin || d > 2*writeWithin {
			t.Errorf("cut off after %v", d)
		}
		n := 0
		for pk := range bad.in {
			if pk.FixedHeader.Type == packets.Publish {
				n++
			}
		}
		if n != ownQueue/100_000 {
			t.Errorf("%d messages", n)
		}
	})
}

// An honest client behind 9.6 kbit/s, for which far too much is published, stays,
// is told that it lives, and gets what its line takes.
func TestThinLineStays(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true, Limits: Limits{Anonymous: RoleLimits{Queue: ownQueue}}})
		g := newGate(b.Conn(""))
		thin := join(t, g, connectOpts{id: "thin", version: 5, atOnce: 20, keepAlive: 60})
		thin.subscribe("t", 1)
		g.slow(600, 500*time.Millisecond)
		pub := join(t, b.Conn(""), connectOpts{id: "pub", keepAlive: 60})
		ping := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
		got, pongs := 0, 0
		for second := range 1200 {
			pub.publish("t", strings.Repeat("x", 20_000), false)
			if second%60 == 0 {
				thin.send(ping.PingreqEncode)
			}
			time.Sleep(time.Second)
			for len(thin.in) > 0 {
				switch pk := <-thin.in; pk.FixedHeader.Type {
				case packets.Publish:
					got++
					thin.answer(pk)
				case packets.Pingresp:
					pongs++
				}
			}
		}
		if s := b.Stats(); got < 50 || pongs < 19 || s.Clients != 2 || s.MessagesDropped == 0 {
			t.Errorf("%d messages, %d answers to 20 pings, %d clients, %d dropped", got, pongs, s.Clients, s.MessagesDropped)
		}
	})
}

// A client that sends and does not read is not read on.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		c := b.Conn("")
		if _, err := c.Write([]byte(hello[4])); err != nil {
			t.Fatal(err)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		const publish, ack = "\x32\x07\x00\x01a\x00\x07hi", 4 // bytes
		many := []byte(strings.Repeat(publish, 1000))
		sent := 0
		for {
			n, err := c.Write(many)
			sent += n
			if err != nil {
				break
			}
		}
		if answers := sent / len(publish) * ack; answers < maxAnswers || answers > maxAnswers+screenBuf+3*writeSlice {
			t.Errorf("publishes with %d bytes of answers were taken", answers)
		}
	})
}

// A slow reader that makes progress is left alone.
func TestSlowReaderIsServed(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		g := newGate(b.Conn(""))
		slow := join(t, g, connectOpts{id: "slow"})
		if slow.subscribe("t", 1) != 1 {
			t.Fatal("SUBSCRIBE refused")
		}
		g.slow(1024, time.Second) // 8 KiB in 8 s
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		began := time.Now()
		pub.publishAsync("t", strings.Repeat("x", 1<<20), 0, false)
		pk := <-slow.in
		if len(pk.Payload) != 1<<20 {
			t.Fatalf("got a packet of type %d with %d bytes", pk.FixedHeader.Type, len(pk.Payload))
		}
		if d := time.Since(began); d < 15*time.Minute {
			t.Errorf("1 MiB at 1 KiB/s took only %v: the test is too fast to show anything", d)
		}
	})
}

// A reader that takes less than 8 KiB in 10 s is cut off, on whatever it is
// written with.
func TestTooSlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		g := newGate(b.Conn(""))
		slow := join(t, g, connectOpts{id: "slow"})
		if slow.subscribe("t", 1) != 1 {
			t.Fatal("SUBSCRIBE refused")
		}
		g.slow(1024, 2*time.Second) // 8 KiB in 16 s
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		began := time.Now()
		pub.publishAsync("t", strings.Repeat("x", 1<<20), 0, false)
		if pk, more := <-slow.in; more {
			t.Fatalf("got a packet of type %d with %d bytes", pk.FixedHeader.Type, len(pk.Payload))
		}
		if d := time.Since(began); d > 3*writeWithin {
			t.Errorf("cut off after %v, want soon after %v", d, writeWithin)
		}
	})
}

// Who connects and says nothing, or stops in the middle of its CONNECT, is cut
// off after 10 s.
func TestConnectHasADeadline(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		for _, said := range []string{"", "\x10\x20\x00\x04MQTT"} {
			c := b.Conn("")
			began := time.Now()
			if said != "" {
				if _, err := c.Write([]byte(said)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(began) != connectWithin {
				t.Errorf("after %q: read ended with %v after %v", said, err, time.Since(began))
			}
		}
	})
}

// Retained messages do not expire, and an idle client with keep-alives stays.
func TestADayLater(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		c := join(t, b.Conn(""), connectOpts{id: "c", keepAlive: 3600})
		if !c.publish("t", "kept", true) {
			t.Fatal("publish refused")
		}
		for range 25 {
			time.Sleep(time.Hour)
			if !c.alive() {
				t.Fatal("cut off in spite of its keep-alives")
			}
		}
		c.subscribe("t", 1)
		if _, what := c.message(); what != "kept" {
			t.Errorf("got %q", what)
		}
	})
}

// A stop ends every connection, whatever state it is in.
func TestStopWithOpenConnections(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, stop := run(t, Config{Open: true})
		idle := join(t, b.Conn(""), connectOpts{id: "idle"})
		silent := b.Conn("")
		began := time.Now()
		stop()
		if d := time.Since(began); d > 0 {
			t.Errorf("stopping took %v", d)
		}
		if _, more := idle.next(); more {
			t.Error("a client is still connected")
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("a silent connection is still open")
		}
	})
}
