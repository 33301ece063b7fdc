package aggregator

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

// publication is what one order needs on the broker: the model first, then the
// record's head, then the order itself (the commit point for sites).
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
	wake    chan struct{}
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
	select {
	case p.wake <- struct{}{}:
	default:
	}
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

func (p *publisher) run(ctx context.Context) {
	for {
		pub, ok := p.take()
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
		if err := p.publish(ctx, m); err != nil {
			if ctx.Err() == nil {
				p.log.Warn().Err(err).Str("topic", m.Topic).Msg("not published")
			}
			return false
		}
	}
	return true
}

func (p *publisher) publish(ctx context.Context, m link.Message) error {
	ctx, cancel := context.WithTimeout(ctx, pubackWithin)
	defer cancel()
	return p.conn.Publish(ctx, m)
}
