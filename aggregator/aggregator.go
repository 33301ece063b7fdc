package aggregator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Run runs the aggregator until ctx ends or something makes going on unsafe: a
// failed disk, another aggregator with a higher epoch (ErrFenced), a broker
// that has seen more than the disk knows (ErrBehind). It returns nil when ctx
// ended it, after everything it started has ended.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		return fmt.Errorf("aggregator: %w", err)
	}
	a, err := newAggregator(cfg, st)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	return errors.Join(a.run(ctx), st.Close())
}

// Errors that end Run; they arrive wrapped with task, rounds and epochs.
var (
	ErrFenced = errors.New("aggregator: fenced by another aggregator of this owner")
	ErrBehind = errors.New("aggregator: the broker has seen more than the data directory")
)

// Times of the driver.
const (
	ownStateWait = 3 * time.Second  // for the own state to come back before the first order
	mendEvery    = 10 * time.Second // between two repairs of one retained topic
	viewEvery    = time.Second      // between two publications of a task's round view
	batch        = 64               // events taken in before the machine's work is done
)

// aggregator is the driver: one goroutine, run, owns everything but the
// connection and the publisher.
type aggregator struct {
	cfg      Config
	log      zerolog.Logger
	ns       topics.Namespace
	self     topics.Owner // of the first task; its State is the node's
	opener   *wire.Opener // of members' messages
	own      *wire.Opener // of the owner's: only its own key
	store    *store.Store
	conn     *link.Conn
	pub      *publisher
	tasks    map[string]*task
	order    []*task // configuration order
	instance round.Instance
	begun    time.Time // start on the wall clock, with a monotonic reading

	started   bool        // the machines have had Started
	up        bool        // the link
	upSince   int64       // in ms
	birth     []byte      // the state published last
	startBy   *time.Timer // when to stop waiting for the own state
	heartbeat *time.Timer
}

func newAggregator(cfg Config, st *store.Store) (*aggregator, error) {
	ns, err := topics.New(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	own, err := ownKeys(cfg)
	if err != nil {
		return nil, err
	}
	members, err := memberKeys(cfg)
	if err != nil {
		return nil, err
	}
	a := &aggregator{
		cfg: cfg, log: cfg.Log, ns: ns, store: st, tasks: map[string]*task{},
		begun:  cfg.Now(),
		own:    &wire.Opener{NS: ns, Keys: own, Limits: wire.Limits{Part: wire.MaxPart}},
		opener: &wire.Opener{NS: ns, Keys: members, Limits: wire.Limits{Part: cfg.PartSize}},
	}
	if cfg.Rand == nil {
		a.cfg.Rand = func(p []byte) { _, _ = rand.Read(p) } // crypto/rand never fails
	}
	a.cfg.Rand(a.instance[:])
	for _, f := range st.Findings() {
		a.log.Warn().Str("finding", f).Msg("repaired at start")
	}
	for _, t := range cfg.Tasks {
		task, err := a.loadTask(t)
		if err != nil {
			return nil, fmt.Errorf("aggregator: task %s: %w", t.Name, err)
		}
		a.tasks[t.Name] = task
		a.order = append(a.order, task)
	}
	a.self = a.order[0].topics
	return a, a.connect()
}

// ownKeys is the allow-list that only this aggregator's orders pass.
func ownKeys(cfg Config) (*wire.Keys, error) {
	if cfg.Signer == nil {
		return nil, nil
	}
	pub, ok := cfg.Signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("aggregator: the signing key is %T, want Ed25519", cfg.Signer.Public())
	}
	return wire.NewKeys(wire.Key{Path: cfg.Owner, Role: topics.RoleAggregator, Public: pub})
}

// memberKeys is the allow-list of the members; nil: the tasks are not signed.
func memberKeys(cfg Config) (*wire.Keys, error) {
	if len(cfg.Keys) == 0 {
		return nil, nil
	}
	return wire.NewKeys(cfg.Keys...)
}

func clientID(c Config) string {
	if c.Username != "" {
		return c.Username + ":aggregator"
	}
	id := []byte("fedmq-aggregator-" + c.Namespace)
	if c.Owner != "" {
		id = append(id, "-"+c.Owner...)
	}
	for i, b := range id {
		if b == '/' {
			id[i] = '-'
		}
	}
	return string(id)
}

func (a *aggregator) connect() error {
	conn, err := link.New(link.Config{
		Broker: a.cfg.Broker, ClientID: a.cfg.ClientID, Username: a.cfg.Username, Password: a.cfg.Password,
		TLS: a.cfg.TLS, Dial: a.cfg.Dial, Log: a.log, MaxPacket: max(a.cfg.PartSize, 1<<20) + 64<<10,
		Will: &link.Message{Topic: a.self.State(), Payload: a.stateJSON(false), QoS: 1, Retained: true},
		Coalesce: func(topic string, _ []byte) string {
			if t, err := a.ns.Parse(topic); err != nil || t.Kind == topics.Command {
				return "" // commands are kept whole
			}
			return topic
		},
	})
	if err != nil {
		return err
	}
	a.conn = conn
	filters := []link.Filter{{Topic: a.self.State(), QoS: 1}}
	for _, t := range a.order {
		filters = append(filters, t.filters(a.ns)...)
	}
	conn.Subscribe(filters...)
	a.pub = newPublisher(conn, a.log)
	return nil
}

// nowMS is a clock that does not fall: the wall clock of the start plus the
// monotonic time since.
func (a *aggregator) nowMS() int64 {
	return a.begun.UnixMilli() + a.cfg.Now().Sub(a.begun).Milliseconds()
}

// run is the driver's loop.
func (a *aggregator) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linkCtx, closeLink := context.WithCancel(context.WithoutCancel(ctx))
	defer closeLink()
	linkDone, pubDone := make(chan error, 1), make(chan struct{})
	go func() { linkDone <- a.conn.Run(linkCtx) }()
	go func() { defer close(pubDone); a.pub.run(ctx) }()

	err := a.loop(ctx, linkDone)
	cancel()
	<-pubDone
	if a.up && !errors.Is(err, errLinkEnded) {
		a.sayGoodbye()
	}
	closeLink()
	if !errors.Is(err, errLinkEnded) {
		err = errors.Join(err, <-linkDone)
	}
	return err
}

// errLinkEnded: the connection gave up by itself.
var errLinkEnded = errors.New("aggregator: link ended")

func (a *aggregator) sayGoodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := a.conn.Publish(ctx, a.stateMessage(false)); err != nil {
		a.log.Debug().Err(err).Msg("offline state not published")
	}
}

func (a *aggregator) loop(ctx context.Context, linkDone <-chan error) error {
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	a.startBy = stoppedTimer()
	a.heartbeat = stoppedTimer()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-linkDone:
			return errors.Join(errLinkEnded, err)
		case s := <-a.conn.States():
			a.linkState(s)
		case m := <-a.conn.Messages():
			a.receive(m)
			a.drain()
		case d := <-a.pub.done:
			d.task.published = d.task.orderOf == orderID(d.order)
			d.task.step(round.Published{Now: a.nowMS(), Epoch: d.order.Epoch, Round: d.order.Round, Attempt: d.order.Attempt})
		case <-a.startBy.C:
			a.start()
		case <-a.heartbeat.C:
			a.beat()
		case <-wake.C:
			for _, t := range a.order {
				t.tick()
			}
		}
		next, err := a.work()
		if err != nil {
			return err
		}
		wake.Reset(next)
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// drain takes what else has arrived, so that its verdicts share one
// transaction.
func (a *aggregator) drain() {
	for range batch - 1 {
		select {
		case m := <-a.conn.Messages():
			a.receive(m)
		default:
			return
		}
	}
}

// work does what the machines owe and returns the time until the next tick.
func (a *aggregator) work() (time.Duration, error) {
	next := time.Hour
	for _, t := range a.order {
		if !a.started {
			break
		}
		if err := t.work(); err != nil {
			return 0, fmt.Errorf("aggregator: task %s: %w", t.cfg.Name, err)
		}
		next = min(next, t.due(a.nowMS()))
	}
	return max(next, time.Millisecond), nil
}

// linkState follows the connection. The first time it is up the aggregator
// publishes its state and waits for it to come back: retained orders of its
// own have then arrived too.
func (a *aggregator) linkState(s link.State) {
	if !s.Up {
		if a.up || s.Err != nil {
			a.log.Warn().Err(s.Err).Msg("link down")
		}
		a.up = false
		if a.started {
			for _, t := range a.order {
				t.step(round.Disconnected{Now: a.nowMS()})
			}
		}
		return
	}
	if s.Err != nil {
		a.log.Error().Err(s.Err).Msg("the broker refuses subscriptions; check its access control list")
	}
	if a.up {
		return
	}
	a.up, a.upSince = true, a.nowMS()
	a.log.Info().Uint64("connection", s.Epoch).Msg("link up")
	msg := a.stateMessage(true)
	a.birth = msg.Payload
	a.conn.Post(msg)
	a.heartbeat.Reset(a.heartbeatTime())
	if !a.started {
		a.startBy.Reset(ownStateWait)
		return
	}
	for _, t := range a.order {
		t.connected()
	}
}

// start gives every machine its first event, once.
func (a *aggregator) start() {
	if a.started {
		return
	}
	a.startBy.Stop()
	a.started = true
	for _, t := range a.order {
		t.step(round.Started{Now: a.nowMS(), SeenEpoch: t.seen.Epoch, Instance: a.instance})
		if a.up {
			t.connected()
		}
	}
}

// receive routes one message.
func (a *aggregator) receive(m link.Message) {
	if m.Topic == a.self.State() {
		if slices.Equal(m.Payload, a.birth) {
			a.start()
		}
		return
	}
	at, err := a.ns.Parse(m.Topic)
	if err != nil {
		return
	}
	t := a.tasks[at.Task]
	if t == nil {
		return
	}
	if at.Path == a.cfg.Owner && !at.Kind.OfMember() {
		t.ownTopic(at, m)
		return
	}
	if len(m.Payload) == 0 || !a.started {
		return // cleared, or too early: the sender repeats
	}
	switch at.Kind {
	case topics.Join:
		t.join(at.Path, m)
	case topics.Update:
		t.update(at.Path, m)
	}
}

// beat republishes presence and views, +-20 % so that parties spread.
func (a *aggregator) beat() {
	if a.up {
		msg := a.stateMessage(true)
		a.birth = msg.Payload
		a.conn.Post(msg)
		for _, t := range a.order {
			t.viewDue = true
		}
	}
	a.heartbeat.Reset(a.heartbeatTime())
}

func (a *aggregator) heartbeatTime() time.Duration {
	ms := int64(30_000)
	for _, t := range a.order {
		ms = max(ms, 10*int64(len(t.state.Members)))
	}
	var r [2]byte
	a.cfg.Rand(r[:])
	spread := int64(r[0]) | int64(r[1])<<8 // 0..65535
	return time.Duration(ms*(80+40*spread/65535)/100) * time.Millisecond
}
