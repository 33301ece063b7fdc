// Package consumer is a node that uses what a task releases, such as a gateway that scores:
// it takes each version that is meant for it, and says on the broker which one it runs, or
// why it cannot (docs/spec/consumer.md).
//
// Start with [Run]. It trains nothing, and publishes its own presence and status alone.
package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"time"

	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Config says who the consumer is and what it does with a version.
type Config struct {
	Link    link.Config // how the broker is reached; client id, Will and size of packets are made here
	NS      topics.Namespace
	Owner   topics.Owner // of the task
	Task    string
	Path    string // of its node
	Opener  *wire.Opener
	Largest uint64 // bytes of a model
	Agent   string // name and version of the program

	// Has gives version and content that run, and since when, once the node is this process's;
	// no header: none, or it is not known. Nil: the same.
	Has func() (*wire.Header, time.Time, error)
	// Take puts a version to use. Where it fails, the version that runs has to be as before;
	// it is tried again. The next one waits for its end; ctx ends when the consumer does.
	Take func(ctx context.Context, m *follow.Model) error
	// Complain is told what was refused, and what failed.
	Complain func(error)
	Progress func(version uint64, have, count int) // of what is fetched in parts; nil: nobody looks
}

// Times of a consumer.
const (
	beat       = 30 * time.Second // between two statuses without news, +-20 %
	askAgain   = time.Minute
	retryFirst = 10 * time.Second
	retryMost  = 10 * time.Minute
)

// consumer is the driver; one goroutine owns it.
type consumer struct {
	cfg      Config
	conn     *link.Conn
	follower *follow.Follower
	own      topics.Member
	node     node
	security string

	settled bool
	runs    *follow.Model // nil: none yet; its tensors are let go of
	since   time.Time
	next    *follow.Model // to be taken
	last    *follow.Model // that failed, or is being taken
	busy    bool
	tries   *view.Attempt // while busy
	failed  *view.Failure
	retryAt time.Time
	taken   chan error
}

// Run is the consumer's life: until ctx ends, which is no error, or the node turns out to be
// another's.
func Run(ctx context.Context, cfg Config) error {
	own, err := cfg.NS.Member(cfg.Path, cfg.Task)
	if err != nil {
		return err
	}
	if own.State() == cfg.Owner.State() {
		return fmt.Errorf("%w: %s is the aggregator's; want a path of its own", ErrNode, own.Node())
	}
	c := &consumer{cfg: cfg, own: own, node: newNode(), taken: make(chan error, 1), security: "unsigned"}
	if cfg.Opener.Keys != nil {
		c.security = "signed"
	}
	cfg.Link.ClientID = link.UniqueID(cmp.Or(cfg.Link.Username, "fedmq"), role) // who is there already keeps its connection
	will := c.state(false)
	cfg.Link.Will, cfg.Link.MaxPacket = &will, wire.MaxPart+64<<10
	if c.conn, err = link.New(cfg.Link); err != nil {
		return err
	}
	released := cfg.Owner.Released()
	c.conn.Subscribe(link.Filter{Topic: own.State(), QoS: 1}, link.Filter{Topic: cfg.Owner.Canary().Model(), QoS: 1}, link.Filter{Topic: released.Model(), QoS: 1})
	c.follower = follow.New(follow.At{Conn: c.conn, NS: cfg.NS, Owner: released}, cfg.Opener, cfg.Largest).For(cfg.Path)
	c.follower.Progress = cfg.Progress
	c.follower.Up(false)
	return c.run(ctx)
}

// run has the link for as long as it lives, and says goodbye over it.
func (c *consumer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linkCtx, closeLink := context.WithCancel(context.WithoutCancel(ctx))
	defer closeLink()
	linkDone := make(chan error, 1)
	go func() { linkDone <- c.conn.Run(linkCtx) }()
	err, ended := c.loop(ctx, linkDone)
	cancel()
	if c.busy {
		<-c.taken
	}
	if ended {
		return err
	}
	if (c.settled || c.node.claimed) && !errors.Is(err, ErrNode) {
		c.conn.Post(c.state(false))
	}
	closeLink()
	return errors.Join(err, <-linkDone)
}

// loop reports what ended it, and whether the link has ended by itself.
func (c *consumer) loop(ctx context.Context, linkDone <-chan error) (err error, ended bool) { //nolint:revive // the error is the news
	again, beats := time.NewTicker(askAgain), time.NewTimer(time.Hour)
	defer again.Stop()
	defer beats.Stop()
	var follows <-chan time.Time
	for {
		if c.settled {
			c.work(ctx)
		}
		follows = after(c.follower.Wake())
		select {
		case <-ctx.Done():
			return nil, false
		case err := <-linkDone:
			return err, true
		case s := <-c.conn.States():
			c.follower.Up(s.Up)
			switch {
			case s.Up && s.Err != nil && !c.settled: // a denied subscription
				return fmt.Errorf("%w; fedmq doctor --consumer %s says which lines of the broker's access list are missing", s.Err, c.cfg.Path), false
			case s.Up && !c.settled:
				c.node.settle = time.After(settles)
			case s.Up:
				c.say()
			}
			if s.Up && s.Err != nil {
				c.cfg.Complain(s.Err)
			}
		case m := <-c.conn.Messages():
			if err := c.message(m); err != nil {
				return err, false
			}
		case <-c.node.settle:
			if err := c.settle(); err != nil {
				return err, false
			}
			beats.Reset(spread(beat))
		case <-beats.C:
			if c.settled {
				c.say()
			}
			beats.Reset(spread(beat))
		case <-again.C:
			c.follower.Ask()
		case <-follows:
			c.follower.Tick()
		case <-after(c.untilRetry()):
		case err := <-c.taken:
			c.took(ctx, err)
		}
	}
}

// message takes one in; an error ends the consumer.
func (c *consumer) message(m link.Message) error {
	if m.Topic == c.own.State() {
		return c.neighbour(m.Payload)
	}
	if _, err := c.follower.Message(m); err != nil {
		c.cfg.Complain(err)
	}
	return nil
}

// work takes up what is whole, or failed long enough ago.
func (c *consumer) work(ctx context.Context) {
	got, err := c.follower.Owed()
	if err != nil {
		c.cfg.Complain(err)
	}
	if got != nil {
		c.next = got
	}
	if c.busy {
		return
	}
	if c.last != nil && !c.follower.Obeys(c.last) { // another counts now, or none
		c.last, c.failed = nil, nil
		c.say()
	}
	if c.next != nil && !c.follower.Obeys(c.next) {
		c.next = nil
	}
	if c.next == nil && c.last != nil && !time.Now().Before(c.retryAt) {
		c.next = c.last
	}
	if c.next == nil {
		return
	}
	m := c.next
	if r := c.runs; r != nil && r.Header.Round == m.Header.Round && r.Header.Base == m.Header.Base { // it has it: from another topic, or again
		c.next, c.last, c.failed = nil, nil, nil
		c.runs = &follow.Model{Header: m.Header}
		c.say()
		return
	}
	c.next, c.last, c.busy = nil, m, true
	c.tries = &view.Attempt{Version: m.Header.Round, From: m.Header.Kind, SinceMS: time.Now().UnixMilli()}
	c.say()
	go func() { c.taken <- c.cfg.Take(ctx, m) }()
}

// took takes in what came of a version.
func (c *consumer) took(ctx context.Context, err error) {
	m := c.last
	c.busy, c.tries = false, nil
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		c.runs, c.since, c.last, c.failed = &follow.Model{Header: m.Header}, time.Now(), nil, nil
	default:
		times := 1
		if f := c.failed; f != nil && f.Version == m.Header.Round && f.BeganMS == int64(m.BeganMS) {
			times = f.Times + 1
		}
		wait := min(retryFirst<<min(times-1, 10), retryMost)
		c.failed = &view.Failure{Version: m.Header.Round, From: m.Header.Kind, BeganMS: int64(m.BeganMS), Why: view.Line(err.Error(), maxText), TimestampMS: time.Now().UnixMilli(), Times: times}
		c.retryAt = time.Now().Add(wait)
		c.cfg.Complain(fmt.Errorf("version %d: %w; again in %s", m.Header.Round, err, wait))
	}
	c.say()
}

// untilRetry is the time until what failed is tried again; 0 for never.
func (c *consumer) untilRetry() time.Duration {
	if c.busy || c.last == nil {
		return 0
	}
	return max(time.Until(c.retryAt), time.Millisecond)
}

func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}

// spread draws +-20 %, so that many do not speak at once.
func spread(d time.Duration) time.Duration { return d - d/5 + mrand.N(2*d/5) }
