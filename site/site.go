package site

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// site is the driver: one goroutine owns everything here but what is said to
// be shared. What the machines are to hear is told to them one event after the
// other; nothing that is done for one steps another.
type site struct {
	cfg        Config
	ns         topics.Namespace
	opener     wire.Opener
	disk       disk
	conn       *link.Conn
	rand       *rand.Rand
	start      time.Time // of the clock of now
	birth      ms
	instance   wire.Nonce
	identity   wire.Nonce // of the data directory
	line       *member.Line
	tasks      []*task
	names      []string
	routes     map[string]route
	owners     map[string]*owner      // by the topic of their state
	lastOwner  atomic.Pointer[string] // instance of the first task's aggregator, as last heard
	stateTopic string
	stateBeat  ms
	online     bool
	connection uint64 // the last one's number
	shut       bool   // outside of the hours of parts (S-28)
	hoursAt    ms     // when to look at the clock again, 0: they are always
	bad        uint64 // messages that did not open
	unverified unverified
	seeker     seeker

	events    []telling      // that the machines have not taken yet
	queue     []*assignment  // jobs that wait for the trainer, in order of arrival
	running   *assignment    // nil: the trainer is free
	results   chan result    // shared with the job's goroutine
	published chan published // shared with the goroutines that publish entries and parts
	nudges    chan struct{}  // the trainer has got on
	written   chan *writing  // models whose file is there; shared with the goroutines that write
	failed    chan error     // what was done beside; shared with the goroutines that do
	unsynced  []unsynced     // updates, the oldest first
	part      []byte         // the message of a part that was told to a machine
	rooms     [][]byte       // where the next parts are read
	left      chan struct{}  // closed when the message published last has left, or will not; nil: there was none

	life context.Context // of what is started; it ends before the link does
	goes sync.WaitGroup
}

// telling is an event for the machine of a task.
type telling struct {
	task  *task
	event member.Event
}

// published tells how the publish of an entry or a part has ended.
type published struct {
	telling
	what  string
	round uint64
	room  []byte // of a part that was read from a file
	out   *int   // of the update whose memory the part lies in
	err   error
}

// unsynced is an update that was written, and that a power loss may take (S-22).
type unsynced struct {
	id model.Hash
	at ms // when it is to be synced
}

// route says whose a topic is.
type route struct {
	task *task
	kind topics.Kind
}

// tell has the machine of a task take an event, after those that it was told
// before.
func (s *site) tell(t *task, ev member.Event) { s.events = append(s.events, telling{t, ev}) }

// now is the time in milliseconds: the wall clock's at the start, and from
// then on the monotonic clock's, so that setting the clock moves nothing.
func (s *site) now() ms { return s.start.UnixMilli() + s.cfg.Now().Sub(s.start).Milliseconds() }

// nudge has the status show that the trainer has got on.
func (s *site) nudge() {
	select {
	case s.nudges <- struct{}{}:
	default:
	}
}

// identify reads who the data directory is, and draws it at its first start.
func (s *site) identify() (err error) {
	if s.identity, err = s.disk.Identity(); err != nil || s.identity != (wire.Nonce{}) {
		return err
	}
	return s.becomeAnother()
}

// becomeAnother draws an identity. Who was superseded is a copy, or has one: as
// another it waits for its turn instead of taking it back.
func (s *site) becomeAnother() error {
	if _, err := io.ReadFull(s.cfg.Rand, s.identity[:]); err != nil {
		return fmt.Errorf("site: random numbers: %w", err)
	}
	return s.disk.SetIdentity(s.identity)
}

// coalesce keeps the newest of the retained topics; replies are all kept.
func (s *site) coalesce(topic string, _ []byte) string {
	if r, ok := s.routes[topic]; !ok || r.kind == topics.Reply {
		return ""
	}
	return topic
}

// bulk is what may be dropped first: parts, which are asked for again, and
// whatever was never asked for.
func (s *site) bulk(topic string) bool {
	_, ok := s.routes[topic]
	return !ok
}

// subscribe fills the tables of subscriptions and routes with a task's topics.
func (s *site) subscribe(t *task) {
	add := func(topic string, k topics.Kind) {
		s.routes[topic] = route{t, k}
		s.conn.Subscribe(link.Filter{Topic: topic, QoS: 1})
	}
	add(t.owner.Order(), topics.Order)
	add(t.owner.Reply(s.cfg.Member), topics.Reply)
	add(t.owner.Record(), topics.Record)
	places, _ := t.owner.Places() // checked
	for _, at := range places {
		add(at.Model(), topics.Model)
	}
	s.hearReleased(t, places)
	if state := t.owner.State(); s.owners[state] == nil {
		s.owners[state] = &owner{}
		add(state, topics.State)
	}
}
