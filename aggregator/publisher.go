package aggregator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

// publication is what one order needs on the broker: the model first, or its
// manifest when the parts are there, then the record's head, then the order
// itself (the commit point for sites).
type publication struct {
	task   *task
	number uint64 // of the task's publications
	order  round.Order
	msgs   []link.Message
	ok     bool // outcome: all of it has its PUBACK
}

// pubackWithin bounds the wait for one PUBACK: some broker may never send it
// and keep the link. A part must cross in less (C-3).
const pubackWithin = 30 * time.Second

// publisher sends publications and waits for their PUBACKs, so that the driver
// never waits for the network. Of a task only the newest publication is kept:
// an older one has been outdated.
type publisher struct {
	conn *link.Conn
	log  zerolog.Logger
	done chan publication // with its outcome

	mu      sync.Mutex
	pending []publication // one a task at most
	stale   []clearing    // likewise, behind them
	wake    chan struct{}
}

// clearing is the retained topics that a task has to have cleared.
type clearing struct {
	task   *task
	topics []string
}

func newPublisher(conn *link.Conn, log zerolog.Logger) *publisher {
	return &publisher{conn: conn, log: log, done: make(chan publication), wake: make(chan struct{}, 1)}
}

// put queues p in place of what the task had waiting. It never blocks.
func (p *publisher) put(pub publication) {
	p.mu.Lock()
	replaced := false
	for i := range p.pending {
		if p.pending[i].task == pub.task {
			p.pending[i], replaced = pub, true
		}
	}
	if !replaced {
		p.pending = append(p.pending, pub)
	}
	p.mu.Unlock()
	p.ring()
}

func (p *publisher) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// clear queues topics to clear when nothing else is to be sent; task.cleared
// tells when all are.
func (p *publisher) clear(t *task, topics []string) {
	p.mu.Lock()
	p.stale = slices.DeleteFunc(p.stale, func(c clearing) bool { return c.task == t })
	p.stale = append(p.stale, clearing{t, topics})
	p.mu.Unlock()
	p.ring()
}

// clearOne clears the next topic, if there is one. What fails is left to the
// next connect.
func (p *publisher) clearOne(ctx context.Context) bool {
	p.mu.Lock()
	if len(p.stale) == 0 {
		p.mu.Unlock()
		return false
	}
	c := p.stale[0]
	p.stale = p.stale[1:]
	p.mu.Unlock()
	if err := p.publish(ctx, link.Message{Topic: c.topics[0], QoS: 1, Retained: true}); err != nil {
		return true
	}
	if c.topics = c.topics[1:]; len(c.topics) == 0 {
		c.task.cleared.Store(true)
		return true
	}
	p.mu.Lock()
	if !slices.ContainsFunc(p.stale, func(o clearing) bool { return o.task == c.task }) {
		p.stale = append(p.stale, c)
	}
	p.mu.Unlock()
	return true
}

func (p *publisher) take() (publication, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) == 0 {
		return publication{}, false
	}
	pub := p.pending[0]
	p.pending = p.pending[1:]
	return pub, true
}

// outdated reports whether a newer publication of the task waits: what is left of
// the one before would only take the broker's copies back.
func (p *publisher) outdated(t *task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.pending, func(o publication) bool { return o.task == t })
}

func (p *publisher) run(ctx context.Context) {
	for {
		pub, ok := p.take()
		if !ok && p.clearOne(ctx) && ctx.Err() == nil {
			continue
		}
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
			}
			continue
		}
		pub.ok = p.send(ctx, pub)
		select {
		case <-ctx.Done():
			return
		case p.done <- pub:
		}
	}
}

func (p *publisher) send(ctx context.Context, pub publication) bool {
	for _, m := range pub.msgs {
		if p.outdated(pub.task) {
			return false
		}
		if err := p.publish(ctx, m); err != nil {
			if ctx.Err() == nil {
				p.log.Warn().Err(err).Str("topic", m.Topic).Msg("not published")
			}
			return false
		}
		pub.task.passMessage(m.Topic)
	}
	return true
}

func (p *publisher) publish(ctx context.Context, m link.Message) error {
	ctx, cancel := context.WithTimeout(ctx, pubackWithin)
	defer cancel()
	return p.conn.Publish(ctx, m)
}
