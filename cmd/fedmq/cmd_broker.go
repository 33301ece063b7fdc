package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/metrics"
	"github.com/fedmq/fedmq/topics"
)

type brokerCmd struct {
	Config    string   `short:"c" type:"existingfile" placeholder:"FILE" help:"Configuration file (YAML); flags have the last word."`
	Check     bool     `help:"Check the configuration, print the limits and exit."`
	Listen    *string  `placeholder:"ADDR" help:"Address for MQTT over TCP, by default 127.0.0.1:1883; empty for none."`
	WS        string   `name:"ws" placeholder:"ADDR" help:"Address for MQTT over WebSocket."`
	TLS       string   `name:"tls" placeholder:"ADDR" help:"Address for MQTT over TLS."`
	WSS       string   `name:"wss" placeholder:"ADDR" help:"Address for MQTT over secure WebSocket."`
	Cert      string   `type:"existingfile" placeholder:"FILE" help:"Certificate chain of the TLS listeners (PEM)."`
	Key       string   `type:"existingfile" placeholder:"FILE" help:"Private key of the TLS listeners (PEM)."`
	ClientCA  string   `type:"existingfile" placeholder:"FILE" help:"Authority of client certificates (PEM): a certificate is then an identity."`
	Origin    []string `placeholder:"URL" help:"Web origin whose pages may open a WebSocket; may be repeated."`
	Namespace string   `placeholder:"PREFIX" help:"Enterprise prefix of the UNS; the access list follows from it."`
	Bulk      []string `placeholder:"TOPIC" help:"Root of bulk beside the namespace, as the aggregator's configuration has it; may be repeated."`
	Users     string   `type:"existingfile" placeholder:"FILE" help:"Users file (YAML)."`
	Open      bool     `help:"No users, no access list: everybody may do everything. For trying."`
	DataDir   string   `placeholder:"DIR" help:"Directory for retained messages; without it they are lost at a restart."`
	httpFlag
	MaxPacket int `placeholder:"N" help:"Largest MQTT packet in bytes, by default 1114112."`
}

func (brokerCmd) Help() string {
	return `For trying, and for small plants:

  fedmq broker --open
  fedmq broker --namespace acme --users users.yaml --data-dir ./broker

The users file says who may connect, and as what; the access list follows from it:

  users:
    - {name: aggregator, password_hash: "...", role: aggregator, members: ["+/line-1"]}
    - {name: berlin/line-1, password_file: berlin.pw, role: site}
    - {name: scada, password_hash: "...", role: watcher}

A password_hash is what fedmq hash-password prints. A configuration file has all of this and
what one client may cost at most (limits); --check prints the limits:

  fedmq broker -c broker.yaml

Its keys: docs/ref/config.md. More: docs/howto/broker.md.`
}

type usersFile struct {
	Users []broker.UserSpec `yaml:"users"`
}

// file reads the configuration file and puts the flags over it.
func (c *brokerCmd) file() (f brokerFile, err error) {
	if c.Config != "" {
		if err := f.load(c.Config); err != nil {
			return f, err
		}
	}
	if err := c.flags(&f); err != nil {
		return f, err
	}
	if f.Listen == nil {
		listen := "127.0.0.1:1883"
		f.Listen = &listen
	}
	switch {
	case f.Open && len(f.Users) > 0:
		return f, errors.New("--open and --users (or users: in the file) exclude each other")
	case !f.Open && (len(f.Users) == 0 || f.Namespace == ""):
		return f, errors.New("want --users FILE and --namespace NS, or --open to try without an access list; or -c FILE, which has any of these")
	}
	return f, f.voids()
}

func (f *brokerFile) config(from string, log zerolog.Logger) (broker.Config, error) {
	cfg := broker.Config{
		TCP: *f.Listen, WS: f.WS, TLS: f.TLS, WSS: f.WSS, CertFile: f.Cert, KeyFile: f.Key, ClientCA: f.ClientCA,
		Origins: f.Origins, Open: f.Open, DataDir: f.DataDir, MaxPacket: f.MaxPacket, Limits: f.Limits, Log: log,
	}
	if f.Open {
		return cfg, nil
	}
	ns, err := topics.Configured(f.Namespace, f.Bulk...)
	if err != nil {
		return cfg, err
	}
	users, err := broker.ParseUsers(f.Users)
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", from, err)
	}
	cfg.Namespace, cfg.Users = ns, users
	return cfg, nil
}

func (c *brokerCmd) Run(ctx context.Context, logs *logFlags) error {
	log := logs.logger()
	f, err := c.file()
	if err != nil {
		return usageError{err}
	}
	cfg, err := f.config(cmp.Or(c.Users, c.Config), log)
	if err != nil {
		return usageError{err}
	}
	b, err := broker.New(cfg)
	if err != nil {
		return usageError{err}
	}
	if c.Check {
		fmt.Fprintf(stdout, "%s: ok, %d users\n", cmp.Or(c.Config, c.Users, "--open"), len(cfg.Users))
		return tellLimits(stdout, b.Limits(), cfg.Open)
	}
	broker.TuneRuntime()
	if err := b.Listen(); err != nil {
		return err
	}
	for _, addr := range []string{cfg.TCP, cfg.WS, cfg.TLS, cfg.WSS} {
		if cfg.Open && addr != "" && !loopback(addr) {
			log.Warn().Str("address", addr).Msg("open to everybody who can reach this address: anybody can read and forge models")
		}
	}
	return withHTTP(ctx, f.HTTP, log, metrics.Broker(b), b.Run)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

type hashPasswordCmd struct{}

func (hashPasswordCmd) Help() string {
	return `Reads a password from the first line of standard input:

  fedmq hash-password < berlin.pw`
}

func (hashPasswordCmd) Run() error {
	lines := bufio.NewScanner(os.Stdin)
	if !lines.Scan() || lines.Text() == "" {
		return usageError{errors.New("no password on standard input")}
	}
	hash, err := broker.HashPassword(lines.Text())
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, hash)
	return nil
}
