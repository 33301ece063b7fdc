package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// errPacket: the broker sent bytes that no client should act on (C-13).
var errPacket = errors.New("link: bad packet from the broker")

// errGoodbye: the broker sent DISCONNECT, which 3.1.1 does not know from a
// server, but mochi sends it when it denies a publish or hands the client id to
// another connection.
var errGoodbye = errors.New("the broker said DISCONNECT")

// MQTT control packet types, the upper half of the first byte.
const (
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typeSubscribe  = 8
	typeSuback     = 9
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14
)

// fromServer marks the types a server may send.
var fromServer = [16]bool{2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 9: true, 11: true, 13: true}

// guard stands between the client library and the byte stream. It reads each
// packet's fixed header before the library allocates for it (C-13), holds every
// write to WriteTimeout (C-4), tells when a PUBLISH has left, and remembers who
// ended the link and why.
type guard struct {
	net.Conn
	max  int           // largest packet, bytes
	qos  byte          // of a PUBLISH that comes, at most
	done chan struct{} // closed with the connection

	r        *bufio.Reader
	spare    *spare // for payloads
	left     int    // bytes of the checked packet not yet handed out
	accepted bool   // by a CONNACK
	pinged   atomic.Bool
	pong     int // bytes of a PINGRESP to hand out

	turn chan struct{} // to write; capacity 1

	mu       sync.Mutex
	deadline time.Time // of the handshake, zero after it
	closed   bool
	cause    error // first error seen while open
	peer     bool  // the other side ended the link
	asked    map[uint16]int
	asks     uint16 // the last of asked

	in, out *atomic.Uint64
	acked   func(id uint16)                      // a PUBACK; nil: the library has it
	came    func(m Message, id uint16, size int) // a PUBLISH; without a payload it was over max, and read past
}

func newGuard(conn net.Conn, maxPacket int, in, out *atomic.Uint64) *guard {
	return &guard{
		Conn: conn, max: maxPacket, qos: 1, done: make(chan struct{}), turn: make(chan struct{}, 1),
		r: bufio.NewReaderSize(conn, 16<<10), spare: &spare{}, asked: map[uint16]int{}, in: in, out: out,
	}
}

// Read hands out bytes of packets whose header has been checked.
func (g *guard) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if g.left == 0 && g.pong == 0 {
		n, err := g.checkPacket()
		if err != nil {
			g.fail(err, isPeer(err))
			return 0, err
		}
		g.left = n
	}
	if g.pong > 0 {
		n := copy(p, []byte{typePingresp << 4, 0}[2-g.pong:])
		g.pong -= n
		return n, nil
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	g.in.Add(uint64(n))
	if err != nil {
		g.fail(err, isPeer(err))
	}
	return n, err
}

// checkPacket waits for the fixed header of the next packet that is to be read and
// returns the packet's whole length.
func (g *guard) checkPacket() (int, error) {
	for {
		n, err := g.header()
		if n == 0 && err == nil && g.pinged.CompareAndSwap(true, false) {
			g.pong = 2 // a message that came says as much, and the answer may be far behind
		}
		if n > 0 || g.pong > 0 || err != nil {
			return n, err
		}
	}
}

// header waits for the fixed header of the next packet and returns the packet's
// whole length, 0 if it was read past.
func (g *guard) header() (int, error) {
	length, shift := 0, 0
	for i := 1; ; i++ {
		b, err := g.r.Peek(i + 1)
		if err != nil {
			return 0, err
		}
		length |= int(b[i]&0x7f) << shift
		shift += 7
		if b[i] < 0x80 {
			if b[0]>>4 == typePublish {
				return 0, g.publish(b[0], i+1, length)
			}
			return g.checkHeader(b[0]>>4, i+1, length)
		}
		if i == 4 {
			return 0, fmt.Errorf("%w: length of more than 4 bytes", errPacket)
		}
	}
}

func (g *guard) checkHeader(kind byte, head, length int) (int, error) {
	switch {
	case kind == typeDisconnect:
		return 0, errGoodbye
	case !fromServer[kind]:
		return 0, fmt.Errorf("%w: type %d", errPacket, kind)
	case head+length > g.max:
		return 0, fmt.Errorf("%w: %d bytes, the limit is %d", errPacket, head+length, g.max)
	case length > 2+filtersPerSub:
		return 0, fmt.Errorf("%w: type %d with %d bytes", errPacket, kind, length)
	case kind == typePuback && g.acked != nil:
		return 0, g.puback(head, length)
	case kind == typeConnack:
		return head + length, g.checkConnack(head, length)
	case kind == typeSuback:
		return head + length, g.checkSuback(head, length)
	}
	return head + length, nil
}

// checkConnack refuses codes that 3.1.1 does not know: the library takes them
// for success.
func (g *guard) checkConnack(head, length int) error {
	b, err := g.r.Peek(head + length)
	if err != nil {
		return err
	}
	if length != 2 || b[head+1] > 5 {
		return fmt.Errorf("%w: CONNACK of %d bytes, code out of range", errPacket, length)
	}
	g.accepted = b[head+1] == 0
	return nil
}

// puback takes the PUBACK of a message.
func (g *guard) puback(head, length int) error {
	b, err := g.r.Peek(head + length)
	if err != nil {
		return err
	}
	if length != 2 {
		return fmt.Errorf("%w: PUBACK of %d bytes", errPacket, length)
	}
	id := binary.BigEndian.Uint16(b[head:])
	_, err = g.r.Discard(head + length)
	g.in.Add(uint64(head + length)) // a length of four bytes of seven bits
	g.acked(id)
	return err
}

// checkSuback compares the number of codes with the filters asked for: the
// library indexes one by the other and would panic.
func (g *guard) checkSuback(head, length int) error {
	b, err := g.r.Peek(head + length)
	if err != nil {
		return err
	}
	if length < 2 {
		return fmt.Errorf("%w: SUBACK of %d bytes", errPacket, length)
	}
	id := uint16(b[head])<<8 | uint16(b[head+1])
	g.mu.Lock()
	defer g.mu.Unlock()
	n, ok := g.asked[id]
	if !ok || n != length-2 {
		return fmt.Errorf("%w: SUBACK with %d codes for %d filters", errPacket, length-2, n)
	}
	delete(g.asked, id)
	return nil
}

// Write sends one packet; the library calls it once per packet.
func (g *guard) Write(p []byte) (int, error) { return g.write(p, nil) }

// write sends one packet in one piece or two.
func (g *guard) write(p, rest []byte) (int, error) {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	kind := byte(0)
	if len(p) > 0 {
		kind = p[0] >> 4
	}
	switch kind {
	case typeSubscribe:
		g.noteSubscribe(p)
	case typePingreq:
		g.pinged.Store(true)
	}
	limit := time.Now().Add(WriteTimeout)
	g.mu.Lock()
	if !g.deadline.IsZero() && g.deadline.Before(limit) {
		limit = g.deadline
	}
	g.mu.Unlock()
	err := g.Conn.SetWriteDeadline(limit)
	n := 0
	if err == nil && rest == nil {
		n, err = g.Conn.Write(p)
	} else if err == nil {
		var long int64
		long, err = (&net.Buffers{p, rest}).WriteTo(g.Conn)
		n = int(long) // of slices
	}
	g.out.Add(uint64(n))
	if err != nil {
		g.fail(err, isPeer(err))
		return n, err
	}
	return n, nil
}

// noteSubscribe remembers how many filters a SUBSCRIBE asks for.
func (g *guard) noteSubscribe(p []byte) {
	i := 1
	for i < len(p) && p[i] >= 0x80 {
		i++
	}
	i++ // last byte of the length
	if i+2 > len(p) {
		return
	}
	id := uint16(p[i])<<8 | uint16(p[i+1])
	n := 0
	for i += 2; i+2 < len(p); n++ {
		i += 2 + (int(p[i])<<8 | int(p[i+1])) + 1
	}
	g.mu.Lock()
	g.asked[id] = n
	g.asks = id
	g.mu.Unlock()
}

// lastID is the packet id of the last SUBSCRIBE.
func (g *guard) lastID() uint16 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asks
}

// SetDeadline bounds the handshake.
func (g *guard) SetDeadline(t time.Time) error {
	g.mu.Lock()
	g.deadline = t
	g.mu.Unlock()
	return g.SetReadDeadline(t)
}

// SetWriteDeadline does nothing: every Write sets its own, also those that the
// library leaves without (C-4).
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// Close ends the connection; every call but the first does nothing.
func (g *guard) Close() error {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil
	}
	g.closed = true
	g.mu.Unlock()
	close(g.done)
	return g.Conn.Close()
}

// fail remembers the first error and closes.
func (g *guard) fail(err error, peer bool) {
	g.mu.Lock()
	if !g.closed && g.cause == nil {
		g.cause, g.peer = err, peer
	}
	g.mu.Unlock()
	_ = g.Close()
}

// reason returns the error that ended the link, nil when this side closed it,
// and whether it was the other side's doing.
func (g *guard) reason() (err error, peer bool) { //nolint:revive // the error is data here
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause, g.peer
}

// isPeer tells an end by the other side from our own limits and deadlines.
func isPeer(err error) bool {
	var ne net.Error
	return !errors.Is(err, errPacket) && !errors.Is(err, net.ErrClosed) && (!errors.As(err, &ne) || !ne.Timeout())
}
