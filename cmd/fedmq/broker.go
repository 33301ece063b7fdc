package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/metrics"
	"github.com/fedmq/fedmq/topics"
)

type brokerCmd struct {
	Listen    string   `default:"127.0.0.1:1883" help:"Address for MQTT over TCP; empty for none."`
	WS        string   `name:"ws" placeholder:"ADDR" help:"Address for MQTT over WebSocket."`
	TLS       string   `name:"tls" placeholder:"ADDR" help:"Address for MQTT over TLS."`
	WSS       string   `name:"wss" placeholder:"ADDR" help:"Address for MQTT over secure WebSocket."`
	Cert      string   `type:"existingfile" placeholder:"FILE" help:"Certificate chain of the TLS listeners (PEM)."`
	Key       string   `type:"existingfile" placeholder:"FILE" help:"Private key of the TLS listeners (PEM)."`
	ClientCA  string   `type:"existingfile" placeholder:"FILE" help:"Authority of client certificates (PEM): a certificate is then an identity."`
	Origin    []string `placeholder:"URL" help:"Web origin whose pages may open a WebSocket; may be repeated."`
	Namespace string   `placeholder:"PREFIX" help:"Enterprise prefix of the UNS; the access list follows from it."`
	Users     string   `type:"existingfile" placeholder:"FILE" help:"Users file (YAML)."`
	Open      bool     `help:"No users, no access list: everybody may do everything. For trying."`
	DataDir   string   `placeholder:"DIR" help:"Directory for retained messages; without it they are lost at a restart."`
	httpFlag
	MaxPacket int `default:"1114112" help:"Largest MQTT packet in bytes."`
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

A password_hash is what fedmq hash-password prints. More: docs/howto/broker.md.`
}

type usersFile struct {
	Users []broker.UserSpec `yaml:"users"`
}

func (c *brokerCmd) config(log zerolog.Logger) (broker.Config, error) {
	cfg := broker.Config{
		TCP: c.Listen, WS: c.WS, TLS: c.TLS, WSS: c.WSS, CertFile: c.Cert, KeyFile: c.Key, ClientCA: c.ClientCA,
		Origins: c.Origin, Open: c.Open, DataDir: c.DataDir, MaxPacket: c.MaxPacket, Log: log,
	}
	if c.Listen+c.WS+c.TLS+c.WSS == "" {
		return cfg, errors.New("no address to listen on: want --listen, --tls, --ws or --wss")
	}
	if c.Open {
		return cfg, nil
	}
	if c.Users == "" || c.Namespace == "" {
		return cfg, errors.New("want --users FILE and --namespace NS, or --open to try without an access list")
	}
	ns, err := topics.New(c.Namespace)
	if err != nil {
		return cfg, fmt.Errorf("--namespace: %w", err)
	}
	var f usersFile
	if err := loadYAML(c.Users, &f); err != nil {
		return cfg, err
	}
	for i := range f.Users {
		f.Users[i].PasswordFile = at(filepath.Dir(c.Users), f.Users[i].PasswordFile)
	}
	users, err := broker.ParseUsers(f.Users)
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", c.Users, err)
	}
	cfg.Namespace, cfg.Users = ns, users
	return cfg, nil
}

func (c *brokerCmd) Run(ctx context.Context, logs *logFlags) error {
	log := logs.logger()
	cfg, err := c.config(log)
	if err != nil {
		return usageError{err}
	}
	b, err := broker.New(cfg)
	if err != nil {
		return usageError{err}
	}
	if err := b.Listen(); err != nil {
		return err
	}
	for _, addr := range []string{c.Listen, c.WS, c.TLS, c.WSS} {
		if c.Open && addr != "" && !loopback(addr) {
			log.Warn().Str("address", addr).Msg("open to everybody who can reach this address: anybody can read and forge models")
		}
	}
	return withHTTP(ctx, c.HTTP, log, metrics.Broker(b), b.Run)
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
	fmt.Println(hash)
	return nil
}
