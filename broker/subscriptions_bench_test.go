package broker

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// BenchmarkSubscribe: what a SUBSCRIBE costs, with the retained messages that come for
// it, of 10,000 that are there.
func BenchmarkSubscribe(b *testing.B) {
	br, err := New(Config{Open: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- br.Run(ctx) }()
	<-br.Ready()
	b.Cleanup(func() { stop(); <-ended })
	conn := br.Conn("")
	if _, err := conn.Write([]byte(hello[4])); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil { // its CONNACK
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	var cl *mqtt.Client
	for _, cl = range br.server.Clients.GetAll() {
	}
	inject := func(pk packets.Packet) {
		if err := br.server.InjectPacket(cl, pk); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 10_000 {
		pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}, Payload: []byte("hello")}
		pk.TopicName = fmt.Sprintf("plant/%d/state/%d", i%2500, i)
		inject(pk)
	}
	for _, ask := range []struct {
		filter string
		comes  int64
	}{{"plant/7/state/7", 1}, {"plant/7/state/+", 4}, {"plant/7/#", 4}, {"plant/+/state/7", 1}, {"nothing/+", 0}} {
		b.Run(ask.filter, func(b *testing.B) {
			b.ReportAllocs()
			pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 9, Filters: packets.Subscriptions{{Filter: ask.filter}}}
			for b.Loop() {
				sent := &br.server.Info.MessagesSent
				all := atomic.LoadInt64(sent) + ask.comes
				for inject(pk); atomic.LoadInt64(sent) < all; {
					runtime.Gosched()
				}
			}
		})
	}
}
