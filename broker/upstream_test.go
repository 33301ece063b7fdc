package broker

import (
	"bytes"
	"go/ast"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// These tests watch the library itself (M10). Each shows a fault that this
// package works around; when one fails, the library has been mended and the
// workaround named in it can go.

// allow is a hook that lets everybody in, and denies writing to "denied".
type allow struct{ mqtt.HookBase }

func (*allow) ID() string { return "allow" }
func (*allow) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (*allow) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (*allow) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	return !write || topic != "denied"
}

// stock runs the library as it comes; connect gives one end of a pipe to it.
func stock(t *testing.T, log *bytes.Buffer) (connect func() net.Conn) {
	t.Helper()
	opts := &mqtt.Options{Logger: slog.New(slog.DiscardHandler), Capabilities: mqtt.NewDefaultServerCapabilities(), SysTopicResendInterval: 3600}
	opts.Capabilities.MaximumMessageExpiryInterval = 600 // the default is a day, which takes long even in a bubble
	opts.Capabilities.MaximumInflight = 100              // and so is 8,192
	if log != nil {
		opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	s := mqtt.New(opts)
	if err := s.AddHook(&allow{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	var ends []net.Conn
	var served sync.WaitGroup
	t.Cleanup(func() {
		for _, c := range ends {
			_ = c.Close()
		}
		served.Wait() // Close would race with a connection that has just come
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return func() net.Conn {
		client, server := net.Pipe()
		ends = append(ends, client, server)
		served.Go(func() { _ = s.EstablishConnection("stock", server) })
		return client
	}
}

func TestUpstreamFreezesPublisherOfStalledReader(t *testing.T) {
	t.Parallel()
	connect := stock(t, nil) // in real time: it waits at a mutex, which stops the clock of a bubble
	g := newGate(connect())
	bad := join(t, g, connectOpts{id: "bad"})
	bad.subscribe("t", 1)
	g.stall()
	pub := join(t, connect(), connectOpts{id: "pub"})
	sent := make(chan struct{})
	go func() { // writing to a frozen broker blocks as well
		defer close(sent)
		for range 100 {
			pub.publishAsync("t", strings.Repeat("x", 100_000), 1, false)
		}
	}()
	patience := time.After(300 * time.Millisecond)
	acks := 0
	for late := false; !late; {
		select {
		case <-pub.in:
			acks++
		case <-patience:
			late = true
		}
	}
	if acks >= 100 {
		t.Error("mended: queue.go can go, for a client of MQTT 3.1.1 (M5b)")
	}
	_ = g.Close()
	<-sent
}

func TestUpstreamPublishesForeignWill(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		watch := join(t, connect(), connectOpts{id: "watch"})
		watch.subscribe("denied", 0)
		evil := join(t, connect(), connectOpts{id: "evil", will: &packets.Packet{TopicName: "denied", Payload: []byte("forged")}})
		_ = evil.conn.Close()
		synctest.Wait()
		if got := watch.received(); len(got) != 1 {
			t.Errorf("mended: hook.admit need not look at Wills (got %v)", got)
		}
	})
}

func TestUpstreamLeavesInvalidPublishUnanswered(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		c := join(t, connect(), connectOpts{id: "c"})
		c.publishAsync("$SYS/mine", "x", 1, false)
		synctest.Wait()
		if !c.alive() || len(c.in) > 0 {
			t.Error("mended: hook.OnPacketRead can go (M6)")
		}
	})
}

func TestUpstreamMixesPacketIDs(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		c := join(t, connect(), connectOpts{id: "c"})
		c.subscribeAs(100, "t", 1)
		pub := join(t, connect(), connectOpts{id: "pub"})
		pub.publish("t", "x", false)
		pk, _ := c.await(packets.Publish) // not acknowledged
		if code := c.subscribeAs(pk.PacketID, "u", 1); code != 0x91 {
			t.Errorf("mended (SUBACK %#x): packetid.go can go", code)
		}
	})
}

func TestUpstreamForgetsRetained(t *testing.T) {
	t.Parallel()
	if mqtt.NewDefaultServerCapabilities().MaximumMessageExpiryInterval == 0 {
		t.Error("mended: MaximumMessageExpiryInterval is 0 by default")
	}
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		c := join(t, connect(), connectOpts{id: "c"})
		c.publish("t", "kept", true)
		time.Sleep(11 * time.Minute)
		c.subscribe("t", 0)
		synctest.Wait()
		if got := c.received(); len(got) != 0 {
			t.Errorf("mended: a retained message without expiry stays (got %v)", got)
		}
	})
}

func TestUpstreamWaitsForCONNECTForEver(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		c := connect()
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err := c.Read(make([]byte, 1))
		if d := time.Since(began); d < time.Hour {
			t.Errorf("mended (%v after %v): connectWithin can go", err, d)
		}
	})
}

func TestUpstreamLogsPayloads(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		connect := stock(t, &lines)
		c := join(t, connect(), connectOpts{id: "c"})
		c.publish("denied", "canary", false)
		synctest.Wait()
		if !strings.Contains(lines.String(), "99 97 110 97 114 121") && !strings.Contains(lines.String(), "canary") {
			t.Errorf("mended: slogHandler need not drop packets:\n%s", lines.String())
		}
	})
}

func TestUpstreamPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("mended: the screen and recover.go remain, for what is not known (M12)")
		}
	}()
	pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1, Remaining: 6}}
	_ = pk.SubscribeDecode([]byte("\x00\x01\x00\x00\x01a"))
}

// A subscriber of more than may be in flight gets no more.
func TestUpstreamDropsRetained(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		pub := join(t, connect(), connectOpts{id: "pub"})
		for i := range 200 {
			pub.publish(nth(i), "x", true)
		}
		synctest.Wait()
		c := join(t, connect(), connectOpts{id: "c"})
		c.subscribe("#", 1)
		synctest.Wait()
		if got := len(c.gets(100)); len(c.received()) > 0 {
			t.Errorf("mended: backlog.go can go (M16; more than %d came)", got)
		}
	})
}

// Inflight.NextImmediate takes its read lock, and calls GetAll, which takes it again.
func TestUpstreamLocksTwice(t *testing.T) {
	t.Parallel()
	for _, fn := range upstreamFuncs(t, "") {
		if fn.Name.Name != "NextImmediate" {
			continue
		}
		var calls []string
		ast.Inspect(fn, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok && isCall(e, "RLock", "GetAll") {
				calls = append(calls, e.(*ast.CallExpr).Fun.(*ast.SelectorExpr).Sel.Name)
			}
			return true
		})
		if len(calls) != 2 {
			t.Errorf("mended: sendAtOnce can leave the quota (calls: %v)", calls)
		}
		return
	}
	t.Error("there is no NextImmediate any more: sendAtOnce can leave the quota")
}
