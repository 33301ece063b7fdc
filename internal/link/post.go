package link

import (
	"errors"
	"fmt"
	"sync"
)

// Post hands a message over without waiting; it never blocks. Messages go out
// in order, when the link is up. While it is down QoS 0 messages are dropped
// (C-10) and a retained message replaces an older one of its topic that waits;
// when the queue is full the oldest unretained message is dropped. A retained
// message whose outcome is unknown is sent again after the reconnect unless a
// newer one of its topic was posted; any other is left to the protocol, which
// asks again. Failures are logged and counted in Stats.
func (c *Conn) Post(m Message) {
	if err := c.check(&m); err != nil {
		c.postFailed(&m, err)
		return
	}
	c.mu.Lock()
	up, closing := c.up != nil, c.closing
	c.mu.Unlock()
	if closing || (!up && m.QoS == 0) {
		c.posts.countDrop()
		return
	}
	c.posts.add(&post{msg: m}, up)
}

func (c *Conn) postFailed(m *Message, err error) {
	c.posts.mu.Lock()
	c.posts.failed++
	c.posts.mu.Unlock()
	c.log.Warn().Str("topic", m.Topic).Int("bytes", len(m.Payload)).Err(err).Msg("post failed")
}

// post is one message waiting to be sent.
type post struct {
	msg Message
	seq uint64 // order of posting
}

// posts is the bounded queue behind Post.
type posts struct {
	limit, bytesLimit int

	mu              sync.Mutex
	queue           []*post
	bytes           int
	seq             uint64
	newest          map[string]uint64 // retained topic not yet acknowledged -> seq of its newest post
	flying          int               // handed to a session, outcome open
	dropped, failed uint64
	wake            chan struct{} // capacity 1
}

func newPosts(cfg *Config) *posts {
	return &posts{limit: cfg.Queue, bytesLimit: cfg.QueueBytes, newest: map[string]uint64{}, wake: make(chan struct{}, 1)}
}

func (q *posts) countDrop() {
	q.mu.Lock()
	q.dropped++
	q.mu.Unlock()
}

// add queues a post at the end. While the link is down it takes the place in
// time, not in the queue, of an older retained one: what was posted last goes
// last, so a manifest never overtakes its parts.
func (q *posts) add(p *post, up bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seq++
	p.seq = q.seq
	if p.msg.Retained {
		q.newest[p.msg.Topic] = p.seq
		if !up {
			q.drop(func(o *post) bool { return o.msg.Retained && o.msg.Topic == p.msg.Topic })
		}
	}
	q.queue = append(q.queue, p)
	q.bytes += len(p.msg.Payload)
	for len(q.queue) > 1 && (len(q.queue) > q.limit || q.bytes > q.bytesLimit) {
		if !q.drop(func(o *post) bool { return !o.msg.Retained }) {
			q.drop(func(*post) bool { return true })
		}
		q.dropped++
	}
	signal(q.wake)
}

// drop removes the oldest post that matches.
func (q *posts) drop(match func(*post) bool) bool {
	for i, o := range q.queue {
		if match(o) {
			q.queue = append(q.queue[:i], q.queue[i+1:]...)
			q.bytes -= len(o.msg.Payload)
			if q.newest[o.msg.Topic] == o.seq {
				delete(q.newest, o.msg.Topic)
			}
			return true
		}
	}
	return false
}

// take removes the next post and counts it as flying.
func (q *posts) take() *post {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return nil
	}
	p := q.queue[0]
	q.queue = q.queue[1:]
	q.bytes -= len(p.msg.Payload)
	q.flying++
	return p
}

// landed ends a flight. again puts the post back in front, unless it is
// retained and a newer one of its topic was posted since.
func (q *posts) landed(p *post, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying--
	newest := q.newest[p.msg.Topic] == p.seq
	switch {
	case again && (newest || !p.msg.Retained):
		i := 0
		for i < len(q.queue) && q.queue[i].seq < p.seq {
			i++
		}
		q.queue = append(q.queue, nil)
		copy(q.queue[i+1:], q.queue[i:])
		q.queue[i] = p
		q.bytes += len(p.msg.Payload)
	case newest:
		delete(q.newest, p.msg.Topic)
	}
	signal(q.wake)
}

func (q *posts) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) == 0 && q.flying == 0
}

// post sends the next post, if there is one. It never waits for a PUBACK.
func (s *session) post() bool {
	c, q := s.conn, s.conn.posts
	p := q.take()
	if p == nil {
		signal(s.idle)
		return false
	}
	if err := c.check(&p.msg); err != nil { // quarantined meanwhile
		q.landed(p, false)
		c.postFailed(&p.msg, err)
		return true
	}
	s.send(&request{msg: p.msg, done: func(err error) { c.posted(p, err) }})
	return !s.ended()
}

// posted takes the outcome of a post.
func (c *Conn) posted(p *post, err error) {
	unsent := errors.Is(err, ErrNotConnected)
	again := err != nil && (unsent && p.msg.QoS > 0 || p.msg.Retained)
	c.posts.landed(p, again)
	switch {
	case err == nil, again:
	case unsent:
		c.posts.countDrop()
	default:
		c.postFailed(&p.msg, fmt.Errorf("not repeated: %w", err))
	}
}
