package bench

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/fedmq/fedmq/topics"
)

// mark is a moment of a party's life, and when it was.
type mark struct {
	What string `json:"w"`
	At   int64  `json:"t"` // nanoseconds since 1970, on the clock of all processes here
}

// tracer notes when messages have passed a party's socket, by the kind of their topic.
type tracer struct {
	ns topics.Namespace

	mu    sync.Mutex
	marks []mark
	sent  map[uint16]bool // packet ids of updates that wait for their PUBACK
}

func (t *tracer) note(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, mark{what, time.Now().UnixNano()})
}

// taken returns the marks so far.
func (t *tracer) taken() []mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]mark{}, t.marks...)
}

// Packet types of MQTT that a trace looks at.
const (
	mqttPublish = 3
	mqttPuback  = 4
)

// packet notes a packet of which the head is known, when all of it has passed.
func (t *tracer) packet(way string, first byte, head []byte) {
	switch first >> 4 {
	case mqttPuback:
		if way == "in" && len(head) >= 2 && t.mine(binary.BigEndian.Uint16(head)) {
			t.note("in acknowledged")
		}
	case mqttPublish:
		n := 2
		if len(head) >= 2 {
			n += int(binary.BigEndian.Uint16(head))
		}
		if len(head) < n {
			return
		}
		at, err := t.ns.Parse(string(head[2:n]))
		if err != nil {
			return
		}
		if of := at.Kind; way == "out" && (of == topics.Update || of == topics.Part) && len(head) >= n+2 {
			t.mu.Lock()
			t.sent[binary.BigEndian.Uint16(head[n:])] = true
			t.mu.Unlock()
		}
		t.note(way + " " + at.Kind.String())
	}
}

// mine reports whether a PUBACK is of an update.
func (t *tracer) mine(id uint16) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.sent[id]
	delete(t.sent, id)
	return was
}

// mostHead is how much of a packet is kept: a topic and its packet id.
const mostHead = 1 << 10

// packets cuts one way of a connection into packets.
type packets struct {
	tell  func(first byte, head []byte)
	first byte
	state int // 0: a packet begins; 1: its length; 2: its body
	shift uint
	left  int
	head  []byte
}

func (p *packets) passed(b []byte) {
	for len(b) > 0 {
		switch p.state {
		case 0:
			p.first, p.state, p.shift, p.left, p.head = b[0], 1, 0, 0, p.head[:0]
			b = b[1:]
		case 1:
			p.left |= int(b[0]&0x7f) << p.shift
			p.shift += 7
			if b[0] < 0x80 {
				p.state = 2
			}
			b = b[1:]
		case 2:
			n := min(p.left, len(b))
			p.head = append(p.head, b[:min(n, mostHead-len(p.head))]...)
			p.left -= n
			b = b[n:]
		}
		if p.state == 2 && p.left == 0 {
			p.state = 0
			p.tell(p.first, p.head)
		}
	}
}

// tracedConn tells of the packets that pass a connection.
type tracedConn struct {
	net.Conn
	in, out *packets
}

// over follows a connection of the party.
func (t *tracer) over(c net.Conn) net.Conn {
	way := func(name string) *packets {
		return &packets{tell: func(first byte, head []byte) { t.packet(name, first, head) }}
	}
	return tracedConn{c, way("in"), way("out")}
}

func (c tracedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.in.passed(b[:n])
	return n, err
}

func (c tracedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.out.passed(b[:n])
	return n, err
}
