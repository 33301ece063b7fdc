package broker

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// narrow is a client of MQTT 5 that takes so many messages at once, asks for all
// retained ones below t, acknowledges what comes, and returns how many that were.
func narrow(t *testing.T, conn net.Conn, atOnce uint16) int {
	t.Helper()
	send := func(encode func(*bytes.Buffer) error) {
		var buf bytes.Buffer
		if err := encode(&buf); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(buf.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	in := make(chan packets.Packet, 1000)
	go func() {
		defer close(in)
		for r := bufio.NewReader(conn); ; {
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			pk := packets.Packet{ProtocolVersion: 5}
			_ = pk.FixedHeader.Decode(b)
			pk.FixedHeader.Remaining, _, _ = packets.DecodeLength(r)
			body := make([]byte, pk.FixedHeader.Remaining)
			if _, err := io.ReadFull(r, body); err != nil {
				return
			}
			if pk.FixedHeader.Type == packets.Publish && pk.PublishDecode(body) != nil {
				return
			}
			in <- pk
		}
	}()
	connect := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Connect}}
	connect.Connect = packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: "narrow", Keepalive: 60}
	connect.Properties.ReceiveMaximum = atOnce
	send(connect.ConnectEncode)
	sub := packets.Packet{
		ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "t/#", Qos: 1}},
	}
	send(sub.SubscribeEncode)
	got := 0
	for {
		select {
		case pk, more := <-in:
			if !more {
				t.Fatal("the connection has ended")
			}
			if pk.FixedHeader.Type == packets.Publish {
				got++
				ack := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID}
				send(ack.PubackEncode)
			}
		case <-time.After(10 * time.Second):
			_ = conn.Close()
			for range in { // until the reader has ended
			}
			return got
		}
	}
}

// A client that takes few messages at once gets all that are retained.
func TestNarrowClient(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		for i := range 100 {
			pub.publish(fmt.Sprint("t/", i), "x", true)
		}
		for _, atOnce := range []uint16{1, 20, 99} {
			if got := narrow(t, b.Conn(""), atOnce); got != 100 {
				t.Errorf("%d at once: %d messages of 100", atOnce, got)
			}
		}
	})
}

// The library stops: giveRoomBack.
func TestUpstreamLosesRoom(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		connect := stock(t, nil)
		pub := join(t, connect(), connectOpts{id: "pub"})
		for i := range 100 {
			pub.publish(fmt.Sprint("t/", i), "x", true)
		}
		if got := narrow(t, connect(), 20); got == 100 {
			t.Error("the library gives room back now: giveRoomBack can go")
		}
	})
}
