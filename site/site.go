package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// ErrSuperseded ends [Run] when the aggregator says that another process has
// taken over: two use one path, or one data directory was copied. Started again,
// this one waits until the other is silent (S-20).
var ErrSuperseded = errors.New("site: another process has taken over this member path; end one of them. " + onePath)

// onePath is the cure where two processes were meant.
const onePath = "One member path is one process: several tasks, of several owners too, stand under tasks in one configuration file, each with a name of its own"

// leaveTime is how long the last messages of a site may take.
const leaveTime = 3 * time.Second

// site is the driver: one goroutine owns everything here but what is said to
// be shared.
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
	tasks      []*task
	names      []string
	routes     map[string]route
	owners     map[string]*owner      // by the topic of their state
	heardFrom  atomic.Pointer[string] // instance of the first task's aggregator, as last heard
	stateTopic string
	stateBeat  ms
	online     bool
	up, down   pacer // of parts (S-27)
	shut       bool  // outside of their hours (S-28)
	hoursAt    ms    // when to look again, 0: they are always
	refused    refused
	seeker     seeker

	bad     uint64        // messages that did not open
	queue   []*assignment // jobs that wait for the trainer, in order of arrival
	running *assignment   // nil: the trainer is free
	results chan result   // shared with the job's goroutine
	sent    chan sent     // shared with the goroutines that publish entries
	parts   chan partSent // shared with those that publish parts
	nudges  chan struct{}
	scratch []byte // of one part
	goes    sync.WaitGroup
}

// task is one task of the site.
type task struct {
	Task
	owner   topics.Owner
	member  topics.Member
	m       *member.Machine
	wake    ms
	view    member.View
	samples int
	data    *Data              // what the rows are from, after the last job
	metrics map[string]float64 // pooled, of the last evaluation here
	odd     []string           // what was wrong with its numbers
	latest  *arrived           // a verified model that no order has asked for yet
	result  *result            // of the job that is to be sealed
	sending map[uint64]bool    // entries on their way; true: to be sent once more then
	pull    pull               // the model that comes in parts
	paced   ms                 // when more parts of the update may leave, 0: none waits
	upload  *upload            // the update that goes in parts, nil: none was granted
	denied  string             // subscriptions that the broker refuses
	trouble string             // what does not arrive, or not leave
	heard   bool               // the aggregator has answered, in this life
	lost    string             // nobody is there, in words
	unheard string             // nobody answers, in words
	shared  int                // members of the task, as its order tells

	tally     tally
	settled   Audited // told last
	welcomed  uint64  // epoch of the welcome told last
	joined    link.Message
	published ms   // last status
	beat      ms   // next status without news
	behind    bool // there is progress to show
	changed   bool // there is a phase to show

	done, total atomic.Int64 // progress; shared with the job's goroutine
	nudge       func()
}

// Run takes part in the tasks of cfg until ctx ends, and then returns nil
// after it has said that it leaves and everything it started has ended. It
// connects, and reconnects, by itself. While another process speaks for the
// member it waits without a connection. It returns an error when the
// configuration or the data directory cannot be used, when the disk fails, and
// [ErrSuperseded].
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	for waits := 0; ; waits++ {
		s, err := newSite(cfg)
		if err != nil {
			return err
		}
		err = s.run(ctx)
		var w standby
		waiting := errors.As(err, &w)
		if closed := s.disk.Close(); !waiting || closed != nil {
			return errors.Join(err, closed)
		}
		if s.served() {
			waits = 0
		}
		if !w.wait(ctx, cfg, waits) {
			return nil
		}
	}
}

// served reports whether an aggregator has taken this process for the member's.
func (s *site) served() bool {
	return slices.ContainsFunc(s.tasks, func(t *task) bool { return t.welcomed > 0 })
}

func newSite(cfg Config) (*site, error) {
	ns, err := topics.New(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	opener, err := openerOf(ns, cfg)
	if err != nil {
		return nil, err
	}
	s := &site{
		cfg: cfg, ns: ns, opener: opener, start: cfg.Now(), routes: map[string]route{}, owners: map[string]*owner{},
		results: make(chan result, 1), sent: make(chan sent), parts: make(chan partSent), nudges: make(chan struct{}, 1),
		seeker: seeker{found: make(chan looked)}, refused: refused{log: cfg.Log, audit: cfg.Audit}, up: pace(cfg.Bandwidth), down: pace(cfg.Bandwidth),
	}
	s.birth = s.now()
	var seed [32]byte
	if _, err := io.ReadFull(cfg.Rand, s.instance[:]); err != nil {
		return nil, fmt.Errorf("site: random numbers: %w", err)
	}
	if _, err := io.ReadFull(cfg.Rand, seed[:]); err != nil {
		return nil, fmt.Errorf("site: random numbers: %w", err)
	}
	s.rand = rand.New(rand.NewChaCha8(seed)) // #nosec G404 -- jitter
	if s.disk = cfg.disk; s.disk == nil {
		if s.disk, err = openDisk(cfg.DataDir, ns.Node(cfg.Member)); err != nil {
			return nil, err
		}
	}
	if err := s.identify(); err != nil {
		return nil, errors.Join(err, s.disk.Close())
	}
	if err := s.setUp(); err != nil {
		return nil, errors.Join(err, s.disk.Close())
	}
	return s, nil
}

// setUp loads the tasks and makes the connection.
func (s *site) setUp() error {
	for _, ct := range s.cfg.Tasks {
		t, err := s.newTask(ct)
		if err != nil {
			return err
		}
		s.tasks = append(s.tasks, t)
		s.names = append(s.names, ct.Name)
		s.stateTopic = t.member.State()
	}
	will := s.state(false)
	cfg := s.cfg.reach()
	cfg.Will, cfg.Log, cfg.Deepest = &will, s.cfg.Log, s.cfg.deepest(s.ns)
	cfg.MaxPacket, cfg.QueueBytes, cfg.Coalesce, cfg.Bulk = wire.MaxPart+64<<10, queueBytes, s.coalesce, s.bulk
	conn, err := link.New(cfg)
	if err != nil {
		return err
	}
	s.conn = conn
	for _, t := range s.tasks {
		s.subscribe(t)
	}
	return nil
}

// reach is the site's way to the broker.
func (c Config) reach() link.Config {
	return link.Config{
		Broker: c.Broker, ClientID: c.ClientID, Username: c.Username, Password: c.Password,
		TLS: c.TLS, Headers: c.Headers, Dial: c.Dial,
	}
}

func (s *site) newTask(ct Task) (*task, error) {
	owner, err := s.ns.Owner(ct.Owner, ct.Name)
	if err != nil {
		return nil, err
	}
	own, err := s.ns.Member(s.cfg.Member, ct.Name)
	if err != nil {
		return nil, err
	}
	had, err := s.disk.Load(ct.Name)
	if err != nil {
		return nil, err
	}
	_, statistics := ct.Trainer.(trainer.Statistician)
	cfg := member.Config{Path: s.cfg.Member, Instance: s.instance, Statistics: statistics, Rand: s.rand}
	t := &task{
		Task: ct, owner: owner, member: own, samples: ct.Trainer.Samples(), data: dataOf(ct.Trainer), sending: map[uint64]bool{},
		pull: pull{puller: transfer.NewPuller()},
		m:    member.New(cfg, had.State, had.Entries, had.Model),
		nudge: func() {
			select {
			case s.nudges <- struct{}{}:
			default:
			}
		},
	}
	t.view.Phase = PhaseIdle
	return t, nil
}

// run serves until ctx ends or the site must stop, and leaves politely.
func (s *site) run(ctx context.Context) error {
	linkCtx, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	jobs, cancelJobs := context.WithCancel(linkCtx)
	defer cancelJobs()
	if err := s.oneCluster(ctx); err != nil {
		return err
	}
	ended := make(chan error, 1)
	s.goes.Go(func() { ended <- s.conn.Run(linkCtx) })
	err := s.loop(ctx, jobs, ended)
	cancelJobs()
	if !errors.Is(err, ErrSuperseded) && !errors.As(err, new(standby)) {
		// Another process has said that the node is online: do not contradict it.
		for _, t := range s.tasks {
			t.view = member.View{Phase: PhaseIdle, Round: t.view.Round, Attempt: t.view.Attempt, Message: "stopped"}
			s.publishStatus(t, 1)
		}
		leave, done := context.WithTimeout(linkCtx, leaveTime)
		_ = s.conn.Publish(leave, s.state(false)) // the Will, or nobody, says it else
		done()
	}
	cut()
	s.goes.Wait()
	return errors.Join(err, s.leave())
}

// now is the time in milliseconds: the wall clock's at the start, and from
// then on the monotonic clock's, so that setting the clock moves nothing.
func (s *site) now() ms { return s.start.UnixMilli() + s.cfg.Now().Sub(s.start).Milliseconds() }

// queueBytes bounds what has arrived and was not read yet: all parts that may be
// asked for at once, but for the largest, which are asked for again.
const queueBytes = 16 << 20

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
	add(t.owner.Model(), topics.Model)
	if state := t.owner.State(); s.owners[state] == nil {
		s.owners[state] = &owner{}
		add(state, topics.State)
	}
}

// route says whose a topic is.
type route struct {
	task *task
	kind topics.Kind
}
