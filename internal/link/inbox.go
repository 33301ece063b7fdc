package link

import (
	"container/list"
	"context"
	"sync"
)

// roomForKept is how many times the queue's room a message may use that is not
// bulk: a bound against a hostile writer, not a working size.
const roomForKept = 4

// inbox is the bounded queue between the connection's reader, which must never
// wait (C-5), and the driver.
type inbox struct {
	limit, bytesLimit int
	key               func(string, []byte) string
	bulk              func(string) bool

	mu                           sync.Mutex
	queue                        list.List // of *entry
	byKey                        map[string]*list.Element
	bytes                        int
	received, dropped, coalesced uint64
	wake                         chan struct{} // capacity 1
}

type entry struct {
	msg Message
	key string
}

func newInbox(cfg *Config) *inbox {
	return &inbox{
		limit: cfg.Queue, bytesLimit: cfg.QueueBytes, key: cfg.Coalesce, bulk: cfg.Bulk,
		byKey: map[string]*list.Element{}, wake: make(chan struct{}, 1),
	}
}

// put queues a message, replaces an older one with the same key in its place,
// or drops it and counts. It never blocks.
func (b *inbox) put(m Message) {
	key := ""
	if b.key != nil {
		key = b.key(m.Topic, m.Payload)
	}
	room := 1
	if key != "" || (b.bulk != nil && !b.bulk(m.Topic)) {
		room = roomForKept
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received++
	if e := b.byKey[key]; key != "" && e != nil {
		en := e.Value.(*entry)
		b.bytes += len(m.Payload) - len(en.msg.Payload)
		en.msg = m
		b.coalesced++
		return
	}
	if b.queue.Len() >= room*b.limit || b.bytes+len(m.Payload) > room*b.bytesLimit {
		b.dropped++
		return
	}
	e := b.queue.PushBack(&entry{msg: m, key: key})
	if key != "" {
		b.byKey[key] = e
	}
	b.bytes += len(m.Payload)
	signal(b.wake)
}

func (b *inbox) take() (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.queue.Front()
	if e == nil {
		return Message{}, false
	}
	en := b.queue.Remove(e).(*entry)
	delete(b.byKey, en.key)
	b.bytes -= len(en.msg.Payload)
	return en.msg, true
}

// pump hands messages to out until ctx ends.
func (b *inbox) pump(ctx context.Context, out chan<- Message) {
	for {
		m, ok := b.take()
		if !ok {
			select {
			case <-b.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case out <- m:
		case <-ctx.Done():
			return
		}
	}
}

// signal sets a flag channel of capacity 1.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
