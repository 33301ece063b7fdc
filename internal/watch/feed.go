package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
)

// How often the driver looks.
const (
	tickEvery = 250 * time.Millisecond
	askEvery  = 2 * time.Second  // for members that nothing was heard of
	askAgain  = 60 * time.Second // for the owner's topics: a live message can be lost, a subscription asks again
)

// Feed drives a Federation with a connection.
type Feed struct {
	fed     *Federation
	conn    *link.Conn
	changed func() // after each tick

	mu      sync.Mutex
	waiting map[string]chan string // commands by id
	asked   map[string]time.Time   // exact subscriptions made once
}

// NewFeed subscribes to all that is watched. changed is called at most every
// 250 ms, from Run's goroutine; it must not wait.
func NewFeed(fed *Federation, conn *link.Conn, changed func()) *Feed {
	subscribe(conn, Filters(fed.cfg.Namespace, fed.cfg.Owner, fed.cfg.Members, fed.cfg.Consumers))
	standing, _ := fed.Exact()
	subscribe(conn, standing)
	return &Feed{fed: fed, conn: conn, changed: changed, waiting: map[string]chan string{}, asked: map[string]time.Time{}}
}

func subscribe(conn *link.Conn, filters []string) {
	for _, f := range filters {
		conn.Subscribe(link.Filter{Topic: f, QoS: 1})
	}
}

// Run reads the connection, which the caller runs, until ctx ends.
func (d *Feed) Run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	standing := map[string]bool{}
	var asked, again time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-d.conn.States():
			reason := ""
			if s.Err != nil {
				reason = strings.TrimPrefix(s.Err.Error(), "link: ") // it is about the link
			}
			d.fed.Link(s.Up, reason, time.Now().UnixMilli())
		case m := <-d.conn.Messages():
			_ = d.fed.Apply(Message{Topic: m.Topic, Payload: m.Payload, Live: !m.Retained}, time.Now().UnixMilli()) // counted there
			d.answer(m)
		case now := <-tick.C:
			d.fed.Tick(now.UnixMilli())
			if now.Sub(asked) >= askEvery {
				asked = now
				d.ask(standing, now)
			}
			if now.Sub(again) >= askAgain {
				again = now
				d.conn.Resubscribe(slices.Collect(maps.Keys(standing))...)
			}
			d.changed()
		}
	}
}

// ask subscribes to what a wildcard may not deliver: standing topics once,
// those of members until they are heard, and again after a minute.
func (d *Feed) ask(standing map[string]bool, now time.Time) {
	want, once := d.fed.Exact()
	for _, f := range want {
		if !standing[f] {
			standing[f] = true
			d.conn.Subscribe(link.Filter{Topic: f, QoS: 1})
		}
	}
	wanted := map[string]bool{}
	for _, f := range once {
		wanted[f] = true
		if at, ok := d.asked[f]; !ok || now.Sub(at) >= askAgain {
			d.asked[f] = now
			d.conn.Subscribe(link.Filter{Topic: f, QoS: 1})
		}
	}
	for f := range d.asked {
		if !wanted[f] {
			delete(d.asked, f)
			d.conn.Unsubscribe(f)
		}
	}
}

// ErrRefused is a command that the aggregator has refused.
var ErrRefused = errors.New("refused by the aggregator")

// Command publishes a command and waits for the aggregator's event of it. The
// answer is that event's text; an error says that it was refused (ErrRefused),
// not sent, or not answered before ctx ends.
func (d *Feed) Command(ctx context.Context, o topics.Owner, id string, payload []byte) (string, error) {
	ch := make(chan string, 1)
	d.mu.Lock()
	d.waiting[id] = ch
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.waiting, id)
		d.mu.Unlock()
	}()
	if err := d.conn.Publish(ctx, link.Message{Topic: o.Command(), Payload: payload, QoS: 1}); err != nil {
		return "", err
	}
	select {
	case answer := <-ch:
		if strings.Contains(answer, "refused") {
			return "", fmt.Errorf("%w: %s", ErrRefused, answer)
		}
		return answer, nil
	case <-ctx.Done():
		return "", fmt.Errorf("the command was sent; no answer from the aggregator: %w", ctx.Err())
	}
}

// answer hands the event of a command to who waits for it. A command that could
// not be read is refused without an id: everybody who waits hears of it.
func (d *Feed) answer(m link.Message) {
	if !strings.HasSuffix(m.Topic, "/event") {
		return
	}
	var e eventJSON
	if read(m.Payload, &e, &e.Schema, view.EventSchema) != nil || e.Event.Event != "command" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, ch := range d.waiting {
		if e.Member == id || e.Member == "" {
			select {
			case ch <- clip(e.Detail, maxText):
			default:
			}
		}
	}
}
