package broker

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/topics"
)

// client is a raw MQTT client, of 3.1.1 unless it says 5: it sends what a test tells it, and a
// goroutine of its own reads, so that a pipe never stalls by accident.
type client struct {
	t    *testing.T
	conn net.Conn
	id   uint16
	v    byte
	in   chan packets.Packet // closed when the connection ends
}

type connectOpts struct {
	id, user, password string
	will               *packets.Packet
	keepAlive          uint16
	stay               bool   // clean session 0, in MQTT 5 for a day
	version            byte   // 0 is 4
	atOnce             uint16 // Receive Maximum
	longest            uint32 // Maximum Packet Size
}

// dial sends CONNECT on conn and returns the CONNACK's return code.
func dial(t *testing.T, conn net.Conn, o connectOpts) (*client, byte) {
	t.Helper()
	c := &client{t: t, conn: conn, v: max(o.version, 4), in: make(chan packets.Packet, 4096)}
	t.Cleanup(func() {
		_ = conn.Close()
		for range c.in { // until the reader has ended
		}
	})
	go c.read()
	pk := packets.Packet{ProtocolVersion: c.v, FixedHeader: packets.FixedHeader{Type: packets.Connect}}
	pk.Properties.ReceiveMaximum, pk.Properties.MaximumPacketSize = o.atOnce, o.longest
	if o.stay {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 86400, true
	}
	pk.Connect = packets.ConnectParams{
		ProtocolName: []byte("MQTT"), Clean: !o.stay, Keepalive: o.keepAlive, ClientIdentifier: o.id,
		UsernameFlag: o.user != "", Username: []byte(o.user),
		PasswordFlag: o.password != "", Password: []byte(o.password),
	}
	if o.will != nil {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, o.will.TopicName, o.will.Payload
		pk.Connect.WillQos, pk.Connect.WillRetain = o.will.FixedHeader.Qos, o.will.FixedHeader.Retain
	}
	c.send(pk.ConnectEncode)
	ack, ok := c.next()
	if !ok || ack.FixedHeader.Type != packets.Connack {
		t.Fatalf("client %q: no CONNACK", o.id)
	}
	return c, ack.ReasonCode
}

// join is dial that has to succeed.
func join(t *testing.T, conn net.Conn, o connectOpts) *client {
	t.Helper()
	c, code := dial(t, conn, o)
	if code != 0 {
		t.Fatalf("client %q: CONNACK %d", o.id, code)
	}
	return c
}

func (c *client) read() {
	defer close(c.in)
	r := bufio.NewReader(c.conn)
	for {
		pk, err := readPacket(r, c.v)
		if err != nil {
			return
		}
		c.in <- pk
	}
}

func readPacket(r *bufio.Reader, version byte) (pk packets.Packet, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return pk, err
	}
	pk.ProtocolVersion = version
	if err := pk.FixedHeader.Decode(b); err != nil {
		return pk, err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(r); err != nil {
		return pk, err
	}
	body := make([]byte, pk.FixedHeader.Remaining)
	if _, err := io.ReadFull(r, body); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Unsuback:
		err = pk.UnsubackDecode(body)
	case packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		err = pk.PubrecDecode(body)
	}
	return pk, err
}

func (c *client) send(encode func(*bytes.Buffer) error) {
	c.t.Helper()
	var buf bytes.Buffer
	if err := encode(&buf); err != nil {
		c.t.Fatal(err)
	}
	_, _ = c.conn.Write(buf.Bytes()) // a dead connection shows when it is read
}

// next waits for a packet; false when the connection has ended.
func (c *client) next() (packets.Packet, bool) {
	select {
	case pk, ok := <-c.in:
		return pk, ok
	case <-time.After(time.Minute):
		c.t.Error("nothing came in a minute")
		return packets.Packet{}, false
	}
}

// await skips packets up to one of the type.
func (c *client) await(kind byte) (packets.Packet, bool) {
	for {
		pk, ok := c.next()
		if !ok || pk.FixedHeader.Type == kind {
			return pk, ok
		}
	}
}

// subscribe returns the return code of the SUBACK.
func (c *client) subscribe(filter string, qos byte) byte {
	c.t.Helper()
	c.id++
	return c.subscribeAs(c.id, filter, qos)
}

func (c *client) subscribeAs(id uint16, filter string, qos byte) byte {
	c.t.Helper()
	pk := packets.Packet{
		ProtocolVersion: c.v, PacketID: id, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1},
		Filters: packets.Subscriptions{{Filter: filter, Qos: qos}},
	}
	c.send(pk.SubscribeEncode)
	ack, ok := c.await(packets.Suback)
	if !ok || ack.PacketID != id || len(ack.ReasonCodes) != 1 {
		c.t.Fatalf("SUBSCRIBE %q with id %d: answered %v %v with id %d", filter, id, ok, ack.ReasonCodes, ack.PacketID)
	}
	return ack.ReasonCodes[0]
}

func (c *client) publishAsync(topic, payload string, qos byte, retain bool) uint16 {
	c.t.Helper()
	pk := packets.Packet{
		ProtocolVersion: c.v, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: retain},
		TopicName: topic, Payload: []byte(payload),
	}
	if qos > 0 {
		c.id++
		pk.PacketID = c.id
	}
	c.send(pk.PublishEncode)
	return pk.PacketID
}

// publish sends with QoS 1 and reports whether a PUBACK came; without one the
// connection has ended.
func (c *client) publish(topic, payload string, retain bool) bool {
	c.t.Helper()
	id := c.publishAsync(topic, payload, 1, retain)
	ack, ok := c.await(packets.Puback)
	return ok && ack.PacketID == id
}

// alive reports whether the broker answers a ping.
func (c *client) alive() bool {
	pk := packets.Packet{ProtocolVersion: c.v, FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	c.send(pk.PingreqEncode)
	_, ok := c.await(packets.Pingresp)
	return ok
}

// received collects what the broker has delivered so far, as "topic=payload".
// The answer to a ping comes after it only for what went through this
// connection's reader, so the caller makes sure that the deliveries are made.
func (c *client) received() []string {
	c.t.Helper()
	pk := packets.Packet{ProtocolVersion: c.v, FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	c.send(pk.PingreqEncode)
	var got []string
	for {
		pk, ok := c.next()
		if !ok || pk.FixedHeader.Type == packets.Pingresp {
			return got
		}
		if pk.FixedHeader.Type == packets.Publish {
			got = append(got, pk.TopicName+"="+string(pk.Payload))
		}
	}
}

// message waits for one delivery.
func (c *client) message() (topic, payload string) {
	c.t.Helper()
	pk, ok := c.await(packets.Publish)
	if !ok {
		c.t.Fatal("the connection ended, want a message")
	}
	return pk.TopicName, string(pk.Payload)
}

// run starts a broker and stops it when the test ends.
func run(t *testing.T, cfg Config) (b *Broker, stop func()) {
	t.Helper()
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b, start(t, b)
}

func start(t *testing.T, b *Broker) (stop func()) {
	t.Helper()
	end := startFailing(t, b)
	stop = func() {
		if err := end(); err != nil {
			t.Errorf("broker ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// startFailing is start for a broker that may end with an error.
func startFailing(t *testing.T, b *Broker) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	done := false
	stop = func() error {
		if done {
			return nil
		}
		done = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func tcp(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plant is a namespace with one user of every role. Passwords equal names.
func plant(t *testing.T) Config {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	users, err := ParseUsers([]UserSpec{
		{Name: "aggregator", Role: "aggregator", Members: []string{"+/line-1"}},
		{Name: "berlin/line-1", Role: "site"},
		{Name: "gera/line-1", Role: "site"},
		{Name: "op", Role: "operator"},
		{Name: "screen", Role: "watcher"},
		{Name: "berlin/line-1/scoring", Role: "consumer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range users {
		users[i].Password = users[i].Name
	}
	return Config{Namespace: ns, Users: users, Log: zerolog.Nop()}
}

func ExampleHashPassword() {
	h, err := HashPassword("correct horse battery staple")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h[:len("pbkdf2-sha256$600000$")])
	// Output: pbkdf2-sha256$600000$
}
