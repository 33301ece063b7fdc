package aggregator

import (
	"context"
	"sync"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// shelf is one version of a model that goes out in parts: its bytes are read
// while the driver goes on.
type shelf struct {
	blob   wire.Blob
	key    wire.BlobKey
	slot   uint32
	topics topics.Owner

	mu    sync.Mutex
	bytes []byte // of the model, not copied; nil once it is withdrawn
}

// newShelf cuts a model's bytes, which must not change until withdraw.
func newShelf(b []byte, partSize int, slot uint32, o topics.Owner) (*shelf, error) {
	blob, err := wire.NewBlob(b, partSize)
	if err != nil {
		return nil, err
	}
	return &shelf{blob: blob, key: blob.Key(), slot: slot, topics: o, bytes: b}, nil
}

// part makes the message of one part; false: the shelf was withdrawn.
func (s *shelf) part(i uint32) (link.Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil {
		return link.Message{}, false
	}
	off, n := s.blob.Span(int(i))
	return link.Message{
		Topic: s.topics.ModelPart(int(s.slot), int(i)), QoS: 1, Retained: true,
		Payload: wire.AppendPart(make([]byte, 0, n+wire.PartOverhead), wire.Part{
			Blob: s.key, Index: i, Count: uint32(s.blob.Count()), Data: s.bytes[off : off+n], // #nosec G115 -- at most topics.MaxParts
		}),
	}, true
}

// withdraw lets go of the model's bytes: after it nobody reads them.
func (s *shelf) withdraw() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.bytes = nil
	s.mu.Unlock()
}

// partsInFlight is how many parts of all models wait for their PUBACKs at once.
const partsInFlight = 8

// carrier publishes parts for the driver, a few at a time. Their payloads are
// made as they leave.
type carrier struct {
	conn *link.Conn
	done chan carried
	room chan struct{}
	goes sync.WaitGroup
}

// carried is the outcome of publishing one part.
type carried struct {
	task  *task
	shelf *shelf
	part  uint32
	bytes int
	err   error
}

func newCarrier(conn *link.Conn) *carrier {
	return &carrier{conn: conn, done: make(chan carried), room: make(chan struct{}, partsInFlight)}
}

// carry publishes one part and tells the driver. It never blocks.
func (c *carrier) carry(ctx context.Context, t *task, s *shelf, i uint32) {
	c.goes.Go(func() {
		out := carried{task: t, shelf: s, part: i, err: errWithdrawn}
		select {
		case c.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if m, ok := s.part(i); ok {
			within, cancel := context.WithTimeout(ctx, pubackWithin)
			out.bytes, out.err = len(m.Payload), c.conn.Publish(within, m)
			cancel()
		}
		<-c.room
		select {
		case c.done <- out:
		case <-ctx.Done():
		}
	})
}
