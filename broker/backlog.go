package broker

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// The library sends all that is retained below a filter at once, and drops what does
// not fit into what waits for a client, or is in flight to it (M16). Here topics wait,
// not messages, and the client's queue asks for the next one when it has room: what is
// retained then is sent. A message that is published on a topic which waits lets it
// go first, so that no older one comes after a newer one.

// backlog is what a client has subscribed to and is still to get of what is retained.
type backlog struct {
	mu    sync.Mutex // held from a subscription to the end of its list, and while one is sent
	order []string
	of    map[string]*wanted // by topic; nil for one that has gone before its turn
}

// wanted says why topics wait; those that wait for the same filters share it.
type wanted struct{ filters []string }

// list adds the topics that the filter matches.
func (l *backlog) list(k *retention, filter string) {
	why, both := &wanted{[]string{filter}}, map[*wanted]*wanted(nil)
	k.each(filter, func(topic string) {
		old, waits := l.of[topic]
		if !waits {
			l.order = append(l.order, topic)
		}
		switch {
		case l.of == nil:
			l.of = map[string]*wanted{topic: why}
		case old == nil:
			l.of[topic] = why
		case !slices.Contains(old.filters, filter):
			if both == nil {
				both = map[*wanted]*wanted{}
			}
			if both[old] == nil {
				both[old] = &wanted{append(slices.Clip(old.filters), filter)}
			}
			l.of[topic] = both[old]
		}
	})
}

// tidy forgets what has gone, or is retained no more, where that is most of it: a
// client that reads slowly may subscribe to new topics all the time.
func (l *backlog) tidy(most int, there func(topic string) bool) {
	if len(l.order) <= 2*most+retainedAtOnce {
		return
	}
	l.order = slices.DeleteFunc(l.order, func(topic string) bool {
		waits := l.of[topic] != nil && there(topic)
		if !waits {
			delete(l.of, topic)
		}
		return !waits
	})
}

// clear ends it.
func (l *backlog) clear() {
	l.mu.Lock()
	l.order, l.of = nil, nil
	l.mu.Unlock()
}

// nextRetained sends the client the next message of its backlog: errDropped when it
// does not fit now, io.EOF when nothing is left.
func (h *hook) nextRetained(cl *mqtt.Client, l *backlog) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) == 0 || cl.Closed() {
		l.order, l.of = nil, nil
		return io.EOF
	}
	topic := l.order[0]
	if why := l.of[topic]; why != nil {
		if err := h.sendRetained(cl, topic, why.filters); errors.Is(err, errDropped) {
			return errDropped
		}
	}
	l.order[0], l.order = "", l.order[1:]
	delete(l.of, topic)
	return nil
}

// sendBefore sends what is retained on a topic that waits, before a message that is on
// its way to the client. What does not fit waits on.
func (h *hook) sendBefore(cl *mqtt.Client, l *backlog, topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	why := l.of[topic]
	if why == nil || cl.Closed() || cl.State.Inflight.Len() >= maxInflight {
		return
	}
	if err := h.sendRetained(cl, topic, why.filters); !errors.Is(err, errDropped) {
		l.of[topic] = nil
	}
}

// sendRetained sends what is retained on a topic now, if the client may have it and
// has any of the filters still, as the library would.
func (h *hook) sendRetained(cl *mqtt.Client, topic string, filters []string) error {
	pk, there := h.server.Topics.Retained.Get(topic)
	if !there || h.mayNot(cl, topic, false) != 0 {
		return nil
	}
	wanted, qos, ids := false, byte(0), []int(nil)
	for _, f := range filters {
		sub, ok := cl.State.Subscriptions.Get(f)
		if !ok {
			continue
		}
		wanted, qos = true, max(qos, sub.Qos)
		if sub.Identifier > 0 && !slices.Contains(ids, sub.Identifier) {
			ids = append(ids, sub.Identifier)
		}
	}
	if !wanted {
		return nil
	}
	out := pk.Copy(false)
	out.Properties.SubscriptionIdentifier = ids
	if out.FixedHeader.Qos = min(out.FixedHeader.Qos, qos); out.FixedHeader.Qos > 0 {
		id, err := cl.NextPacketID()
		if err != nil {
			return errDropped
		}
		out.PacketID = uint16(id)
		if cl.State.Inflight.Set(out) {
			atomic.AddInt64(&h.server.Info.Inflight, 1)
		}
	}
	return cl.WritePacket(out)
}

const (
	retainedAtOnce = 64                 // of them wait in a queue, where messages wait behind them
	retainedFlight = maxInflight/2 - 64 // messages under way, beside which more of them go out
)

// resume lets what is retained come, behind the answer to a SUBSCRIBE.
func (q *queue) resume() {
	q.mu.Lock()
	q.more = q.next != nil
	q.changed.Broadcast()
	q.mu.Unlock()
}

// refill asks for what is retained while there is room.
func (q *queue) refill() {
	for q.more && q.room() {
		q.more = false
		q.mu.Unlock()
		err := q.next()
		q.mu.Lock()
		q.stuck = errors.Is(err, errDropped)
		q.more = q.more || !errors.Is(err, io.EOF)
	}
}

// room tells whether there is some for what is retained: half is left to what is
// published meanwhile. One that did not fit comes when nothing else is held.
func (q *queue) room() bool {
	switch {
	case q.ending:
		return false
	case q.stuck:
		return q.held == 0
	}
	return len(q.messages) < retainedAtOnce && len(q.flight) < min(q.window, retainedFlight) && q.held < max(1, min(q.limit, ownQueue)/2)
}
