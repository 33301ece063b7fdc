package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/fedmq/fedmq/internal/textfile"
)

// The names of the ways in, as in the log.
const (
	kindTCP  = "tcp"
	kindWS   = "ws"
	kindTLS  = "tls"
	kindWSS  = "wss"
	kindPipe = "pipe"
)

// bound is one address taken.
type bound struct {
	kind string
	ln   net.Listener
}

// bind takes all addresses, or none.
func (b *Broker) bind() error {
	for _, l := range []struct{ kind, addr string }{
		{kindTCP, b.cfg.TCP}, {kindWS, b.cfg.WS}, {kindTLS, b.cfg.TLS}, {kindWSS, b.cfg.WSS},
	} {
		if l.addr == "" {
			continue
		}
		ln, err := net.Listen("tcp", l.addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("broker: %s address %s is in use: another broker, or another program, listens there: %w", l.kind, l.addr, err)
		} else if err != nil {
			err = fmt.Errorf("broker: %s address %s: %w", l.kind, l.addr, err)
		}
		if err != nil {
			return errors.Join(err, b.closeBound())
		}
		b.bound = append(b.bound, bound{l.kind, turnstile{ln, b.hook}})
	}
	return nil
}

// closeBound closes the listeners; one closed already is no error.
func (b *Broker) closeBound() error {
	var errs []error
	for _, l := range b.bound {
		if err := l.ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, fmt.Errorf("broker: close %s: %w", l.kind, err))
		}
	}
	return errors.Join(errs...)
}

// turnstile is a listener that lets in no more connections than may be. Those of
// web servers count from their acceptance, not from their upgrade.
type turnstile struct {
	net.Listener
	hook *hook
}

// Accept waits for a connection that may come in.
func (g turnstile) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if p := g.hook.door(c); p != nil {
			return p, nil
		}
	}
}

// serve accepts connections until the listener is closed.
func (l bound) serve(b *Broker) {
	switch l.kind {
	case kindWS, kindWSS:
		b.serveWeb(l)
	case kindTLS:
		b.accept(l, func(c net.Conn) net.Conn { return tls.Server(c, b.tls) })
	default:
		b.accept(l, func(c net.Conn) net.Conn { return c })
	}
}

func (b *Broker) accept(l bound, wrap func(net.Conn) net.Conn) {
	for {
		raw, err := l.ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, say: it may pass
			b.cfg.Log.Warn().Str("listener", l.kind).Err(err).Msg("accept failed")
			select {
			case <-b.stopping:
				return
			case <-time.After(time.Second):
			}
			continue
		}
		c := &conn{Conn: wrap(raw), patience: b.patience}
		if b.track(c) {
			go b.serveConn(c, l.kind)
		}
	}
}

// serverTLS reads certificates: TLS 1.2 or later; with a client CA a client
// may present a certificate of its own.
func serverTLS(cert, key, clientCA string) (*tls.Config, error) {
	pair, err := textfile.KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("broker: certificate: %w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clientCA == "" {
		return cfg, nil
	}
	if cfg.ClientCAs, err = textfile.Authorities(clientCA); err != nil {
		return nil, fmt.Errorf("broker: client CA: %w", err)
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	return cfg, nil
}
