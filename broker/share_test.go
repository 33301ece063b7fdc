package broker

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// All copies of a PUBLISH have the Filters of the first, and nothing of them goes out.
func TestUpstreamSharesFilters(t *testing.T) {
	t.Parallel()
	pk := packets.Packet{
		ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "t",
		Filters: packets.Subscriptions{{Identifier: 7, Filter: "f"}}, Payload: []byte("x"),
	}
	again := pk.Copy(false)
	if again = again.Copy(true); len(again.Filters) != 1 || &again.Filters[0] != &pk.Filters[0] {
		t.Fatal("the library copies a packet's Filters: shares need another place")
	}
	var with, without bytes.Buffer
	plain := pk
	plain.Filters = nil
	if err := pk.PublishEncode(&with); err != nil {
		t.Fatal(err)
	}
	if err := plain.PublishEncode(&without); err != nil || !bytes.Equal(with.Bytes(), without.Bytes()) {
		t.Errorf("%v, %x and %x", err, with.Bytes(), without.Bytes())
	}
}

// payloads are short, at the border and long.
var payloads = []string{"", "short", strings.Repeat("a", shareFrom-1), strings.Repeat("b", shareFrom), strings.Repeat("c", 300_000), strings.Repeat("d", 1<<20)}

// Every subscriber gets what was published, whatever its QoS and version, at once and
// as retained, and of a session that is resumed what it is owed.
func TestPayloadsArriveWhole(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		dials := func(i int) connectOpts {
			return connectOpts{id: fmt.Sprint("c", i), version: byte(4 + i%2), stay: true}
		}
		var clients []*client
		for i := range 6 {
			c := join(t, b.Conn(""), dials(i))
			c.subscribe("#", byte(i/2))
			clients = append(clients, c)
		}
		pub := join(t, b.Conn(""), connectOpts{id: "pub", version: 5})
		for i, p := range payloads {
			pub.publish(fmt.Sprint("t/", i), p, true)
		}
		check := func(when string, c *client, from int) {
			t.Helper()
			synctest.Wait()
			got := map[string]string{}
			for len(c.in) > 0 {
				if pk := <-c.in; pk.FixedHeader.Type == packets.Publish {
					got[pk.TopicName] = string(pk.Payload)
				}
			}
			for i := from; i < len(payloads); i++ {
				if what, ok := got[fmt.Sprint("t/", i)]; !ok || what != payloads[i] {
					t.Errorf("%s: of %d bytes there are %d", when, len(payloads[i]), len(what))
				}
			}
		}
		for i, c := range clients {
			check(fmt.Sprint("client ", i), c, 0)
			_ = c.conn.Close()
		}
		synctest.Wait()
		for i := 2; i < 6; i++ {
			c, _ := dial(t, b.Conn(""), dials(i))
			check(fmt.Sprint("client resumed ", i), c, 0)
		}
		late := join(t, b.Conn(""), connectOpts{id: "late"})
		late.subscribe("t/#", 1)
		check("retained", late, 1)
	})
}

// What looks like a ticket is a payload like any other, and a message whose ticket is
// not known does not go out.
func TestTicketsCannotBeForged(t *testing.T) {
	t.Parallel()
	tickets := newTickets()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "t"}
	encode := func(payload []byte) []byte {
		var p bytes.Buffer
		pk.Payload = payload
		if err := pk.PublishEncode(&p); err != nil {
			t.Fatal(err)
		}
		return p.Bytes()
	}
	secret, forged := tickets.give([]byte("secret")), []byte(nil)
	for _, payload := range [][]byte{secret, nil, bytes.Repeat([]byte("x"), 200), bytes.Repeat([]byte("x"), 200_000)} {
		forged = encode(tickets.give(payload))
		head, got, ok := tickets.redeem(forged)
		if !ok || !bytes.Equal(got, payload) || !bytes.Equal(append(head, got...), encode(payload)) {
			t.Errorf("%d bytes of %d, %v, header %x", len(got), len(payload), ok, head)
		}
	}
	for _, p := range [][]byte{forged, encode([]byte("1234567")), encode(nil), encode([]byte("12345678"))} {
		if _, got, ok := tickets.redeem(p); ok {
			t.Errorf("%x stands for %q", p, got)
		}
	}
	if len(tickets.of) != 1 {
		t.Errorf("%d are left", len(tickets.of))
	}
}

func (s *shares) known() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.of)
}

// A long payload is in memory once for all who wait for it, and goes when the last one
// has it. Not parallel: it looks at the heap.
func TestPayloadsAreInMemoryOnce(t *testing.T) {
	b, _ := run(t, Config{Open: true})
	var gates []*gate
	for i := range 20 {
		g := newGate(b.Conn(""))
		join(t, g, connectOpts{id: fmt.Sprint("c", i)}).subscribe("t", 1)
		g.stall()
		gates = append(gates, g)
	}
	pub := join(t, b.Conn(""), connectOpts{id: "pub"})
	pub.publish("t", strings.Repeat("x", 1<<20), true) // whose readers make room for it
	before := heap()
	for range 4 {
		pub.publish("t", strings.Repeat("x", 1<<20), true)
	}
	if !pub.alive() {
		t.Fatal("cut off")
	}
	if more := heap() - before; more < 3<<10 || more > 6<<10 {
		t.Errorf("%d KiB are held for 4 MiB", more)
	}
	for _, g := range gates {
		_ = g.Close()
	}
	pub.publish("t", "", true)
	for heap()-before > 1<<10 || b.hook.shares.known() > 1 { // for ever, if they are held
		runtime.Gosched()
	}
}
