package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What a client may send, as MQTT 3.1.1 and 5 have it, byte by byte: lengths,
// flags, packet ids, properties. The library's decoders take more than that, and
// one of them panics (M12); they see only what passes here. What a packet means is
// theirs to judge: versions, wildcards, aliases, rights.

// errMalformed is wrapped by what is wrong with a packet, errShort by what ends
// too early.
var (
	errMalformed = errors.New("broker: packet refused")
	errShort     = fmt.Errorf("%w: cut short", errMalformed)
)

// cursor reads a packet from its front. The first fault stays; from then on
// it yields zeros.
type cursor struct {
	b   []byte
	bad string
}

const short = "cut short"

func (c *cursor) fail(why string) {
	if c.bad == "" {
		c.bad = why
	}
	c.b = nil
}

func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.fail(short)
		return nil
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) u8() byte {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if p := c.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if p := c.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// bytes takes binary data, behind its length in two bytes.
func (c *cursor) bytes() []byte { return c.take(int(c.u16())) }

func (c *cursor) text() {
	if p := c.bytes(); !utf8.Valid(p) || bytes.IndexByte(p, 0) >= 0 {
		c.fail("text is not UTF-8 without NUL")
	}
}

// varint takes a variable byte integer: one to four bytes, no more than needed.
func (c *cursor) varint() int {
	n, used := varint(c.b)
	if used <= 0 {
		c.fail("variable byte integer")
		return 0
	}
	c.take(used)
	return n
}

// varint returns the integer at the front of b and its bytes: 0 where b ends
// in the middle of it, -1 where it is none.
func varint(b []byte) (n, used int) {
	for i := range 4 {
		if i >= len(b) {
			return 0, 0
		}
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			if i > 0 && b[i] == 0 {
				return 0, -1
			}
			return n, i + 1
		}
	}
	return 0, -1
}

func (c *cursor) packetID() uint16 {
	id := c.u16()
	if id == 0 {
		c.fail("packet id 0")
	}
	return id
}

// packet is what is known of a packet while it is checked.
type packet struct {
	kind    byte
	flags   byte
	version byte   // 3 is MQTT 3.1, 4 is 3.1.1
	id      uint16 // of PUBLISH and acknowledgements
	reason  byte   // of acknowledgements, MQTT 5
	window  int    // Receive Maximum of CONNECT
	most    int    // Maximum Packet Size of CONNECT
	filters int    // of SUBSCRIBE and UNSUBSCRIBE, beyond the first
	head    int    // of PUBLISH, up to its payload
}

// shapes are the packets a client may send. CONNECT only comes first.
var shapes = [16]struct {
	flags byte // of the fixed header; PUBLISH has its own
	check func(*packet, *cursor)
}{
	packets.Connect:     {0, (*packet).connect},
	packets.Publish:     {0, (*packet).publish},
	packets.Puback:      {0, (*packet).ack},
	packets.Pubrec:      {0, (*packet).ack},
	packets.Pubrel:      {2, (*packet).ack},
	packets.Pubcomp:     {0, (*packet).ack},
	packets.Subscribe:   {2, (*packet).subscribe},
	packets.Unsubscribe: {2, (*packet).unsubscribe},
	packets.Pingreq:     {0, func(*packet, *cursor) {}},
	packets.Disconnect:  {0, (*packet).disconnect},
	packets.Auth:        {0, (*packet).auth},
}

// check tells what is wrong with the packet whose fixed header begins with first
// and whose rest is body; of a PUBLISH the end of the payload may be missing.
func (p *packet) check(first byte, body []byte) error {
	p.kind, p.flags, p.id, p.reason, p.filters, p.head = first>>4, first&0xf, 0, 0, 0, 0
	shape := shapes[p.kind]
	c := cursor{b: body}
	switch {
	case shape.check == nil, p.kind == packets.Auth && p.version < 5:
		c.fail("not a client's")
	case p.kind != packets.Publish && p.flags != shape.flags:
		c.fail("flags")
	default:
		shape.check(p, &c)
	}
	p.head += len(body)
	if c.bad == "" && len(c.b) > 0 {
		c.fail("bytes behind its end")
	}
	switch c.bad {
	case "":
		return nil
	case short:
		return fmt.Errorf("%w: type %d", errShort, p.kind)
	default:
		return fmt.Errorf("%w: type %d: %s", errMalformed, p.kind, c.bad)
	}
}

const (
	connectReserved = 1 << 0
	connectWill     = 1 << 2
	connectRetain   = 1 << 5
	connectPassword = 1 << 6
	connectUser     = 1 << 7
)

func (p *packet) connect(c *cursor) {
	c.text() // the protocol's name: the library answers to a wrong one, and to an unknown version
	p.version = c.u8()
	flags := c.u8()
	qos := flags >> 3 & 3
	if flags&connectReserved != 0 || qos == 3 || flags&connectWill == 0 && (qos != 0 || flags&connectRetain != 0) ||
		p.version < 5 && flags&connectUser == 0 && flags&connectPassword != 0 {
		c.fail("connect flags")
	}
	c.u16() // keep-alive
	p.window, p.most = 1<<16-1, math.MaxInt
	p.properties(c, packets.Connect)
	c.text() // client id
	if flags&connectWill != 0 {
		p.properties(c, packets.WillProperties)
		c.text()
		c.bytes()
	}
	if flags&connectUser != 0 {
		c.text()
	}
	if flags&connectPassword != 0 {
		c.bytes()
	}
}

func (p *packet) qos() byte { return p.flags >> 1 & 3 }

func (p *packet) publish(c *cursor) {
	if p.qos() == 3 || p.qos() == 0 && p.flags&8 != 0 {
		c.fail("flags")
	}
	c.text()
	if p.qos() > 0 {
		p.id = c.packetID()
	}
	p.properties(c, packets.Publish)
	p.head = -len(c.b) // see check
	c.b = nil          // the payload
}

func (p *packet) ack(c *cursor) {
	p.id = c.packetID()
	p.ending(c)
}

func (p *packet) disconnect(c *cursor) { p.ending(c) }

// ending is a reason code and properties, of which MQTT 5 lets the end be left out.
func (p *packet) ending(c *cursor) {
	if p.version < 5 || len(c.b) == 0 {
		return
	}
	if p.reason = c.u8(); len(c.b) > 0 {
		p.properties(c, p.kind)
	}
}

func (p *packet) subscribe(c *cursor) {
	c.packetID()
	p.properties(c, packets.Subscribe)
	for ; ; p.filters++ {
		c.text()
		opts := c.u8()
		if opts&3 == 3 || p.version < 5 && opts > 2 || opts>>4&3 == 3 || opts>>6 != 0 {
			c.fail("subscription options")
		}
		if len(c.b) == 0 {
			return
		}
	}
}

func (p *packet) unsubscribe(c *cursor) {
	c.packetID()
	p.properties(c, packets.Unsubscribe)
	for ; ; p.filters++ {
		if c.text(); len(c.b) == 0 {
			return
		}
	}
}

func (p *packet) auth(c *cursor) {
	c.u8()
	p.properties(c, packets.Auth)
}
