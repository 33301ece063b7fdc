// Package broker is fedmq's embedded MQTT broker: mochi with an access list
// that follows from the topic grammar, listeners for TCP, TLS and WebSocket,
// and retained messages that survive a kill -9.
//
// Start with [New] and [Broker.Run]; [Broker.Ready] is closed when clients may
// connect, [Broker.Addrs] then says where. Whoever is not among the users is
// refused, and what no rule of topics.Rules allows is denied, at SUBSCRIBE, at
// PUBLISH, for a Last Will, and again at each delivery. Config.Open turns all
// of that off, for trying things out.
//
// The package never writes a payload to its log, never follows what a payload
// says, and gives no client the session of another user. The rules cited as
// M1..M16 are those for the library in docs/explain/broker.md.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/fedmq/fedmq/internal/store"
)

// Addrs are the addresses listened on, with the ports that were taken; ""
// where there is no such listener.
type Addrs struct{ TCP, WS, TLS, WSS string }

// Broker is an MQTT broker. Make one with [New]; it runs once.
type Broker struct {
	cfg      Config
	tls      *tls.Config
	server   *mqtt.Server
	hook     *hook
	retained *store.Retained
	patience time.Duration // writeWithin, less in tests
	rest     time.Duration // store.RestFor, less in tests
	ready    chan struct{}
	stopping chan struct{}
	listened bool
	bound    []bound
	started  sync.Once

	mu      sync.Mutex
	conns   map[*conn]struct{}
	running bool

	connecting atomic.Int64 // bytes held by connections that are not in yet
	queues     pool
	wg         sync.WaitGroup // accept loops, web servers and connections
}

// New checks cfg, reads its certificates and returns a broker that does
// nothing yet.
func New(cfg Config) (*Broker, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	b := &Broker{
		cfg: cfg, ready: make(chan struct{}), stopping: make(chan struct{}),
		conns: map[*conn]struct{}{}, patience: writeWithin, rest: store.RestFor,
	}
	b.queues.most = int64(cfg.Limits.Queue)
	if cfg.CertFile != "" {
		var err error
		if b.tls, err = serverTLS(cfg.CertFile, cfg.KeyFile, cfg.ClientCA); err != nil {
			return nil, err
		}
	}
	var err error
	if b.hook, err = newHook(cfg); err != nil {
		return nil, err
	}
	b.server = mqtt.New(&mqtt.Options{
		Capabilities:           capabilities(cfg.MaxPacket),
		Logger:                 newLogger(cfg.Log),
		SysTopicResendInterval: 10,

		ClientNetWriteBufferSize: 1, // packets come to conn.Write one by one
	})
	b.hook.server = b.server
	return b, nil
}

// Listen opens the data directory and takes the addresses, so that a port in
// use is known before Run. It need not be called: Run does.
func (b *Broker) Listen() error {
	if b.listened {
		return nil
	}
	if b.cfg.DataDir != "" {
		if err := b.openRetained(); err != nil {
			return err
		}
	}
	if err := b.bind(); err != nil {
		if b.retained != nil {
			err = errors.Join(err, b.retained.Close())
		}
		return err
	}
	b.listened = true
	return nil
}

func (b *Broker) openRetained() error {
	if err := os.MkdirAll(b.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("broker: make the data directory: %w", err)
	}
	r, err := store.OpenRetained(filepath.Join(b.cfg.DataDir, retainedFile), b.rest)
	if err != nil {
		return fmt.Errorf("broker: retained messages: %w", err)
	}
	for _, f := range r.Findings() {
		b.cfg.Log.Warn().Str("finding", f).Msg("retained messages damaged")
	}
	b.retained, b.hook.retained = r, r
	return nil
}

// Run serves until ctx is done, then closes every connection and returns when
// all it started has ended. Stop clients first: they say goodbye, and their
// Last Wills are not sent. The error is nil after a stop by ctx; it wraps
// store.ErrDisk when retained messages could not be written in the end. A disk
// that fails before is in the log and in [Stats], and clients are served on.
func (b *Broker) Run(ctx context.Context) error {
	err := errors.New("broker: runs only once")
	b.started.Do(func() { err = b.run(ctx) })
	return err
}

func (b *Broker) run(ctx context.Context) error {
	if err := b.Listen(); err != nil {
		return err
	}
	err := b.server.AddHook(guarded{b.hook}, nil)
	if err == nil {
		err = b.server.Serve()
	}
	if err == nil {
		b.hook.retention.own(b.server.Topics.Retained)
	}
	if err == nil && b.retained != nil {
		err = b.hook.restore()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("broker: start: %w", err), b.closeBound(), b.closeRetained())
	}
	keepCtx, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	kept := make(chan error, 1)
	go func() {
		if b.retained == nil {
			<-keepCtx.Done()
			kept <- nil
			return
		}
		kept <- b.retained.Run(keepCtx, b.hook.reportDisk)
	}()
	b.serve()

	<-ctx.Done()
	err = b.stop()
	stopKeeping() // writes what the Last Wills changed
	return errors.Join(err, <-kept, b.closeRetained())
}

// serve starts the accept loops and lets pipes in.
func (b *Broker) serve() {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	for _, l := range b.bound {
		b.wg.Go(func() { l.serve(b) })
		b.cfg.Log.Info().Str("listener", l.kind).Str("address", l.ln.Addr().String()).Msg("broker listens")
	}
	b.wg.Go(func() { b.hook.boundSessions(b.stopping) })
	close(b.ready)
}

// stop ends listeners, connections and the library, in this order: the
// library's own Close would wait for connections that have not said CONNECT.
func (b *Broker) stop() error {
	b.mu.Lock()
	b.running = false
	b.mu.Unlock()
	close(b.stopping)
	err := b.closeBound()
	b.mu.Lock()
	for c := range b.conns {
		c.kill()
	}
	b.mu.Unlock()
	b.wg.Wait()
	return errors.Join(err, b.server.Close())
}

func (b *Broker) closeRetained() error {
	if b.retained == nil {
		return nil
	}
	return b.retained.Close()
}

// Ready is closed when clients may connect.
func (b *Broker) Ready() <-chan struct{} { return b.ready }

// Addrs returns the addresses; they are known after Listen or Ready.
func (b *Broker) Addrs() Addrs {
	var a Addrs
	for _, l := range b.bound {
		addr := l.ln.Addr().String()
		switch l.kind {
		case kindTCP:
			a.TCP = addr
		case kindWS:
			a.WS = addr
		case kindTLS:
			a.TLS = addr
		case kindWSS:
			a.WSS = addr
		}
	}
	return a
}

// Conn returns one end of a pipe to the broker, for a client in the same
// process. user is who the client is, without a password (it must be among
// the users unless the broker is open); with "" the client authenticates as
// over a network. Before Ready and after the end the connection is closed
// already. It has the limits of any other connection (M7: nothing skips the
// access list).
func (b *Broker) Conn(user string) net.Conn {
	client, server := net.Pipe()
	p := b.hook.door(server)
	if p == nil {
		return client
	}
	c := &conn{Conn: p, patience: b.patience, user: user}
	if !b.track(c) {
		_ = client.Close()
		return client
	}
	go b.serveConn(c, kindPipe)
	return client
}
