package aggregator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// shelf is one version of a model that goes out in parts: its bytes are read
// while the driver goes on.
type shelf struct {
	version uint64
	blob    wire.Blob
	key     wire.BlobKey
	slot    uint32
	topics  topics.Owner

	read  func() ([]byte, error) // from the disk; nil: what bytes had is not there any more
	early []early                // what is known of parts that left ahead, by index; the driver's alone

	mu    sync.Mutex
	bytes []byte // of the model, not copied; nil once it is withdrawn, or rests
}

// part makes the message of one part, in room for it, or says that the shelf was withdrawn.
func (s *shelf) part(i uint32, room func(n int) []byte) (m link.Message, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes == nil && s.read != nil {
		if s.bytes, err = s.read(); err != nil {
			return m, err
		}
	}
	if s.bytes == nil {
		return m, errWithdrawn
	}
	off, n := s.blob.Span(int(i))
	return link.Message{
		Topic: s.topics.ModelPart(int(s.slot), int(i)), QoS: 1, Retained: true,
		Payload: wire.AppendPart(room(n + wire.PartOverhead)[:0], wire.Part{
			Blob: s.key, Index: i, Count: uint32(s.blob.Count()), Data: s.bytes[off : off+n], // at most topics.MaxParts
		}),
	}, nil
}

// rest lets go of the model's bytes until a part is wanted again, where that can be.
func (s *shelf) rest() {
	if s.read == nil {
		return
	}
	s.mu.Lock()
	s.bytes = nil
	s.mu.Unlock()
}

// withdraw lets go of the model's bytes: after it nobody reads them.
func (s *shelf) withdraw() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.bytes, s.read = nil, nil
	s.mu.Unlock()
}

const (
	// partsInFlight is how many parts of all models wait for their PUBACKs at once.
	partsInFlight = 8
	// mostBehind is how many messages wait for those that are carried.
	mostBehind = 256
	// pubackWithin bounds the wait for one PUBACK: some broker may never send it and
	// keep the link. A part must cross in less (C-3).
	pubackWithin = 30 * time.Second
)

// errWithdrawn: a newer version of the model has taken the place of this one.
var errWithdrawn = errors.New("aggregator: outdated part")

// carrier publishes for the driver, which never waits for the network.
type carrier struct {
	conn *link.Conn
	owed []func(context.Context) // to be started
	done chan func()             // to be called by the driver: what came of it
	room chan struct{}
	goes sync.WaitGroup

	leaving int            // carried messages that have not left
	behind  []link.Message // posted meanwhile
}

func newCarrier(conn *link.Conn) *carrier {
	return &carrier{conn: conn, done: make(chan func()), room: make(chan struct{}, partsInFlight)}
}

// start begins what is owed. It never blocks.
func (c *carrier) start(ctx context.Context) {
	for _, do := range c.owed {
		c.goes.Go(func() { do(ctx) })
	}
	c.owed = nil
}

// post posts a message, behind those that are carried. When these take long, as on a line
// that stands, the queue of the link has the rest, and its bounds.
func (c *carrier) post(m link.Message) {
	if c.behind = append(c.behind, m); c.leaving == 0 || len(c.behind) > mostBehind {
		c.flush()
	}
}

// left: carried messages have left, or will not.
func (c *carrier) left() {
	if c.leaving--; c.leaving == 0 {
		c.flush()
	}
}

func (c *carrier) flush() {
	for _, m := range c.behind {
		c.conn.Post(m)
	}
	c.behind = nil
}

// carry owes messages, each as soon as the one before has left, and tells what came of
// all; there is called once a message, and those before it, are at the broker.
func (c *carrier) carry(list []link.Message, there func(i int), told func(error)) {
	c.leaving++
	c.owed = append(c.owed, func(ctx context.Context) {
		err := c.publishAll(ctx, list, there)
		c.tell(ctx, func() { told(err) })
	})
}

func (c *carrier) publishAll(life context.Context, list []link.Message, there func(i int)) error {
	ctx, cancel := context.WithTimeout(life, pubackWithin)
	defer cancel()
	var handed []*link.Handed
	var err error
	for _, m := range list {
		h, no := c.conn.Hand(ctx, m)
		if err = no; err != nil {
			break
		}
		handed = append(handed, h)
	}
	c.tell(life, c.left)
	for i, h := range handed {
		if err = errors.Join(err, h.Wait(ctx)); err == nil {
			there(i)
		}
	}
	return err
}

// carryPart owes a part, whose payload is made as it leaves, a few at a time.
func (c *carrier) carryPart(s *shelf, i uint32, told func(bytes int, err error)) {
	c.owed = append(c.owed, func(ctx context.Context) {
		bytes, err := c.part(ctx, s, i)
		c.tell(ctx, func() { told(bytes, err) })
	})
}

// part publishes a part, when it has its turn, and returns its bytes.
func (c *carrier) part(ctx context.Context, s *shelf, i uint32) (bytes int, err error) {
	select {
	case c.room <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-c.room }()
	m, err := s.part(i, c.conn.Room)
	if err != nil {
		return 0, err
	}
	bytes = len(m.Payload)
	if err = c.publish(ctx, m); err == nil {
		c.conn.Spent(m.Payload)
	}
	return bytes, err
}

// laneFast is what a part that leaves ahead may take for the next one to follow (TR-57).
const laneFast = 500 * time.Millisecond

// carryAhead has all parts of a shelf leave, at once, in lanes. What came of them is told when
// a lane ends, which is before its time where a part failed, or took long: the others have
// not left.
func (c *carrier) carryAhead(ctx context.Context, s *shelf, told func(first, step int, came []ahead)) {
	for lane := range partsInFlight {
		c.goes.Go(func() {
			var came []ahead
			for i, fast := lane, true; i < s.blob.Count() && fast; i += partsInFlight {
				began := time.Now()
				bytes, err := c.part(ctx, s, uint32(i)) // at most topics.MaxParts
				came = append(came, ahead{bytes, err})
				fast = err == nil && time.Since(began) <= laneFast
			}
			c.tell(ctx, func() { told(lane, partsInFlight, came) })
		})
	}
}

func (c *carrier) publish(ctx context.Context, m link.Message) error {
	ctx, cancel := context.WithTimeout(ctx, pubackWithin)
	defer cancel()
	return c.conn.Publish(ctx, m)
}

func (c *carrier) tell(ctx context.Context, told func()) {
	select {
	case c.done <- told:
	case <-ctx.Done():
	}
}
