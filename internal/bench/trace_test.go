package bench

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fedmq/fedmq/topics"
)

// TestTracer: messages are noted by their kind, however the connection cuts them.
func TestTracer(t *testing.T) {
	t.Parallel()
	ns, err := topics.New("fedmq-bench/x")
	if err != nil {
		t.Fatal(err)
	}
	member, err := ns.Member("site-1", taskName)
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	publish := func(topic string, n int, qos byte, id uint16) {
		pk := paho.NewControlPacket(paho.Publish).(*paho.PublishPacket)
		pk.TopicName, pk.Payload, pk.Qos, pk.MessageID = topic, make([]byte, n), qos, id
		if err := pk.Write(&wire); err != nil {
			t.Fatal(err)
		}
	}
	publish(member.Update(), 0, 1, 7)
	publish(member.Part(), 40_000, 1, 8)
	publish(member.Status(), 5000, 1, 9)
	publish("other/topic", 5, 0, 0)
	wire.Write([]byte{0xc0, 0}) // PINGREQ
	publish(member.Join(), 200, 1, 10)
	for _, size := range []int{1, 2, 3, 1000, 1 << 20} {
		tr := &tracer{ns: ns, sent: map[uint16]bool{}}
		c := tr.over(nil).(tracedConn)
		for piece := range slices.Chunk(wire.Bytes(), size) {
			c.out.passed(piece)
		}
		c.in.passed([]byte{0x40, 2, 0, 9, 0x40, 2, 0, 8, 0x40, 2, 0, 8}) // of the status, of the part, and again
		var got []string
		for _, m := range tr.taken() {
			got = append(got, m.What)
		}
		if want := "out update, out part, out status, out join, in acknowledged"; strings.Join(got, ", ") != want {
			t.Errorf("in pieces of %d: %q, want %s", size, got, want)
		}
	}
}
