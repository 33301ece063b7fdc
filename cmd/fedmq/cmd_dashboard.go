package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/fedmq/fedmq/internal/web"
)

type dashboardCmd struct {
	watchFlags
	Listen    string `default:"127.0.0.1:8470" help:"Address of the page; port 0 takes a free one. Who reaches it sees the federation."`
	Token     string `env:"FEDMQ_DASHBOARD_TOKEN" placeholder:"TEXT" help:"What a person types before giving commands, at least 16 characters; without one a new token is made and printed."`
	TokenFile string `type:"existingfile" placeholder:"FILE" help:"File whose first line is the token."`
	SignKey   string `type:"existingfile" placeholder:"FILE" help:"Operator's private key (Ed25519, PEM), for commands to a signed task."`
}

func (dashboardCmd) Help() string {
	return `A page with rounds, sites, metrics and records, live, of any federation whose broker it
may read: it is an MQTT client of the JSON topics, and wants nothing of the aggregator.
Commands (start, pause, resume, stop) want the token, and an MQTT account that may publish them.

  fedmq dashboard -c aggregator.yaml
  fedmq dashboard -b tls://broker.plant.example:8883 -u scada --password-file scada.pw -n acme`
}

func (c *dashboardCmd) Run(ctx context.Context, logs *logFlags) error {
	token, own, err := c.token()
	if err != nil {
		return usageError{err}
	}
	log := logs.logger()
	var server *web.Server
	w, err := c.open(log, "dashboard", func() { server.Changed() })
	if err != nil {
		return err
	}
	server, err = web.New(web.Config{
		Federation: w.fed, Token: token, Addr: c.Listen, Log: log,
		Command: func(ctx context.Context, task, op string) (string, error) { return w.command(ctx, task, op, c.SignKey) },
	})
	if err != nil {
		return usageError{err}
	}
	url, err := server.Listen()
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, url)
	if own {
		fmt.Fprintln(stdout, "token for commands:", token)
	}
	return w.run(ctx, server.Run)
}

// token returns the token, and whether it was made here.
func (c *dashboardCmd) token() (token string, own bool, err error) {
	switch {
	case c.Token != "" && c.TokenFile != "":
		return "", false, fmt.Errorf("want --token (or FEDMQ_DASHBOARD_TOKEN) or --token-file, not both")
	case c.Token != "":
		return c.Token, false, nil
	case c.TokenFile != "":
		token, err = firstLine(c.TokenFile)
		return token, false, err
	}
	return rand.Text(), true, nil
}
