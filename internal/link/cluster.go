package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// maxAddresses bounds the addresses of a cluster.
const maxAddresses = 16

// between matches the comma between two addresses; a URL may have one elsewhere.
var between = regexp.MustCompile(`,\s*([a-z]+://)`)

// Addresses splits what Config.Broker holds.
func Addresses(broker string) []string {
	return strings.Split(between.ReplaceAllString(broker, "\x00$1"), "\x00")
}

// parseBrokers reads one address, or those of one cluster.
func parseBrokers(broker string) (list []address, err error) {
	urls := Addresses(broker)
	if len(urls) > maxAddresses {
		return nil, fmt.Errorf("link: broker: %d addresses, want at most %d", len(urls), maxAddresses)
	}
	for _, s := range urls {
		a, err := parseBroker(s)
		if err != nil {
			return nil, err
		}
		for _, b := range list {
			if a.url.String() == b.url.String() {
				return nil, fmt.Errorf("link: broker: the address %s stands twice", a.shown())
			}
		}
		if len(list) > 0 && a.secure != list[0].secure {
			return nil, errors.New("link: broker: the addresses of one cluster are all with TLS, or none")
		}
		list = append(list, a)
	}
	return list, nil
}

// shown is an address without what may be a secret in it.
func (a address) shown() string {
	if a.url == nil {
		return ""
	}
	return a.url.Scheme + "://" + a.url.Host + a.url.Path
}

// Shown are addresses of a broker without what may be a secret in them, for logs and
// reports. Of what is no address nothing is.
func Shown(broker string) string {
	list, err := parseBrokers(broker)
	if err != nil {
		return "the broker"
	}
	var out []string
	for _, a := range list {
		out = append(out, a.shown())
	}
	return strings.Join(out, ", ")
}

// current is the address in use.
func (c *Conn) current() address {
	if len(c.addrs) == 0 {
		return address{}
	}
	return c.addrs[int(c.at.Load())%len(c.addrs)]
}

// Broker is the address in use, or tried next.
func (c *Conn) Broker() string { return c.current().shown() }

// another turns to the next address after an attempt that failed, and reports
// whether there is one that was not tried since the last connection: then it is
// tried at once, and the back-off goes over the whole list (C-21).
func (c *Conn) another() bool {
	if len(c.addrs) < 2 {
		return false
	}
	c.at.Store((c.at.Load() + 1) % int64(len(c.addrs)))
	c.failed = (c.failed + 1) % len(c.addrs)
	return c.failed != 0
}

// dialFirst opens the byte stream to the first address that answers.
func (c *Conn) dialFirst(ctx context.Context) (net.Conn, error) {
	conn, err := c.dial(ctx)
	for err != nil && ctx.Err() == nil && c.another() {
		conn, err = c.dial(ctx)
	}
	return conn, err
}

// ErrCluster says that the addresses of a broker are not those of one cluster.
var ErrCluster = errors.New("link: not one cluster")

// echoWait is how long a message takes through a cluster, at most.
const echoWait = 5 * time.Second

// OneCluster proves that the addresses of a broker are one cluster: what is said at
// the first that answers is heard at each other one. said is a topic that the party
// writes and reads; where it may not read what it writes, the retained message of
// seen must be the same at both. What cannot be reached is not asked, and where
// neither tells nothing is proven: proven is false then.
func OneCluster(ctx context.Context, cfg Config, said, seen string) (proven bool, err error) {
	urls := Addresses(cfg.Broker)
	if cfg.Dial != nil || len(urls) < 2 {
		return true, nil
	}
	cfg.Will = nil
	var first *Probe
	firstURL, proven := "", true
	defer func() {
		if first != nil {
			first.Close()
		}
	}()
	for i, u := range urls {
		one := cfg
		one.Broker, one.ClientID = u, fmt.Sprintf("%s-echo-%d", cfg.ClientID, i)
		short, cancel := context.WithTimeout(ctx, echoWait)
		p, err := OpenProbe(short, one, false)
		cancel()
		if err != nil {
			proven = false
			continue
		}
		if first == nil {
			first, firstURL = p, u
			continue
		}
		told, same := echo(ctx, first, p, said, seen)
		p.Close()
		if told && !same {
			return false, fmt.Errorf("%w: what is said at %s is not heard at %s; list the addresses of one cluster only", ErrCluster, Shown(firstURL), Shown(u))
		}
		proven = proven && told
	}
	return proven && first != nil, ctx.Err()
}

// echo says something at a, and listens at both. told is false when nothing could be
// heard at all.
func echo(ctx context.Context, a, b *Probe, said, seen string) (told, same bool) {
	ctx, cancel := context.WithTimeout(ctx, echoWait)
	defer cancel()
	for _, p := range []*Probe{a, b} {
		if _, err := p.Subscribe(ctx, Filter{Topic: said, QoS: 1}, Filter{Topic: seen, QoS: 1}); err != nil {
			return false, false
		}
	}
	text := fmt.Sprintf(`{"echo":%d}`, time.Now().UnixNano())
	if _, err := a.Publish(ctx, 1, Message{Topic: said, Payload: []byte(text), QoS: 1}); err != nil {
		return false, false
	}
	at := listenFor(ctx, a, said, seen, text)
	far := listenFor(ctx, b, said, seen, text)
	switch {
	case at.echo:
		return true, far.echo
	case at.seen != "" && far.seen != "":
		return true, at.seen == far.seen
	}
	return false, false
}

// heard is what came at one address.
type heard struct {
	echo bool
	seen string // the newest on the other topic
}

func listenFor(ctx context.Context, p *Probe, said, seen, text string) (h heard) {
	const quiet = time.Second
	for !h.echo {
		short, cancel := context.WithTimeout(ctx, quiet)
		m, err := p.Receive(short)
		cancel()
		switch {
		case err != nil:
			return h
		case m.Topic == said && string(m.Payload) == text:
			h.echo = true
		case m.Topic == seen:
			h.seen = string(m.Payload)
		}
	}
	return h
}
