package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
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

// Proof is how a party tells that the addresses of a broker are one cluster.
type Proof struct {
	Said  string                     // a topic that it writes, and reads if it may
	Seen  string                     // where the aggregator's presence is retained
	Known func(presence []byte) bool // it is of whom the party has heard at another address
}

// Prove proves, before Run, that the broker takes the party's names (C-22), else the
// error wraps ErrNames; and that the addresses of the broker are one cluster: what is
// said at the first that answers is heard at each other one; where the party may not
// read what it writes, the presence must be the same at both. What does not answer, or
// does not tell, is proven by the presence when it is first to be used, and not used
// before (C-21): proven is false then. It returns ErrCluster for what is not one.
func (c *Conn) Prove(ctx context.Context, p Proof) (proven bool, err error) {
	c.proof = p
	if err := c.checkNames(ctx); err != nil {
		return false, err
	}
	if c.cfg.Dial != nil || len(c.addrs) < 2 {
		return true, nil
	}
	c.trusted = make([]bool, len(c.addrs))
	var first *Probe
	at := 0
	defer func() {
		if first != nil {
			first.Close()
		}
	}()
	for i := range c.addrs {
		probe, err := c.probe(ctx, i)
		switch {
		case err != nil:
			continue
		case first == nil:
			first, at, c.trusted[i] = probe, i, true
			continue
		}
		told, same := echo(ctx, first, probe, p.Said, p.Seen)
		probe.Close()
		if told && !same {
			return false, fmt.Errorf("%w: what is said at %s is not heard at %s; list the addresses of one cluster only", ErrCluster, c.addrs[at].shown(), c.addrs[i].shown())
		}
		c.trusted[i] = told
	}
	return !slices.Contains(c.trusted, false), ctx.Err()
}

// probe connects to one of the addresses.
func (c *Conn) probe(ctx context.Context, i int) (*Probe, error) {
	one := c.cfg
	one.Broker, one.ClientID, one.Will = c.addrs[i].url.String(), fmt.Sprintf("%s-echo-%d", c.cfg.ClientID, i), nil
	ctx, cancel := context.WithTimeout(ctx, echoWait)
	defer cancel()
	return OpenProbe(ctx, one, false)
}

// openProven opens a session at the current address, if it is proven or nothing is that
// it could differ from.
func (c *Conn) openProven(ctx context.Context) (*session, error) {
	if err := c.checkNames(ctx); err != nil {
		c.reached = false // it needs not be asked why
		return nil, err
	}
	i := int(c.at.Load())
	if slices.Contains(c.trusted, true) && !c.trusted[i] {
		c.reached = false
		if err := c.proveLate(ctx, i); err != nil {
			return nil, err
		}
		c.trusted[i] = true
	}
	s, err := c.open(ctx)
	if err == nil && c.trusted != nil {
		c.trusted[i] = true
	}
	return s, err
}

// proveLate compares the presence at an address that was not proven at the start.
func (c *Conn) proveLate(ctx context.Context, i int) error {
	p, err := c.probe(ctx, i)
	if err != nil {
		return err
	}
	defer p.Close()
	short, cancel := context.WithTimeout(ctx, echoWait)
	defer cancel()
	if _, err := p.Subscribe(short, Filter{Topic: c.proof.Seen, QoS: 1}); err != nil {
		return err
	}
	if seen := listenFor(short, p, "", c.proof.Seen, "").seen; seen != "" && c.proof.Known([]byte(seen)) {
		return nil
	}
	return fmt.Errorf("%w, as far as can be told: %s was not proven at the start, and %s does not show there whom this party has heard at the others; it is not used. Start anew when all answer, or list the addresses of one cluster only",
		ErrCluster, c.addrs[i].shown(), c.proof.Seen)
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
		m, err := p.ReceiveWithin(ctx, quiet)
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
