package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
)

// upBroker is the broker of a folder: the embedded one, or somebody else's.
type upBroker struct {
	url, what string
	own       bool
	moved     bool // to another port than the configurations say
	stop      func() error
}

// broker starts the embedded broker where the configurations say, or on a free
// port; one that is on another machine is used as it is.
func (u *up) broker(ctx context.Context) (*upBroker, error) {
	addr, here := localAddr(string(u.agg.Connection.Broker))
	if !here {
		b := string(u.agg.Connection.Broker)
		return &upBroker{url: b, what: "the broker at " + link.Shown(b), stop: func() error { return nil }}, nil
	}
	at, moved, stop, err := u.limits.embedded(ctx, addr, u.brokerDir(), u.log)
	if err != nil {
		return nil, err
	}
	what := "an embedded broker at " + at
	if moved {
		what = addr + " is taken, so " + what
	}
	return &upBroker{url: at, what: what, own: true, moved: moved, stop: stop}, nil
}

// logins warns of names and passwords that the folder's own broker does not look at.
func (u *up) logins() (out []string) {
	if _, here := localAddr(string(u.agg.Connection.Broker)); !here {
		return nil
	}
	say := func(path string, c connection) {
		what := "username"
		switch {
		case c.Username == "":
			return
		case c.PasswordFile != "":
			what = "username and password_file"
		}
		out = append(out, fmt.Sprintf("%s: %s: no effect in `fedmq up`, whose embedded broker is open and asks nobody who it is; "+
			"`fedmq broker --users` checks them, with `fedmq aggregator` and `fedmq site`", path, what))
	}
	say(filepath.Join(u.dir, aggregatorName), u.agg.Connection)
	for i, f := range u.sites {
		say(u.names[i], f.Connection)
	}
	return out
}

// localAddr returns the address of a plain broker on this machine.
func localAddr(broker string) (addr string, ok bool) {
	b, err := url.Parse(broker)
	if err != nil || b.Scheme != "tcp" && b.Scheme != "mqtt" {
		return "", false
	}
	host, port := b.Hostname(), cmp.Or(b.Port(), "1883")
	ip := net.ParseIP(host)
	return net.JoinHostPort(host, port), host == "localhost" || ip != nil && ip.IsLoopback()
}

// hearWait is how long sites wait for the aggregator before they begin anyway.
const hearWait = 5 * time.Second

// watch returns what waits until the aggregator says that it is there. With
// somebody else's broker nothing waits.
func (b *upBroker) watch(ctx context.Context, cfg aggregator.Config) (hears func(context.Context), err error) {
	if !b.own {
		return func(context.Context) {}, nil
	}
	ns, err := topics.New(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	owner, err := ns.Owner(cfg.Owner, cfg.Tasks[0].Name)
	if err != nil {
		return nil, err
	}
	cl, err := clientFlags{Broker: b.url}.connect(ctx, cfg.Log, "up", link.Filter{Topic: owner.State(), QoS: 1})
	if err != nil {
		return nil, err
	}
	began := time.Now().UnixMilli()
	var once sync.Once
	return func(ctx context.Context) {
		once.Do(func() { // the others wait for it
			_, _ = cl.next(ctx, hearWait, func(m link.Message) bool {
				s, ok := stateOf(m.Payload)
				return ok && s.Online && s.TimestampMS >= began
			})
			_ = cl.stop() // it has only listened
		})
	}, nil
}
