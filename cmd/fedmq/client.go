package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/wire"
)

// accessFlags are what a broker may ask of a client.
type accessFlags struct {
	Username     string            `short:"u" placeholder:"NAME" help:"MQTT user name."`
	PasswordFile string            `type:"existingfile" placeholder:"FILE" help:"File whose first line is the password."`
	CA           string            `name:"ca" type:"existingfile" placeholder:"FILE" help:"Authority of the broker's certificate (PEM)."`
	Cert         string            `type:"existingfile" placeholder:"FILE" help:"Client certificate (PEM)."`
	Key          string            `type:"existingfile" placeholder:"FILE" help:"Key of the client certificate (PEM)."`
	ServerName   string            `placeholder:"NAME" help:"Name in the broker's certificate, where it is not the host of the URL."`
	Insecure     bool              `help:"Do not verify the broker's certificate."`
	WSHeader     map[string]string `name:"ws-header" placeholder:"NAME=FILE" help:"Header of the request for a WebSocket; its text is the first line of the file. May be repeated."`
}

// clientFlags are how a short-lived command reaches the broker.
type clientFlags struct {
	Broker string `short:"b" placeholder:"URL" help:"Broker URL: tcp://, tls://, ws://, wss://, or those of one cluster with commas; default: tcp://127.0.0.1:1883."`
	accessFlags
}

// usualBroker is where a broker for trying listens.
const usualBroker = "tcp://127.0.0.1:1883"

// url is the broker asked for.
func (f clientFlags) url() string { return cmp.Or(f.Broker, usualBroker) }

// takeFrom takes from a configuration file in dir what the flags do not say: the
// broker, who this client is, and the certificates.
func (f *clientFlags) takeFrom(c connection, dir string) {
	f.Broker = cmp.Or(f.Broker, string(c.Broker))
	if f.Username == "" {
		f.Username, f.PasswordFile = c.Username, at(dir, c.PasswordFile)
	}
	if f.tls() == nil && c.TLS != nil && encrypted(f.Broker) {
		f.CA, f.Cert, f.Key = at(dir, c.TLS.CA), at(dir, c.TLS.Cert), at(dir, c.TLS.Key)
		f.ServerName, f.Insecure = c.TLS.ServerName, c.TLS.Insecure
	}
	for name, h := range c.WSHeaders {
		if !strings.HasPrefix(f.Broker, "ws") {
			break // the flag names another kind of broker
		}
		if f.WSHeader == nil {
			f.WSHeader = map[string]string{}
		}
		if _, given := f.WSHeader[name]; !given {
			f.WSHeader[name] = at(dir, h.File)
		}
	}
}

// tls is what the flags say of certificates; nil if nothing.
func (f accessFlags) tls() *tlsFiles {
	t := tlsFiles{CA: f.CA, Cert: f.Cert, Key: f.Key, ServerName: f.ServerName, Insecure: f.Insecure}
	if t == (tlsFiles{}) {
		return nil
	}
	return &t
}

// connectWait is how long a command waits for the broker.
const connectWait = 15 * time.Second

// client is a connection for the time of one command.
type client struct {
	conn *link.Conn
	stop func() error
}

// secrets reads the files that the flags name.
func (f clientFlags) secrets() (secrets, error) {
	c := connection{Broker: addresses(f.url()), Username: f.Username, PasswordFile: f.PasswordFile, TLS: f.tls()}
	for name, file := range f.WSHeader {
		if c.WSHeaders == nil {
			c.WSHeaders = map[string]headerFile{}
		}
		c.WSHeaders[name] = headerFile{File: file}
	}
	return c.load("")
}

// config completes the configuration of a connection of a client in a role.
func (f clientFlags) config(log zerolog.Logger, role string, more link.Config) (link.Config, error) {
	s, err := f.secrets()
	if err != nil {
		return more, usageError{err}
	}
	more.Broker, more.Username, more.Password, more.TLS, more.Headers, more.Log = f.url(), f.Username, s.password, s.tls, s.headers, log
	more.ClientID = link.UniqueID(cmp.Or(f.Username, "fedmq"), role)
	return more, nil
}

// link makes a connection of a client in a role, which the caller runs.
func (f clientFlags) link(log zerolog.Logger, role string, more link.Config) (*link.Conn, error) {
	cfg, err := f.config(log, role, more)
	if err != nil {
		return nil, err
	}
	conn, err := link.New(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return conn, nil
}

// connect subscribes to filters and waits until the broker has granted them.
func (f clientFlags) connect(ctx context.Context, log zerolog.Logger, role string, filters ...link.Filter) (*client, error) {
	conn, err := f.link(log, role, link.Config{MaxPacket: wire.MaxPart + 64<<10})
	if err != nil {
		return nil, err
	}
	conn.Subscribe(filters...)
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- conn.Run(runCtx) }()
	cl := &client{conn: conn, stop: func() error { cancel(); return <-done }}
	if err := cl.waitUp(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", link.Shown(f.url()), err), cl.stop())
	}
	return cl, nil
}

func (c *client) waitUp(ctx context.Context) error {
	timeout := time.After(connectWait)
	var last error
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return fmt.Errorf("not connected within %s: %w", connectWait, cmp.Or(last, errors.New("no answer")))
		case s := <-c.conn.States():
			if s.Up {
				return s.Err // a denied subscription
			}
			if s.Err != nil {
				last = s.Err
			}
			if errors.Is(s.Err, link.ErrRefused) || errors.Is(s.Err, link.ErrTLS) {
				return s.Err
			}
		}
	}
}

// next returns the next message that want accepts.
func (c *client) next(ctx context.Context, wait time.Duration, want func(link.Message) bool) (link.Message, error) {
	timeout := time.After(wait)
	for {
		select {
		case <-ctx.Done():
			return link.Message{}, ctx.Err()
		case <-timeout:
			return link.Message{}, fmt.Errorf("nothing arrived within %s", wait)
		case s := <-c.conn.States():
			if s.Err != nil {
				return link.Message{}, s.Err
			}
		case m := <-c.conn.Messages():
			if want(m) {
				return m, nil
			}
		}
	}
}
