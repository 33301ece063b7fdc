package broker

import (
	"bytes"
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ownQueue   = 4 << 20  // bytes of messages that may wait for a client, whatever waits for others
	maxAnswers = 64 << 10 // of answers to a client, before it is read on

	atOnce   = writeSlice // bytes that are written at once, and the rest of the last message
	joinUpTo = 1 << 10    // bytes of what is copied to what it is written with
)

var (
	errDropped = errors.New("broker: message dropped, the client's queue is full")
	errTooLong = errors.New("broker: message dropped, the client takes none of that size")
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
	pool     *pool
	lost     func(id uint16)

	mu       sync.Mutex
	changed  sync.Cond
	answers  [][]byte
	waiting  int // bytes of answers
	messages []message
	held     int            // bytes of messages queued, being written and under way
	window   int            // messages of QoS 1 and 2 under way
	most     int            // bytes of a message
	flight   map[uint16]int // their bytes by packet id, which the client has not acknowledged
	writing  bool
	leaving  int       // bytes of messages of QoS 0 being written
	progress time.Time // when something was written or acknowledged
	ending   bool      // nothing more comes in, what is left are answers
	ended    bool      // nothing goes out any more

	next  func() error // queues what is retained (backlog.go); nil for a test's
	more  bool         // it has some
	stuck bool         // which did not fit
}

// pool is what all queues hold beyond ownQueue of each.
type pool struct {
	most int64
	held atomic.Int64
}

type message struct {
	head, payload []byte // a payload may be everybody's (share.go)
	id            uint16 // 0: QoS 0
}

func (m message) size() int { return len(m.head) + len(m.payload) }

func newQueue(limit int, patience time.Duration) *queue {
	q := &queue{
		limit: limit, patience: patience, pool: &pool{}, window: 1<<16 - 1, most: math.MaxInt, flight: map[uint16]int{},
		lost: func(uint16) {},
	}
	q.changed.L = &q.mu
	return q
}

// grow sets what may wait for the client, once it is known who that is.
func (q *queue) grow(limit int) {
	q.mu.Lock()
	q.limit = limit
	q.mu.Unlock()
}

// takes sets how many messages of QoS 1 and 2 the client takes at once, and how
// many bytes of a message.
func (q *queue) takes(n, bytes int) {
	q.mu.Lock()
	q.window, q.most = n, bytes
	q.mu.Unlock()
}

// answer queues a packet that is no message. It does not wait, nor keep p.
func (q *queue) answer(p []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ending {
		return net.ErrClosed
	}
	q.answers = append(q.answers, bytes.Clone(p))
	q.waiting += len(p)
	q.changed.Broadcast()
	return nil
}

// add queues one message, its header and its payload. It does not wait.
func (q *queue) add(head, payload []byte, now time.Time) error {
	m := message{head: head, payload: payload}
	if head[0]>>1&3 > 0 {
		_, used := varint(head[1:])
		c := cursor{b: head[1+used:]}
		c.bytes() // topic
		m.id = c.u16()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch again := head[0]&8 != 0; {
	case q.ending:
		return net.ErrClosed
	case m.size() > q.most:
		q.drop(m.id)
		return errTooLong
	case q.fits(m.size()) || again: // what a session is owed is bounded elsewhere
		if len(q.messages) == 0 {
			q.progress = now
		}
		q.messages = append(q.messages, m)
		q.hold(m.size())
	case !q.writing && now.Sub(q.progress) > q.patience: // of a slow reader the writer is the judge
		return errStalled
	default:
		q.drop(m.id)
		return errDropped
	}
	q.changed.Broadcast()
	return nil
}

// drop says that a message does not go out.
func (q *queue) drop(id uint16) {
	if id > 0 {
		q.lost(id)
	}
}

// fits tells whether n bytes more may wait: of one message always.
func (q *queue) fits(n int) bool {
	total := q.held + n
	return q.held == 0 || total <= q.limit && (total <= ownQueue || q.pool.held.Load()+int64(n) <= q.pool.most)
}

// hold counts bytes that wait, or with a negative n do no more.
func (q *queue) hold(n int) {
	before := max(0, q.held-ownQueue)
	q.held += n
	q.pool.held.Add(int64(max(0, q.held-ownQueue) - before))
}

// take waits for what may be written now; false when nothing comes any more.
func (q *queue) take() (net.Buffers, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		q.refill()
		if q.ended {
			return nil, false
		}
		if p := q.gather(); len(p) > 0 {
			q.writing = true
			return p, true
		}
		if q.ending {
			return nil, false
		}
		q.changed.Wait()
	}
}

// gather collects what goes out in one piece: small packets are joined, long payloads
// stand beside their headers as they are.
func (q *queue) gather() net.Buffers {
	var out letter
	for out.size < atOnce {
		switch {
		case len(q.answers) > 0:
			p := q.answers[0]
			q.answers[0], q.answers = nil, q.answers[1:]
			q.waiting -= len(p)
			out.add(p)
		case len(q.messages) > 0 && !q.ending && (q.messages[0].id == 0 || len(q.flight) < q.window):
			m := q.messages[0]
			q.messages[0], q.messages = message{}, q.messages[1:]
			q.depart(m)
			out.add(m.head)
			out.add(m.payload)
		default:
			return out.pieces
		}
	}
	return out.pieces
}

// letter is what one write takes.
type letter struct {
	pieces net.Buffers
	size   int
	joined bool // the last piece is its own: more may be joined to it
}

func (l *letter) add(p []byte) {
	l.size += len(p)
	short := len(p) < joinUpTo
	switch last := len(l.pieces) - 1; {
	case len(p) == 0:
	case !short:
		l.pieces, l.joined = append(l.pieces, p), false
	case l.joined && len(l.pieces[last])+len(p) <= writeSlice:
		l.pieces[last] = append(l.pieces[last], p...)
	default:
		l.pieces, l.joined = append(l.pieces, bytes.Clone(p)), true
	}
}

// depart notes that a message goes out.
func (q *queue) depart(m message) {
	if m.id == 0 {
		q.leaving += m.size()
		return
	}
	q.hold(-q.flight[m.id]) // sent again
	q.flight[m.id] = m.size()
}

// sent notes that what was taken has been written.
func (q *queue) sent(now time.Time) {
	q.mu.Lock()
	q.hold(-q.leaving)
	q.writing, q.leaving, q.progress = false, 0, now
	q.changed.Broadcast()
	q.mu.Unlock()
}

// acknowledged notes that the client has a message, of QoS 2 with done when it
// also knows that we know. It reports whether that is news.
func (q *queue) acknowledged(id uint16, done bool, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	size, ok := q.flight[id]
	if !ok || size == 0 && !done {
		return false
	}
	q.hold(-size)
	q.flight[id] = 0
	if done {
		delete(q.flight, id)
	}
	q.progress = now
	q.changed.Broadcast()
	return true
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
	q.hold(-q.held)
	q.messages, q.leaving = nil, 0
	clear(q.flight)
	q.changed.Broadcast()
	q.mu.Unlock()
	return first
}
