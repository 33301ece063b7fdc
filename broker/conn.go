package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"
)

const (
	writeSlice  = 8 << 10
	writeWithin = 10 * time.Second // for a slice's worth

	goodbyeWithin = time.Second // for what is left to write at the end
)

// conn is a connection as the library sees it: it reads what the screen lets
// pass, and what it writes goes to a queue, so that nobody waits for a client.
type conn struct {
	net.Conn
	patience time.Duration        // writeWithin, less in tests
	user     string               // identity of a pipe, "" for none
	tls      *tls.ConnectionState // of the web server's connection
	in       screen
	out      *queue
	tickets  *tickets
	pace     pace
	hook     *hook
	client   atomic.Pointer[mqtt.Client] // from OnSessionEstablish on

	begins  string        // client id, from OnSessionEstablish on
	settled chan struct{} // closed when another with the id may begin
	gone    chan struct{} // closed when the library has cleared up behind it

	mu     sync.Mutex
	closed bool

	backlog backlog
	granted []byte // what the SUBACK says; its reader's alone
}

// open prepares a connection that is counted in.
func (c *conn) open(b *Broker) {
	c.settled, c.gone = make(chan struct{}), make(chan struct{})
	c.hook = b.hook
	c.in = screen{r: c.Conn, most: b.cfg.MaxPacket, before: &b.connecting, seen: c.saw}
	c.out = newQueue(ownQueue, c.patience)
	c.out.pool, c.out.lost = &b.queues, c.forget
	c.out.next = c.retained
	c.tickets = newTickets()
}

// Read reads what the screen lets pass, but not from a client that does not
// read its answers.
func (c *conn) Read(p []byte) (int, error) {
	c.out.wait()
	n, err := c.in.Read(p)
	c.screened(err)
	return n, err
}

// screened says what the screen refused.
func (c *conn) screened(err error) {
	if errors.Is(err, errMalformed) {
		c.hook.refuse(ReasonMalformed, c.RemoteAddr().String(), "connection closed", func(e *zerolog.Event) { e.Err(err) })
	}
}

// stalled says that the client takes too little.
func (c *conn) stalled(err error) {
	c.hook.refuse(ReasonSlow, c.RemoteAddr().String(), "connection closed", func(e *zerolog.Event) {
		e.Str("client", cut(c.id())).Err(err)
	})
}

// id is the client's, "" before it is in.
func (c *conn) id() string {
	if cl := c.client.Load(); cl != nil {
		return cl.ID
	}
	return ""
}

// saw is told of each packet the client sent.
func (c *conn) saw(p *packet) {
	now, cost := time.Now(), 0
	switch p.kind {
	case packets.Connect:
		c.out.takes(p.window, p.most)
	case packets.Publish:
	case packets.Puback, packets.Pubcomp, packets.Pubrec:
		done := p.kind != packets.Pubrec || p.reason >= packets.ErrUnspecifiedError.Code
		if !c.out.acknowledged(p.id, done, now) {
			cost = 1
		}
	default:
		cost = 1 + p.filters
	}
	if cost > 0 {
		time.Sleep(c.pace.charge(cost, now))
	}
}

// forget takes a message of QoS 1 or 2 that was dropped off the library's list.
func (c *conn) forget(id uint16) {
	cl := c.client.Load()
	if cl == nil {
		return
	}
	if pk, ok := cl.State.Inflight.Get(id); ok && cl.State.Inflight.Delete(id) {
		atomic.AddInt64(&c.hook.server.Info.Inflight, -1)
		c.hook.OnQosDropped(cl, pk)
	}
}

// Write queues one packet of the library's, which passes each in one piece
// (ClientNetWriteBufferSize).
func (c *conn) Write(p []byte) (int, error) {
	err := errors.New("broker: panic")
	c.hook.guard(c.client.Load(), func() { err = c.queue(p) })
	if err == nil {
		return len(p), nil
	}
	if errors.Is(err, errDropped) || errors.Is(err, errTooLong) {
		atomic.AddInt64(&c.hook.server.Info.MessagesDropped, 1)
	}
	if errors.Is(err, errStalled) {
		c.stalled(err)
		c.kill()
	}
	return 0, err
}

// queue queues one packet, a message with the payload that its ticket is for.
func (c *conn) queue(p []byte) error {
	if kind := p[0] >> 4; kind != packets.Publish {
		err := c.out.answer(p)
		if kind == packets.Suback {
			c.out.resume()
		}
		return err
	}
	head, payload, ok := c.tickets.redeem(p)
	if !ok { // the hook that gives one has panicked
		return errDropped
	}
	atomic.AddInt64(&c.hook.server.Info.BytesSent, int64(len(head)+len(payload)-len(p)))
	return c.out.add(head, payload, time.Now())
}

// retained queues what the client's backlog has next.
func (c *conn) retained() error {
	err := io.EOF
	cl := c.client.Load()
	c.hook.guard(cl, func() { err = c.hook.nextRetained(cl, &c.backlog) })
	return err
}

// write writes what is queued until the connection ends.
func (c *conn) write() {
	defer c.kill()
	for {
		p, more := c.out.take()
		if !more {
			return
		}
		if err := c.send(p); err != nil {
			if c.out.end(true) && errors.Is(err, os.ErrDeadlineExceeded) {
				c.stalled(fmt.Errorf("less than %d bytes in %v", writeSlice, c.patience))
			}
			return
		}
		c.out.sent(time.Now())
	}
}

// send writes p, with a new deadline whenever enough of it went out before the
// last one: 8 KiB at least have to go out in every 10 s, so that progress is
// required and speed is not. TLS and WebSocket take no more after a deadline that
// passed: they get slices that are in time whole or not.
func (c *conn) send(p net.Buffers) error {
	to := c.vectored()
	for len(p) > 0 {
		if err := c.mayWrite(); err != nil {
			return err
		}
		var n int64
		var err error
		if to != nil {
			n, err = p.WriteTo(to)
		} else {
			n, err = c.slice(&p)
		}
		if err != nil && !(n >= writeSlice && errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}

// slice writes the next few bytes of p.
func (c *conn) slice(p *net.Buffers) (int64, error) {
	first := (*p)[0]
	n, err := c.Conn.Write(first[:min(writeSlice, len(first))])
	if (*p)[0] = first[n:]; n == len(first) {
		*p = (*p)[1:]
	}
	return int64(n), err
}

// vectored is what takes many pieces at once, and goes on after a deadline: TCP, and
// a pipe one by one; nil for others.
func (c *conn) vectored() net.Conn {
	switch at := c.Conn.(type) {
	case *tls.Conn, *wsConn:
		return nil
	case *pass: // net.Buffers wants the connection itself
		return at.Conn
	}
	return c.Conn
}

// mayWrite sets the deadline of the next piece.
func (c *conn) mayWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil // Close has set the last one
	}
	return c.SetWriteDeadline(time.Now().Add(c.patience))
}

// Close lets out what was answered already, for a moment, and reads no more.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	_ = c.out.end(false)
	now := time.Now()
	return errors.Join(c.SetWriteDeadline(now.Add(goodbyeWithin)), c.SetReadDeadline(now))
}

// SetDeadline bounds reading only: the library's one deadline, 1.5 times the
// keep-alive after the last packet, is about what the client sends.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.SetReadDeadline(t)
}

// kill closes the connection without goodbye: a TLS close writes an alert and
// may wait for a peer that does not read.
func (c *conn) kill() {
	under := c.Conn
	if w, ok := under.(*wsConn); ok {
		under = w.Conn
	}
	if t, ok := under.(*tls.Conn); ok {
		under = t.NetConn()
	}
	_ = under.Close()
}

// certName is the identity of the client's verified certificate: the URI
// "fedmq:<name>" among its alternative names, else its common name, "" where
// there is none.
func (c *conn) certName() string {
	state := c.tls
	if t, ok := c.Conn.(*tls.Conn); ok {
		s := t.ConnectionState()
		state = &s
	}
	if state == nil || len(state.VerifiedChains) == 0 {
		return ""
	}
	return nameOf(state.PeerCertificates[0])
}

func nameOf(cert *x509.Certificate) string {
	for _, u := range cert.URIs {
		if u.Scheme == "fedmq" && u.Opaque != "" {
			return u.Opaque
		}
	}
	return cert.Subject.CommonName
}

// track notes a connection, with 10 s to say CONNECT. It closes it and reports
// false when the broker is not running.
func (b *Broker) track(c *conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		c.kill()
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(connectWithin)) // a broken connection shows when it is read
	c.open(b)
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	return true
}

// serveConn serves a tracked connection until it ends. The library has no part in
// it before its CONNECT is here and right.
func (b *Broker) serveConn(c *conn, kind string) {
	defer b.wg.Done()
	err := c.in.next()
	c.screened(err)
	if err == nil {
		var writer sync.WaitGroup
		writer.Go(c.write)
		err = b.establish(c, kind)
		_ = c.Close()
		c.backlog.clear()
		b.hook.begins.settle(c)
		close(c.gone)
		writer.Wait()
	}
	c.in.admitted()
	c.kill()
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		b.cfg.Log.Debug().Str("listener", kind).Str("remote", c.RemoteAddr().String()).Err(err).Msg("connection ended")
	}
}
