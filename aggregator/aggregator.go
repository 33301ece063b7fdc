package aggregator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/link"
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
		err = a.rest(a.run(ctx))
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

// rest leaves the disk as a driver should that ended with err, unless the disk failed it.
func (a *aggregator) rest(err error) error {
	err = errors.Join(err, a.staging.Close())
	if errors.Is(err, store.ErrDisk) {
		return err
	}
	for _, t := range a.order {
		err = errors.Join(err, t.keeping.rest(a.store))
	}
	return err
}

func newAggregator(cfg Config, st *store.Store) (*aggregator, error) {
	ns, err := topics.Configured(cfg.Namespace, cfg.Bulk)
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
		clock:  cfg.Now(),
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

func (a *aggregator) connect() error {
	cfg := a.cfg.reach(a.log)
	cfg.MaxPacket, cfg.Deepest = max(a.cfg.PartSize, 1<<20)+64<<10, a.cfg.deepest(a.ns)
	cfg.SpareBytes = a.cfg.StageMemory
	cfg.Will = &link.Message{Topic: a.self.State(), Payload: a.stateJSON(false), QoS: 1, Retained: true}
	cfg.Coalesce = func(topic string, _ []byte) string {
		// Commands are kept whole, and parts share a topic. The presence stays
		// behind the retained orders that came before it: its echo says that
		// they were seen. A member's hides no Last Will that came before it.
		if t, err := a.ns.Parse(topic); err != nil || t.Kind == topics.Command || t.Kind == topics.Part || t.Kind == topics.State {
			return ""
		}
		return topic
	}
	cfg.Bulk = func(topic string) bool { // parts are granted again, presences come again, and neither crowds out the rest
		t, err := a.ns.Parse(topic)
		return err != nil || t.Kind == topics.Part || t.Kind == topics.State && topic != a.self.State()
	}
	conn, err := link.New(cfg)
	if err != nil {
		return err
	}
	a.conn, a.staging = conn, a.store.NewStaging(a.cfg.StageMemory, conn.Spent)
	conn.Subscribe(a.filters()...)
	a.out = newCarrier(conn)
	return nil
}
