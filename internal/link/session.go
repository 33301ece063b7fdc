package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	// handOver bounds the library's own queue. The guard holds every packet to
	// WriteTimeout, and publishes are handed over only when nothing is being
	// written, so a longer wait would only delay the end of Run.
	handOver = 10 * time.Second
	// goodbye is how long DISCONNECT may take.
	goodbye = time.Second
	// maxAcks bounds PUBACKs not yet written; a broker beyond it does not read.
	maxAcks = 1 << 16
)

// session is one connection with a client of its own (C-14): the library's
// reconnect is off, so tokens, packet ids and handlers never outlive the epoch
// they belong to (C-1, C-8).
type session struct {
	conn   *Conn
	epoch  uint64
	client mqtt.Client
	guard  *guard
	born   time.Time // CONNACK
	lost   chan error

	requests            chan *request
	mayPost             chan struct{} // closed at State.Up
	posting             chan struct{} // the same, of the writer alone: nil once it has seen it
	wakeSub             chan struct{} // the table changed; capacity 1
	freed, idle, wakeOK chan struct{} // capacity 1
	batch               batch         // of the writer alone
	goes                sync.WaitGroup

	announced bool // guarded by conn.mu

	mu      sync.Mutex
	used    int                // room taken by unacknowledged messages
	pending map[uint16]*flight // messages unacknowledged, by packet id
	lastID  uint16             // given to one, of 15 bits
	asking  []Filter           // of the SUBSCRIBE without SUBACK
	askedAt time.Time
	acks    []byte // PUBACKs to send
}

// open dials and connects. The error of a refusal wraps ErrRefused.
func (c *Conn) open(ctx context.Context) (*session, error) {
	raw, err := c.dial(ctx)
	c.reached = err == nil
	if err != nil {
		return nil, err
	}
	s := &session{
		conn: c, guard: newGuard(raw, c.cfg.MaxPacket, &c.bytesIn, &c.bytesOut), lost: make(chan error, 1),
		requests: make(chan *request), mayPost: make(chan struct{}), wakeSub: make(chan struct{}, 1), freed: make(chan struct{}, 1),
		idle: make(chan struct{}, 1), wakeOK: make(chan struct{}, 1), pending: map[uint16]*flight{},
	}
	s.posting = s.mayPost
	s.guard.came, s.guard.acked, s.guard.spare = s.came, s.acked, &c.spare
	s.client = mqtt.NewClient(c.options(s))
	token := s.client.Connect().(*mqtt.ConnectToken)
	select {
	case <-token.Done():
	case <-ctx.Done():
		// A CONNACK on its way lets us leave politely, without the Will.
		if !token.WaitTimeout(goodbye) {
			_ = s.guard.Close()
			<-token.Done()
		}
	}
	if err := token.Error(); err != nil {
		cause, _ := s.guard.reason()
		_ = s.guard.Close()
		if code := token.ReturnCode(); code > packets.Accepted && code <= packets.ErrRefusedNotAuthorised {
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if cause != nil {
			err = cause
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
			err = fmt.Errorf("%w (%w)", errClosed, err)
		}
		return nil, fmt.Errorf("link: CONNECT: %w", c.plainRefused(ctx, rejected(err)))
	}
	s.born = time.Now()
	return s, nil
}

// start begins the session's goroutines; end joins them.
func (s *session) start() {
	s.goes.Go(s.acknowledge)
	s.goes.Go(s.write)
	s.goes.Go(s.subscribe)
}

// drain waits until nothing is in flight and no post waits, or time is up.
func (s *session) drain() {
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	for !s.quiet() {
		select {
		case <-s.idle:
		case <-s.guard.done:
			return
		case <-timer.C:
			return
		}
	}
}

func (s *session) quiet() bool {
	s.conn.mu.Lock()
	up := s.conn.up == s
	s.conn.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used == 0 && (!up || s.conn.posts.empty())
}

// end leaves the broker, politely if the link still stands, and returns after
// everything of the session has ended: the error that ended it, nil if this
// side did, and whether the broker cut it.
func (s *session) end() (err error, cut bool) { //nolint:revive // the error is data here
	lost := s.ended()
	s.client.Disconnect(uint(goodbye / time.Millisecond))
	err, cut = s.guard.reason()
	_ = s.guard.Close() // if DISCONNECT could not be written
	s.goes.Wait()
	s.strand()
	if lost && err == nil { // closed by the library: its reason follows
		select {
		case err = <-s.lost:
			if errors.Is(err, io.EOF) { // of a packet that ends too early, as the stream did not
				err = fmt.Errorf("%w: malformed", errPacket)
			}
		case <-time.After(goodbye):
			err = errSilent
		}
	}
	return err, cut
}

// ended tells whether the connection is closed.
func (s *session) ended() bool {
	select {
	case <-s.guard.done:
		return true
	default:
		return false
	}
}

// accuse notes what may have made the broker cut the link: what it had received
// last and not acknowledged (C-16). It reports whether there was anything. The
// caller holds the Conn's mu.
func (s *session) accuse(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics := map[string]bool{}
	for _, f := range s.pending {
		if now.Sub(f.at) < recent {
			topics[f.msg.Topic] = true
		}
	}
	filters := s.asking
	if now.Sub(s.askedAt) >= recent {
		filters = nil
	}
	c := s.conn
	sole := len(topics)+len(filters) == 1
	for _, t := range slices.Sorted(maps.Keys(topics)) {
		if c.suspects.blame(t, sole, now) {
			c.log.Error().Str("topic", t).Time("until", c.suspects[t].until).
				Msg("topic quarantined: the broker cut the link at it twice, as brokers do at a denied publish")
		}
	}
	for _, f := range filters {
		if sub := c.table.subs[f.Topic]; sub != nil {
			sub.blame(sole, now)
		}
	}
	return len(topics)+len(filters) > 0
}

// errClosed: the broker ended the connection without a word.
var errClosed = errors.New("the broker closed it")

var errSilent = errors.New("link: connection ended without a reason")
