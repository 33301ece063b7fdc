package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	mochi "github.com/mochi-mqtt/server/v2"
	mochipackets "github.com/mochi-mqtt/server/v2/packets"
)

// broker is a real mochi over net.Pipe, with a hook that allows all but what
// the test denies.
type broker struct {
	mochi.HookBase
	srv *mochi.Server

	mu       sync.Mutex
	gone     bool                     // dials fail
	denySub  func(filter string) bool // SUBACK 0x80
	denyPub  func(topic string) bool  // mochi cuts the link
	cutAt    func(topic string) bool  // the link is cut before the PUBACK
	slowSub  func(string)             // called for each filter of a SUBSCRIBE
	rename   func(string) string      // what the broker makes of topics and filters
	auth     func(user, pw string) bool
	dials    []time.Time
	last     net.Conn   // our end of the newest connection
	batches  [][]string // filters of each SUBSCRIBE
	got      []mochipackets.Packet
	pings    int
	wills    []mochipackets.Packet
	versions []byte
	conns    sync.WaitGroup
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{srv: mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})}
	if err := b.srv.AddHook(b, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.conns.Wait)
	return b
}

func (b *broker) ID() string { return "test" }

func (b *broker) Provides(k byte) bool {
	return bytes.IndexByte([]byte{
		mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSubscribe, mochi.OnPublish, mochi.OnPacketRead, mochi.OnWillSent,
	}, k) >= 0
}

func (b *broker) set(f func()) { b.mu.Lock(); defer b.mu.Unlock(); f() }

// dial opens one connection to the broker; it fits Config.Dial.
func (b *broker) dial(context.Context) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials = append(b.dials, time.Now())
	if b.gone {
		return nil, errors.New("nobody listens")
	}
	client, server := net.Pipe()
	b.last = client
	b.conns.Go(func() { _ = b.srv.EstablishConnection("pipe", server) })
	return client, nil
}

// cut ends all connections without a word.
func (b *broker) cut() {
	for _, cl := range b.srv.Clients.GetAll() {
		cl.Stop(errors.New("cut by the test"))
	}
}

func (b *broker) OnConnectAuthenticate(cl *mochi.Client, pk mochipackets.Packet) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.versions = append(b.versions, cl.Properties.ProtocolVersion)
	return b.auth == nil || b.auth(string(pk.Connect.Username), string(pk.Connect.Password))
}

func (b *broker) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	b.mu.Lock()
	deny := b.denySub
	if write {
		deny = b.denyPub
	}
	b.mu.Unlock()
	return deny == nil || !deny(topic)
}

func (b *broker) OnSubscribe(_ *mochi.Client, pk mochipackets.Packet) mochipackets.Packet {
	var batch []string
	for _, f := range pk.Filters {
		batch = append(batch, f.Filter)
	}
	b.mu.Lock()
	b.batches = append(b.batches, batch)
	slow, rename := b.slowSub, b.rename
	b.mu.Unlock()
	for i := range pk.Filters {
		if rename != nil {
			pk.Filters[i].Filter = rename(pk.Filters[i].Filter)
		}
	}
	for _, f := range batch {
		if slow != nil {
			slow(f)
		}
	}
	return pk
}

func (b *broker) OnPublish(cl *mochi.Client, pk mochipackets.Packet) (mochipackets.Packet, error) {
	b.mu.Lock()
	b.got = append(b.got, pk)
	cut := b.cutAt
	if b.rename != nil {
		pk.TopicName = b.rename(pk.TopicName)
	}
	b.mu.Unlock()
	if cut != nil && cut(pk.TopicName) {
		cl.Stop(errors.New("cut by the test"))
	}
	return pk, nil
}

func (b *broker) OnPacketRead(_ *mochi.Client, pk mochipackets.Packet) (mochipackets.Packet, error) {
	if pk.FixedHeader.Type == mochipackets.Pingreq {
		b.set(func() { b.pings++ })
	}
	return pk, nil
}

func (b *broker) OnWillSent(_ *mochi.Client, pk mochipackets.Packet) {
	b.set(func() { b.wills = append(b.wills, pk) })
}

// payloads lists what arrived on a topic.
func (b *broker) payloads(topic string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, pk := range b.got {
		if pk.TopicName == topic {
			out = append(out, string(pk.Payload))
		}
	}
	return out
}

// stub is a broker of our own, as bad as the test wants it: on gets each packet
// and returns those to answer with.
type stub struct {
	on    func(s *stub, p packets.ControlPacket) []packets.ControlPacket
	mu    sync.Mutex
	conn  net.Conn // the newest
	seen  []packets.ControlPacket
	conns sync.WaitGroup
}

func newStub(t *testing.T, on func(*stub, packets.ControlPacket) []packets.ControlPacket) *stub {
	s := &stub{on: on}
	t.Cleanup(s.conns.Wait)
	return s
}

func (s *stub) dial(context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	s.mu.Lock()
	s.conn = server
	s.mu.Unlock()
	s.conns.Go(func() {
		defer server.Close()
		for {
			p, err := packets.ReadPacket(server)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen = append(s.seen, p)
			s.mu.Unlock()
			for _, a := range s.on(s, p) {
				if a == nil {
					return
				}
				if err := a.Write(server); err != nil {
					return
				}
			}
		}
	})
	return client, nil
}

func (s *stub) count(kind byte) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.seen {
		switch p.(type) {
		case *packets.PublishPacket:
			if kind == packets.Publish {
				n++
			}
		case *packets.PingreqPacket:
			if kind == packets.Pingreq {
				n++
			}
		case *packets.DisconnectPacket:
			if kind == packets.Disconnect {
				n++
			}
		case *packets.SubscribePacket:
			if kind == packets.Subscribe {
				n++
			}
		}
	}
	return n
}

// polite answers as a broker should, PUBACKs excepted.
func polite(p packets.ControlPacket) []packets.ControlPacket {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return []packets.ControlPacket{packets.NewControlPacket(packets.Connack)}
	case *packets.SubscribePacket:
		a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		a.MessageID, a.ReturnCodes = p.MessageID, make([]byte, len(p.Topics))
		return []packets.ControlPacket{a}
	case *packets.PingreqPacket:
		return []packets.ControlPacket{packets.NewControlPacket(packets.Pingresp)}
	case *packets.DisconnectPacket:
		return []packets.ControlPacket{nil}
	}
	return nil
}

func puback(id uint16) packets.ControlPacket {
	a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	a.MessageID = id
	return a
}

// rawPacket answers with bytes as they are.
type rawPacket struct {
	packets.ControlPacket
	b []byte
}

func (r rawPacket) Write(w io.Writer) error { _, err := w.Write(r.b); return err }

// start runs a Conn over dial until the returned function is called, which
// waits for Run to end; at the latest the test's cleanup calls it.
func start(t *testing.T, cfg Config, filters ...string) (*Conn, func()) {
	t.Helper()
	if cfg.ClientID == "" {
		cfg.ClientID = "berlin:site"
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range filters {
		c.Subscribe(Filter{Topic: f, QoS: 1})
	}
	return c, run(t, c)
}

// run keeps a link up until the test, or stop, ends it.
func run(t *testing.T, c *Conn) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// next reads states until one fits.
func next(t *testing.T, c *Conn, fits func(State) bool) State {
	t.Helper()
	for {
		select {
		case s := <-c.States():
			if fits(s) {
				return s
			}
		case <-time.After(10 * time.Minute):
			t.Fatal("no such state within 10 minutes")
		}
	}
}

func isUp(s State) bool   { return s.Up }
func isDown(s State) bool { return !s.Up }

func publish(c *Conn, topic, payload string) error {
	return c.Publish(context.Background(), Message{Topic: topic, Payload: []byte(payload), QoS: 1})
}

func receive(t *testing.T, c *Conn) Message {
	t.Helper()
	select {
	case m := <-c.Messages():
		return m
	case <-time.After(10 * time.Minute):
		t.Fatal("no message within 10 minutes")
		return Message{}
	}
}
