package broker

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxAnswers are bytes of answers that wait for a client before it is read on.
const maxAnswers = 64 << 10

var (
	errDropped = errors.New("broker: message dropped, the client's queue is full")
	errStalled = errors.New("broker: the client took nothing and its queue is full")
)

// queue is what waits to be written to one client, so that nobody waits for
// it: the library writes with a lock of the client's that each of its publishers
// needs (M5b). Answers go first, as they do not belong to what they overtake.
// Messages keep their order. No more of QoS 1 and 2 are under way than the client
// takes at once (Receive Maximum of MQTT 5): the library does not count them (M11).
//
// What a client holds up is bounded: messages that wait, and those sent that it
// has not acknowledged. What comes beyond is dropped, and a client that took
// nothing for a while, read or acknowledged, is cut off.
type queue struct {
	limit    int           // bytes
	patience time.Duration // without progress while the queue is full
	lost     func(id uint16)

	mu       sync.Mutex
	changed  sync.Cond
	answers  [][]byte
	waiting  int // bytes of answers
	messages []message
	held     int            // bytes of messages queued, being written and under way
	window   int            // messages of QoS 1 and 2 under way
	flight   map[uint16]int // their bytes by packet id, which the client has not acknowledged
	writing  bool
	leaving  int       // bytes of messages of QoS 0 being written
	progress time.Time // when something was written or acknowledged
	ending   bool      // nothing more comes in, what is left are answers
	ended    bool      // nothing goes out any more
}

type message struct {
	b  []byte
	id uint16 // 0: QoS 0
}

func newQueue(limit int, patience time.Duration, lost func(uint16)) *queue {
	q := &queue{limit: limit, patience: patience, lost: lost, window: 1<<16 - 1, flight: map[uint16]int{}}
	q.changed.L = &q.mu
	return q
}

// takes sets how many messages of QoS 1 and 2 the client takes at once.
func (q *queue) takes(n int) {
	q.mu.Lock()
	q.window = n
	q.mu.Unlock()
}

// add queues one packet. It does not wait.
func (q *queue) add(p []byte, now time.Time) error {
	_, used := varint(p[1:])
	m := message{}
	isMessage := p[0]>>4 == packets.Publish
	if isMessage && p[0]>>1&3 > 0 {
		c := cursor{b: p[1+used:]}
		c.bytes() // topic
		m.id = c.u16()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch again := p[0]&8 != 0; {
	case q.ending:
		return net.ErrClosed
	case !isMessage:
		q.answers = append(q.answers, bytes.Clone(p))
		q.waiting += len(p)
	case q.held == 0 || q.held+len(p) <= q.limit || again: // what a session is owed is bounded elsewhere
		if len(q.messages) == 0 {
			q.progress = now
		}
		m.b = bytes.Clone(p)
		q.messages = append(q.messages, m)
		q.held += len(p)
	case !q.writing && now.Sub(q.progress) > q.patience: // of a slow reader the writer is the judge
		return errStalled
	default:
		if m.id > 0 {
			q.lost(m.id)
		}
		return errDropped
	}
	q.changed.Broadcast()
	return nil
}

// take waits for what may be written now, and returns it as a whole; false when
// nothing comes any more.
func (q *queue) take() ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.ended {
			return nil, false
		}
		if p := q.gather(); p != nil {
			q.writing = true
			return p, true
		}
		if q.ending {
			return nil, false
		}
		q.changed.Wait()
	}
}

// gather joins small packets, and gives a large one alone.
func (q *queue) gather() (out []byte) {
	for {
		var p []byte
		var m message
		switch {
		case len(q.answers) > 0:
			p = q.answers[0]
		case len(q.messages) > 0 && !q.ending && (q.messages[0].id == 0 || len(q.flight) < q.window):
			m = q.messages[0]
			p = m.b
		}
		if p == nil || out != nil && len(out)+len(p) > writeSlice {
			return out
		}
		if m.b == nil {
			q.answers[0], q.answers = nil, q.answers[1:]
			q.waiting -= len(p)
		} else {
			q.messages[0], q.messages = message{}, q.messages[1:]
			q.depart(m)
		}
		if out == nil {
			out = p[:len(p):len(p)]
		} else {
			out = append(out, p...)
		}
	}
}

// depart notes that a message goes out.
func (q *queue) depart(m message) {
	if m.id == 0 {
		q.leaving += len(m.b)
		return
	}
	q.held -= q.flight[m.id] // sent again
	q.flight[m.id] = len(m.b)
}

// sent notes that what was taken has been written.
func (q *queue) sent(now time.Time) {
	q.mu.Lock()
	q.held -= q.leaving
	q.writing, q.leaving, q.progress = false, 0, now
	q.changed.Broadcast()
	q.mu.Unlock()
}

// acknowledged notes that the client has a message, of QoS 2 with done when it
// also knows that we know.
func (q *queue) acknowledged(id uint16, done bool, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size, ok := q.flight[id]
	if !ok {
		return
	}
	q.held -= size
	q.flight[id] = 0
	if done {
		delete(q.flight, id)
	}
	q.progress = now
	q.changed.Broadcast()
}

// wait returns when the client has taken most of what it was answered.
func (q *queue) wait() {
	q.mu.Lock()
	for q.waiting > maxAnswers && !q.ending {
		q.changed.Wait()
	}
	q.mu.Unlock()
}

// end lets out the answers that are left, or with now nothing any more. It
// reports whether it is the first.
func (q *queue) end(now bool) (first bool) {
	q.mu.Lock()
	first, q.ending = !q.ending, true
	q.ended = q.ended || now
	q.messages = nil
	q.changed.Broadcast()
	q.mu.Unlock()
	return first
}
