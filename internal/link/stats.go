package link

import "time"

// Stats are the counters of a Conn since New and its present state.
type Stats struct {
	Up       bool
	Broker   string // the address in use, or tried next
	Epoch    uint64 // connections made so far
	Attempts uint64 // CONNECTs tried
	Losses   uint64 // connections lost, without the polite end

	Published uint64 // publishes acknowledged (QoS 1) or written (QoS 0)
	Unknown   uint64 // publishes of unknown outcome
	InFlight  int    // publishes unacknowledged now

	Received  uint64 // messages received
	TooLarge  uint64 // messages over MaxPacket, which were read past
	Dropped   uint64 // received messages dropped, the queue being full
	Coalesced uint64 // received messages replaced by a newer one before they were read
	Queued    int    // received messages waiting now

	Posts       int    // posts waiting now
	PostDropped uint64 // posts dropped unsent
	PostFailed  uint64 // posts sent and refused, or of unknown outcome and not repeated

	BytesIn, BytesOut uint64 // MQTT bytes, without TLS and WebSocket

	Denied      []string // filters the broker refuses, sorted
	Quarantined []string // topics not sent, sorted

	LastError   string    // of the last loss or failed attempt
	LastErrorAt time.Time // zero: none so far
	Causes      []string  // why the broker may say no, since the second no in a row
}

// Stats returns the counters now.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	s := c.stats
	s.Up, s.Broker = c.up != nil, c.current().shown()
	if s.Up {
		s.Causes = nil
	}
	s.Denied, _ = c.table.denials()
	s.Quarantined = c.suspects.list(time.Now())
	if c.cur != nil {
		c.cur.mu.Lock()
		s.InFlight = len(c.cur.pending)
		c.cur.mu.Unlock()
	}
	c.mu.Unlock()

	c.inbox.mu.Lock()
	s.Received, s.Dropped, s.Coalesced, s.Queued = c.inbox.received, c.inbox.dropped, c.inbox.coalesced, c.inbox.queue.Len()
	c.inbox.mu.Unlock()

	c.posts.mu.Lock()
	s.Posts, s.PostDropped, s.PostFailed = len(c.posts.queue), c.posts.dropped, c.posts.failed
	c.posts.mu.Unlock()

	s.BytesIn, s.BytesOut = c.bytesIn.Load(), c.bytesOut.Load()
	return s
}
