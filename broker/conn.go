package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	writeSlice  = 8 << 10
	writeWithin = 10 * time.Second // for a slice's worth
)

// conn is a connection as the library sees it. A subscriber that stops reading
// would freeze its publishers for ever, because the library writes with a
// lock that they need and ignores errors of writing (M5b): here 8 KiB at least
// have to go out in every 10 s, so that progress is required and speed is not,
// and a failure closes the connection.
type conn struct {
	net.Conn
	patience time.Duration        // writeWithin, less in tests
	user     string               // identity of a pipe, "" for none
	tls      *tls.ConnectionState // of the web server's connection

	begins  string        // client id, from OnSessionEstablish on
	settled chan struct{} // closed when another with the id may begin
	gone    chan struct{} // closed when the library has cleared up behind it
}

// Write writes p, with a new deadline whenever enough of it went out before the
// last one. TLS and WebSocket take no more after a deadline that passed: they
// get slices that are in time whole or not.
func (c *conn) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		piece := p[done:]
		if !c.plain() {
			piece = piece[:min(writeSlice, len(piece))]
		}
		err := c.Conn.SetWriteDeadline(time.Now().Add(c.patience))
		var n int
		if err == nil {
			n, err = c.Conn.Write(piece)
		}
		done += n
		if err != nil && !(n >= writeSlice && errors.Is(err, os.ErrDeadlineExceeded)) {
			c.kill()
			return done, err
		}
	}
	return done, nil
}

// plain reports whether bytes pass as they are: over TCP or a pipe.
func (c *conn) plain() bool {
	switch c.Conn.(type) {
	case *tls.Conn, *wsConn:
		return false
	}
	return true
}

// SetDeadline bounds reading only: the library's one deadline, 1.5 times the
// keep-alive after the last packet, is about what the client sends.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

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
	c.settled, c.gone = make(chan struct{}), make(chan struct{})
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	return true
}

// serveConn serves a tracked connection until it ends.
func (b *Broker) serveConn(c *conn, kind string) {
	defer b.wg.Done()
	err := b.server.EstablishConnection(kind, c)
	c.kill()
	b.hook.begins.settle(c)
	close(c.gone)
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		b.cfg.Log.Debug().Str("listener", kind).Str("remote", c.RemoteAddr().String()).Err(err).Msg("connection ended")
	}
}
