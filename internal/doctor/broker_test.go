package doctor

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// broker is a real mochi on the loopback with the habits that a test wants. (In
// virtual time, over net.Pipe, a subscriber that does not read would hold one of
// mochi's locks, and the clock with it.)
type broker struct {
	mochi.HookBase
	srv *mochi.Server

	deny   func(user, topic string, write bool) bool
	onPub  func(cl *mochi.Client, pk packets.Packet) (packets.Packet, error)
	single bool // a user has one connection
	full   bool // closes at CONNECT

	interrupt context.CancelFunc // ends the examination
	mu        sync.Mutex
	last      map[string]*mochi.Client
}

func (b *broker) ID() string { return "test" }

func (b *broker) Provides(k byte) bool {
	return bytes.IndexByte([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnPacketEncode}, k) >= 0
}

func (b *broker) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	user := string(pk.Connect.Username)
	if b.full {
		cl.Stop(nil)
		return false
	}
	if old := b.last[user]; old != nil && b.single {
		old.Stop(nil)
	}
	b.last[user] = cl
	return string(pk.Connect.Password) != "wrong"
}

func (b *broker) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	return b.deny == nil || !b.deny(string(cl.Properties.Username), topic, write)
}

// OnPacketEncode has a PUBACK say that nobody listens: mochi leaves a reason below 0x80
// out, but with a text.
func (b *broker) OnPacketEncode(_ *mochi.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Puback && pk.ReasonCode == packets.CodeNoMatchingSubscribers.Code {
		pk.Properties.ReasonString = "nobody"
	}
	return pk
}

func (b *broker) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if b.onPub == nil {
		return pk, nil
	}
	return b.onPub(cl, pk)
}

// left lists the retained topics and the sessions at the broker.
func (b *broker) left() (out []string) {
	for t := range b.srv.Topics.Retained.GetAll() {
		if !strings.HasPrefix(t, "$SYS") {
			out = append(out, t)
		}
	}
	for id, cl := range b.srv.Clients.GetAll() {
		if !cl.Closed() || !cl.Properties.Clean {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// fewer is enough for most tests.
var fewer = extent{packet: 1<<20 + 128<<10, wildcard: 100, order: 50, queue: 500, parts: 16}

// examine runs an examination.
func examine(t *testing.T, prepare func(*broker, *Config, *mochi.Capabilities), check func(*testing.T, *broker, *Report, error)) {
	t.Helper()
	caps := mochi.NewDefaultServerCapabilities()
	b := &broker{last: map[string]*mochi.Client{}}
	cfg := Config{Namespace: "acme", extent: fewer}
	prepare(b, &cfg, caps)
	b.srv = mochi.New(&mochi.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler)})
	if err := b.srv.AddHook(b, nil); err != nil {
		t.Fatal(err)
	}
	tcp := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := b.srv.AddListener(tcp); err != nil {
		t.Fatal(err)
	}
	if err := b.srv.Serve(); err != nil {
		t.Fatal(err)
	}
	defer b.srv.Close()
	cfg.Link.Broker = "tcp://" + tcp.Address()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.interrupt = cancel
	r, err := Run(ctx, cfg)
	check(t, b, r, err)
}

// gone waits until the broker has seen the last connection end, and fails the
// test if anything is left.
func gone(t *testing.T, b *broker) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(5 * time.Second)
	for left := b.left(); len(left) > 0; left = b.left() {
		select {
		case <-tick.C:
		case <-end:
			t.Errorf("left at the broker: %d, first %q", len(left), left[0])
			return
		}
	}
}

// heldBack is how much later a broker sends the second of two small messages, of which
// a busy machine may hide some.
const heldBack = 150 * time.Millisecond

// holdBack does to small messages at QoS 0 what Nagle's algorithm does, whatever the
// system thinks of delayed acknowledgements.
func (b *broker) holdBack() {
	n := 0
	b.onPub = func(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
		if pk.FixedHeader.Qos == 0 && len(pk.Payload) == pairBytes {
			if n++; n%2 == 0 {
				time.Sleep(heldBack)
			}
		}
		return pk, nil
	}
}
