package link

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// bytesConn reads given bytes, one Read each of at most step bytes.
type bytesConn struct {
	net.Conn
	r    *bytes.Reader
	step int
}

func (c *bytesConn) Read(p []byte) (int, error)       { return c.r.Read(p[:min(len(p), c.step)]) }
func (c *bytesConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *bytesConn) Close() error                     { return nil }
func (c *bytesConn) SetWriteDeadline(time.Time) error { return nil }

func guardOver(b []byte, step, maxPacket int) *guard {
	var in, out atomic.Uint64
	g := newGuard(&bytesConn{r: bytes.NewReader(b), step: step}, maxPacket, &in, &out)
	g.accepted, g.came = true, func(Message, uint16, int) {}
	return g
}

// C-13: whatever the broker sends, the library never panics over the guard and
// never reads a packet above the cap; what it accepts is what was sent.
func FuzzGuard(f *testing.F) {
	seeds := []packets.ControlPacket{packets.NewControlPacket(packets.Connack), packets.NewControlPacket(packets.Pingresp), puback(7)}
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.TopicName, pub.Payload, pub.Qos, pub.MessageID = "a/b", make([]byte, 300), 1, 9
	for _, p := range append(seeds, pub) {
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), 1)
		f.Add(append(b.Bytes(), b.Bytes()...), 100)
	}
	f.Add([]byte{0x90, 0x03, 0x00, 0x01, 0x00}, 3)
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f}, 3)
	f.Add(append([]byte{0x32, 0x80, 0x08, 0, 1, 'a', 0, 7}, make([]byte, 1019+2)...), 100)
	f.Add([]byte{0xe0, 0x00}, 3)
	const limit = 512
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		g := guardOver(b, 1+max(step, -step)&0xff, limit)
		g.came = func(m Message, _ uint16, size int) {
			if len(m.Payload) > limit || m.QoS > 1 || (m.Payload == nil) != (size > limit) {
				t.Errorf("payload of %d bytes of %d, QoS %d", len(m.Payload), size, m.QoS)
			}
		}
		if step < 0 {
			g.acked = func(uint16) {}
		}
		if step < 0 {
			g.acked = func(uint16) {}
		}
		for {
			p, err := packets.ReadPacket(g)
			if p != nil && err == nil {
				if n := p.Details(); n.Qos > 3 {
					t.Errorf("details %+v", n)
				}
				if pub, ok := p.(*packets.PublishPacket); ok && len(pub.Payload) > limit {
					t.Errorf("payload of %d bytes", len(pub.Payload))
				}
				continue
			}
			break
		}
		if n := g.in.Load(); n > uint64(len(b)) {
			t.Errorf("%d bytes out of %d", n, len(b))
		}
	})
}

// The guard knows how many filters a SUBSCRIBE asked for, at any length.
func TestGuardCountsFilters(t *testing.T) {
	t.Parallel()
	for n := 1; n <= filtersPerSub; n++ {
		for _, size := range []int{1, 14, 200, 20000} {
			sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
			sub.MessageID = 513
			for range n {
				sub.Topics, sub.Qoss = append(sub.Topics, string(bytes.Repeat([]byte("x"), size))), append(sub.Qoss, 1)
			}
			for codes := range filtersPerSub + 1 {
				a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
				a.MessageID, a.ReturnCodes = 513, make([]byte, codes)
				var b bytes.Buffer
				if err := a.Write(&b); err != nil {
					t.Fatal(err)
				}
				g := guardOver(b.Bytes(), 1, 4096)
				if err := sub.Write(g); err != nil {
					t.Fatal(err)
				}
				_, err := packets.ReadPacket(g)
				if (err == nil) != (codes == n) {
					t.Errorf("%d codes for %d filters of %d bytes: %v", codes, n, size, err)
				}
			}
		}
	}
}

// What a message that comes costs before it is queued: its topic and one copy of its
// payload.
func BenchmarkIncoming(b *testing.B) {
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.TopicName, pub.Payload, pub.Qos, pub.MessageID = "acme/_fl_v1/task/model", make([]byte, 40<<10), 1, 9
	var one bytes.Buffer
	if err := pub.Write(&one); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(one.Len()))
	ack := []byte{typeConnack << 4, 2, 0, 0}
	stream := &bytesConn{r: bytes.NewReader(ack), step: 1 << 20}
	var in, out atomic.Uint64
	g := newGuard(stream, 1<<20, &in, &out)
	g.came = func(Message, uint16, int) {}
	if _, err := packets.ReadPacket(g); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		stream.r.Reset(one.Bytes())
		if n, err := g.header(); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// C-3: a message that comes while a PINGRESP is waited for stands for it, once.
func TestMessageAnswersPing(t *testing.T) {
	t.Parallel()
	message := []byte{typePublish << 4, 3, 0, 1, 'a'}
	g := guardOver(append(message, message...), 1, 512)
	if err := packets.NewControlPacket(packets.Pingreq).Write(g); err != nil {
		t.Fatal(err)
	}
	if p, err := packets.ReadPacket(g); err != nil || p.String() != packets.NewControlPacket(packets.Pingresp).String() {
		t.Errorf("the library reads %v, %v", p, err)
	}
	if p, err := packets.ReadPacket(g); err == nil {
		t.Errorf("and %v", p)
	}
}

// Packet ids are of the half that the library's SUBSCRIBEs do not use, and never one
// that waits for its PUBACK.
func TestPacketIDs(t *testing.T) {
	t.Parallel()
	s := &session{guard: guardOver(nil, 1, 512), pending: map[uint16]*flight{}, lastID: 1<<15 - 2}
	for _, last := range []uint16{1, 1<<15 - 1, 1 << 15, 1<<16 - 1} {
		s.guard.asks = last
		for range 3 {
			f, id := s.takeOff(&request{})
			defer f.late.Stop()
			if id == 0 || id>>15 == last>>15 || s.pending[id] != f {
				t.Errorf("id %d beside %d", id, last)
			}
		}
	}
	if len(s.pending) != 12 {
		t.Errorf("%d ids of 12 messages", len(s.pending))
	}
}

// C-19: a broker that acknowledges nothing has its connection ended, before there are no
// packet ids any more.
func TestEndsWithoutPUBACKs(t *testing.T) {
	t.Parallel()
	s := &session{guard: guardOver(nil, 1, 512), pending: map[uint16]*flight{}}
	n := 0
	for ; !s.ended() && n < 1<<15; n++ {
		f, _ := s.takeOff(&request{})
		defer f.late.Stop()
	}
	if n != mostLost+1 {
		t.Errorf("ended by message %d, want %d", n, mostLost+1)
	}
}
