package sim

import (
	"cmp"
	"slices"
)

// broker routes and retains.
type broker struct {
	w        *World
	down     bool
	clients  []*client
	retained map[topic]message
	history  map[topic][]message // what small topics of the owner once held
}

const historyMost = 6

func (b *broker) forget(c *client) {
	b.clients = slices.DeleteFunc(b.clients, func(o *client) bool { return o == c })
}

// take routes a message that has arrived.
func (b *broker) take(m message) {
	w := b.w
	if m.retained {
		b.retained[m.topic] = m
		if m.topic.kind <= onRecord {
			h := slices.Concat(b.history[m.topic], []message{m})
			b.history[m.topic] = h[max(0, len(h)-historyMost):]
		}
	}
	if w.chance(w.noise.Swallow) {
		w.check.undelivered(m)
		return
	}
	b.route(m)
}

func (b *broker) route(m message) {
	for _, c := range b.clients {
		if c.wants(m.topic) {
			c.deliver(m)
		}
	}
}

func (b *broker) sendRetained(c *client, t topic) {
	if m, ok := b.retained[t]; ok {
		c.deliver(m)
	}
}

// restart ends all links; what is retained may be lost.
func (b *broker) restart(loss bool, down ms) {
	if loss {
		clear(b.retained)
	}
	b.down = true
	for _, c := range slices.Clone(b.clients) {
		c.lost()
	}
	b.w.at(down, func() { b.down = false })
}

// topics lists what is retained, in an order that does not change.
func (b *broker) topics() []topic {
	list := make([]topic, 0, len(b.retained))
	for t := range b.retained {
		list = append(list, t)
	}
	slices.SortFunc(list, topic.compare)
	return list
}

func (t topic) compare(o topic) int {
	return cmp.Or(cmp.Compare(t.kind, o.kind), cmp.Compare(t.a, o.a), cmp.Compare(t.b, o.b))
}

func sortedTopics(set map[topic]bool) []topic {
	list := make([]topic, 0, len(set))
	for t := range set {
		list = append(list, t)
	}
	slices.SortFunc(list, topic.compare)
	return list
}
