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
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Run runs the aggregator until ctx ends or something makes going on unsafe: a
// failed disk, another aggregator with a higher epoch (ErrFenced), a broker or
// members that have seen more than the disk knows (ErrBehind; with AdoptEpoch
// it goes on above that, once a task). It returns nil when ctx ended it, after
// everything it started has ended.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		return fmt.Errorf("aggregator: %w", err)
	}
	return errors.Join(live(ctx, cfg, st), st.Close())
}

// live runs drivers until one ends for good: an adoption needs a new one, which
// goes on from the disk.
func live(ctx context.Context, cfg Config, st *store.Store) error {
	adopted := map[string]bool{}
	tasks := cfg.Tasks
	for {
		if cfg.AdoptEpoch {
			cfg.Tasks = slices.Clone(tasks) // the next driver wants the initial models too
		}
		a, err := newAggregator(cfg, st)
		if err != nil {
			return err
		}
		err = a.run(ctx)
		behind, ok := errors.AsType[*behindError](err)
		if !ok || !cfg.AdoptEpoch || adopted[behind.task.cfg.Name] {
			return err
		}
		adopted[behind.task.cfg.Name] = true
		if err := behind.task.adopt(ctx, behind); err != nil {
			return fmt.Errorf("aggregator: task %s: adopt: %w", behind.task.cfg.Name, err)
		}
	}
}

// Errors that end Run; they arrive wrapped with task, rounds and epochs.
var (
	ErrFenced = errors.New("aggregator: fenced by another aggregator of this owner")
	ErrBehind = errors.New("aggregator: more has been seen than the data directory knows")
)

// Bounds of the driver.
const (
	batch      = 64      // events taken in before the machine's work is done
	maxDecoded = 8 << 20 // or so many bytes of decoded updates
)

// aggregator is the driver: one goroutine, run, owns everything but the
// connection and what the carrier has in hand.
type aggregator struct {
	cfg      Config
	log      zerolog.Logger
	ns       topics.Namespace
	self     topics.Owner // of the first task; its State is the node's
	opener   *wire.Opener // of members' messages
	own      *wire.Opener // of the owner's: only its own key
	store    *store.Store
	conn     *link.Conn
	out      *carrier
	machine  *owner.Machine
	staging  *store.Staging
	tasks    map[string]*task
	order    []*task  // configuration order
	holdings holdings // blobs that tasks have a use for
	instance wire.Nonce
	clock    time.Time // start on the wall clock, with a monotonic reading

	begun      bool // the tasks run
	up         bool // the link
	upSince    int64
	connection uint64 // its number
	presence   []byte // published last
}

func newAggregator(cfg Config, st *store.Store) (*aggregator, error) {
	ns, err := cfg.namespace()
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
		cfg: cfg, log: cfg.Log, ns: ns, store: st, tasks: map[string]*task{}, holdings: holdings{store: st},
		staging: st.NewStaging(cfg.StageMemory), clock: cfg.Now(),
		own:    &wire.Opener{NS: ns, Keys: own, Limits: wire.Limits{Part: wire.MaxPart}},
		opener: &wire.Opener{NS: ns, Keys: members, Owner: ns.Node(cfg.Owner), Limits: wire.Limits{Part: cfg.PartSize}},
	}
	if cfg.Rand == nil {
		a.cfg.Rand = func(p []byte) { _, _ = rand.Read(p) } // crypto/rand never fails
	}
	a.cfg.Rand(a.instance[:])
	for _, f := range st.Findings() {
		a.log.Warn().Str("finding", f).Msg("repaired at start")
	}
	if err := a.loadTasks(); err != nil {
		return nil, err
	}
	for i := range a.cfg.Tasks {
		a.cfg.Tasks[i].Init = nil // the tasks have what they need of it
	}
	a.self = a.order[0].topics
	n, err := a.holdings.sweep()
	if n > 0 {
		a.log.Info().Int("blobs", n).Msg("removed what no record names")
	}
	return a, errors.Join(err, a.connect())
}

// loadTasks reads the tasks back, and makes the machine of them.
func (a *aggregator) loadTasks() error {
	cfg := owner.Config{
		Instance: a.instance, Uploads: a.cfg.Uploads, Rand: a.cfg.Rand, Heeds: a.cfg.Signer != nil || a.cfg.AdoptEpoch,
	}
	for _, t := range a.cfg.Tasks {
		task, oc, err := a.loadTask(t)
		if err != nil {
			return fmt.Errorf("aggregator: task %s: %w", t.Name, err)
		}
		a.tasks[t.Name], a.order, cfg.Tasks = task, append(a.order, task), append(cfg.Tasks, oc)
	}
	a.machine = owner.New(cfg)
	for _, t := range a.order {
		t.m = a.machine.Task(t.cfg.Name)
	}
	return nil
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

// reach is the aggregator's way to the broker.
func (c Config) reach(log zerolog.Logger) link.Config {
	return link.Config{
		Broker: c.Broker, ClientID: c.ClientID, Username: c.Username, Password: c.Password,
		TLS: c.TLS, Headers: c.Headers, Dial: c.Dial, Log: log,
	}
}

func (a *aggregator) connect() error {
	cfg := a.cfg.reach(a.log)
	cfg.MaxPacket, cfg.Deepest = max(a.cfg.PartSize, 1<<20)+64<<10, a.cfg.deepest(a.ns)
	cfg.Will = &link.Message{Topic: a.self.State(), Payload: a.stateJSON(false), QoS: 1, Retained: true}
	cfg.Coalesce = func(topic string, _ []byte) string {
		// Commands are kept whole, and parts share a topic. The presence stays
		// behind the retained orders that came before it: its echo says that
		// they were seen.
		if t, err := a.ns.Parse(topic); err != nil || t.Kind == topics.Command || t.Kind == topics.Part || topic == a.self.State() {
			return ""
		}
		return topic
	}
	cfg.Bulk = func(topic string) bool { // parts are granted again, and never crowd out the rest
		t, err := a.ns.Parse(topic)
		return err != nil || t.Kind == topics.Part
	}
	conn, err := link.New(cfg)
	if err != nil {
		return err
	}
	a.conn = conn
	conn.Subscribe(a.filters()...)
	a.out = newCarrier(conn)
	return nil
}

// filters are the standing subscriptions.
func (a *aggregator) filters() []link.Filter {
	f := []link.Filter{{Topic: a.self.State(), QoS: 1}}
	for _, t := range a.order {
		f = append(f, t.filters(a.ns)...)
	}
	return f
}
