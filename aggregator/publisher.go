package aggregator

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

// publication is what one order needs on the broker: the parts of a model that
// is new there, the model's message, the record's head, then the order itself
// (the commit point for sites).
type publication struct {
	task   *task
	number uint64 // of the task's publications
	order  round.Order
	shelf  *shelf // nil: the model is inline
	parts  []int  // of the shelf, to go first
	msgs   []link.Message
	ok     bool // outcome: all of it has its PUBACK
}

// pubackWithin bounds the wait for one PUBACK: some broker may never send it
// and keep the link. A part must cross in less (C-3).
const pubackWithin = 30 * time.Second

// publisher sends publications and waits for their PUBACKs, so that the driver
// never waits for the network. Of a task only the newest publication is kept:
// an older one has been outdated. Parts give way to whole orders, and what is
// only put on the broker once more gives way to everything.
type publisher struct {
	conn *link.Conn
	log  zerolog.Logger
	done chan *publication // with its outcome

	mu    sync.Mutex
	lanes []*lane // one a task; served in turns
	wake  chan struct{}
}

func newPublisher(conn *link.Conn, log zerolog.Logger) *publisher {
	return &publisher{conn: conn, log: log, done: make(chan *publication), wake: make(chan struct{}, 1)}
}

// put queues p in place of what the task had waiting or under way. It never
// blocks.
func (p *publisher) put(pub *publication) {
	p.change(pub.task, func(l *lane) {
		if l.shelf != pub.shelf {
			l.shelf, l.fill = pub.shelf, nil
		}
		l.pub = pub
	})
}

// fill queues parts that are published once more when there is nothing better
// to do.
func (p *publisher) fill(t *task, s *shelf, parts []int) {
	p.change(t, func(l *lane) {
		if l.shelf != s {
			l.shelf, l.fill = s, nil
		}
		l.fill = union(l.fill, parts)
	})
}

// clear queues retained topics to clear; task.cleared tells when the broker
// has confirmed it for all.
func (p *publisher) clear(t *task, topics []string) {
	p.change(t, func(l *lane) { l.clear, l.queued, l.cleared = topics, len(topics), 0 })
}

func (p *publisher) change(t *task, f func(*lane)) {
	p.mu.Lock()
	f(p.lane(t))
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// lane returns the task's; p.mu is held.
func (p *publisher) lane(t *task) *lane {
	for _, l := range p.lanes {
		if l.task == t {
			return l
		}
	}
	p.lanes = append(p.lanes, &lane{task: t})
	return p.lanes[len(p.lanes)-1]
}

func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		l, c, pub := p.take()
		switch c {
		case nothing:
			select {
			case <-ctx.Done():
			case <-p.wake:
			}
		case message:
			p.finish(ctx, l, pub, p.send(ctx, pub))
		default:
			if !p.turn(ctx, l, c, pub) {
				p.failed(ctx, l, c, pub)
			}
		}
	}
}

// send publishes the messages of a publication whose parts are there.
func (p *publisher) send(ctx context.Context, pub *publication) bool {
	for _, m := range pub.msgs {
		if err := p.publish(ctx, m); err != nil {
			p.complain(ctx, err, m.Topic)
			return false
		}
	}
	return true
}

// finish hands the outcome of a publication to the driver, unless it was
// replaced meanwhile.
func (p *publisher) finish(ctx context.Context, l *lane, pub *publication, ok bool) {
	p.mu.Lock()
	current := l.pub == pub
	if current {
		l.pub = nil
	}
	p.mu.Unlock()
	if !current {
		return
	}
	pub.ok = ok
	select {
	case <-ctx.Done():
	case p.done <- pub:
	}
}

// failed gives up what a part of it could not be published of: the driver
// tries an order again, and everything at the next connect.
func (p *publisher) failed(ctx context.Context, l *lane, c class, pub *publication) {
	if c == parts {
		p.finish(ctx, l, pub, false)
		return
	}
	p.mu.Lock()
	l.fill, l.clear = nil, nil
	p.mu.Unlock()
}

// partsInFlight is how many parts wait for their PUBACKs at once.
const partsInFlight = 8

// turn publishes parts, or clears topics, while nothing better is to be done,
// several at a time, and waits for all their PUBACKs. Their payloads are made
// one by one, as they leave.
func (p *publisher) turn(ctx context.Context, l *lane, c class, pub *publication) bool {
	var bad atomic.Bool
	var wg sync.WaitGroup
	left := turnLength
	for range partsInFlight {
		wg.Go(func() {
			for !bad.Load() {
				one, more := p.next(l, c, pub, &left)
				if !more {
					return
				}
				if !p.one(ctx, l, c, one) {
					bad.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return !bad.Load()
}

// one publishes one part, or clears one topic.
func (p *publisher) one(ctx context.Context, l *lane, c class, one item) bool {
	m := link.Message{Topic: one.topic, QoS: 1, Retained: true}
	if c != clearing {
		var ok bool
		if m, ok = one.shelf.part(one.part); !ok {
			return false // outdated
		}
	}
	if err := p.publish(ctx, m); err != nil {
		p.complain(ctx, err, m.Topic)
		return false
	}
	l.task.partsDown.Add(int64(len(m.Payload)))
	if c != clearing {
		one.shelf.took(one.part)
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.cleared++; l.cleared == one.of {
		l.task.cleared.Store(true)
	}
	return true
}

func (p *publisher) complain(ctx context.Context, err error, topic string) {
	if ctx.Err() == nil {
		p.log.Warn().Err(err).Str("topic", topic).Msg("not published")
	}
}

func (p *publisher) publish(ctx context.Context, m link.Message) error {
	ctx, cancel := context.WithTimeout(ctx, pubackWithin)
	defer cancel()
	return p.conn.Publish(ctx, m)
}
