package virtual

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/contract"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

const (
	namespace = "acme"
	taskName  = "quality"
)

// world is one federation inside a bubble of virtual time: a broker, one
// aggregator, and sites, each with a data directory of its own.
type world struct {
	t   *testing.T
	dir string
	log zerolog.Logger
	ns  topics.Namespace

	aggKey  *wire.Signer
	keys    []wire.Key // of everybody; nil: unsigned
	siteKey map[string]*wire.Signer

	mu      sync.Mutex
	broker  *broker.Broker
	stop    func() // the broker
	conns   map[string]net.Conn
	barred  string                   // has no way to the broker
	dialled map[string]time.Time     // when a party reached the broker last
	keeps   bool                     // the broker keeps what is retained, on its disk
	gate    chan struct{}            // the aggregator's clock waits for it, nil: does not
	set     func(*aggregator.Config) // changes what aggregate starts with, nil: nothing
	deaf    bool                     // the aggregator's next connections get no PUBACK while it is set
	tune    func(*site.Config)       // changes what join starts with, nil: nothing
	lines   map[string]*line         // networks of parties; without one, a pipe
	records []record.Record
	ends    []string

	encoding   string            // of the task that task gives
	strategies strategy.Registry // of the aggregator, and of who replays its records

	schemas   contract.Schemas
	published map[topics.Kind]int // JSON of the parties, each held against its schema

	origins map[string]wire.Nonce   // of the tasks of the running aggregator, as its orders say
	parties map[string]func() error // running, by name: ends it and returns its error
}

// aggregatorName is the aggregator among the parties.
const aggregatorName = "aggregator"

// hours leaves a test out of short runs, which those with the race detector are: it
// has much of the same in it, hours or many members, and nothing else runs at once.
func hours(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("hours, although of virtual time")
	}
}

// brief is d, or a tenth of it under the race detector: what goes on for hours does what it
// does in minutes.
func brief(d time.Duration) time.Duration {
	if racing.On {
		return d / 10
	}
	return d
}

// inBubble runs a test of a federation in virtual time.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	bubble.Test(t, func(t *testing.T) { test(newWorld(t)) })
}

// schemas are read once: no world changes them.
var schemas = sync.OnceValues(func() (contract.Schemas, error) { return contract.Load("../..") })

func newWorld(t *testing.T) *world {
	t.Helper()
	ns, err := topics.New(namespace)
	check(t, err)
	ns, err = ns.WithBulk(heavy, "third")
	check(t, err)
	w := &world{
		t: t, dir: t.TempDir(), log: zerolog.Nop(), ns: ns,
		siteKey: map[string]*wire.Signer{}, conns: map[string]net.Conn{}, dialled: map[string]time.Time{}, parties: map[string]func() error{},
		lines: map[string]*line{}, published: map[topics.Kind]int{},
	}
	w.schemas, err = schemas()
	check(t, err)
	if os.Getenv("FEDMQ_TEST_LOG") != "" {
		w.log = zerolog.New(zerolog.NewTestWriter(t)).With().Timestamp().Logger()
	}
	w.startBroker()
	t.Cleanup(w.endAll)
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// endAll ends what still runs in the right order: sites, aggregator, broker
// (M9).
func (w *world) endAll() {
	w.t.Helper()
	for _, name := range w.names() {
		if name != aggregatorName {
			w.end(name)
		}
	}
	if w.parties[aggregatorName] != nil {
		w.end(aggregatorName)
	}
	w.stopBroker()
	for _, l := range w.lines {
		l.hold(false, false)
		l.goes.Wait() // what was under way arrives
	}
}

func (w *world) names() []string {
	var names []string
	for name := range w.parties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// startBroker starts a broker, open to everybody, and empty unless it keeps what
// is retained.
func (w *world) startBroker() {
	w.t.Helper()
	cfg := broker.Config{Open: true, Log: w.log}
	if w.keeps {
		cfg.DataDir = filepath.Join(w.dir, "broker")
	}
	b, err := broker.New(cfg)
	check(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broker, w.stop = b, func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

// stopBroker ends the broker and all that it retained.
func (w *world) stopBroker() {
	w.mu.Lock()
	stop := w.stop
	w.broker, w.stop = nil, nil
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// dial is the way of a party to the broker that runs now.
func (w *world) dial(name string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.broker == nil || w.barred == name {
			return nil, errors.New("no broker")
		}
		w.dialled[name] = time.Now()
		c := w.broker.Conn("")
		if l := w.lines[name]; l != nil {
			c = l.join(c)
		}
		if name == aggregatorName {
			c = &deafConn{Conn: c, w: w}
		}
		if !racing.On && (name == aggregatorName || strings.HasSuffix(name, "/line-1")) {
			c = &readerConn{Conn: c, w: w, name: name}
		}
		w.conns[name] = c
		return c, nil
	}
}

// bar keeps one party from the broker that runs, "" for nobody.
func (w *world) bar(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.barred = name
}

// reached is when a party reached the broker last.
func (w *world) reached(name string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dialled[name]
}

// network is the line of a party's next connections.
func (w *world) network(name string, l *line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines[name] = l
}

// cut breaks a party's connection without a word.
func (w *world) cut(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	check(w.t, w.conns[name].Close())
}

// sign gives the aggregator and the sites keys.
func (w *world) sign(sites ...string) {
	w.aggKey = w.newKey("", topics.RoleAggregator)
	for _, s := range sites {
		w.siteKey[s] = w.newKey(s, topics.RoleSite)
	}
}

func (w *world) newKey(path string, role topics.Role) *wire.Signer {
	w.t.Helper()
	key := privateKey(path, role)
	s, err := wire.NewSigner(key)
	check(w.t, err)
	w.keys = append(w.keys, wire.Key{Path: path, Role: role, Public: key.Public().(ed25519.PublicKey)})
	return s
}

func privateKey(path string, role topics.Role) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, path+role.String())
	return ed25519.NewKeyFromSeed(seed)
}

// task is a small task; change what a test needs.
func (w *world) task() aggregator.Task {
	return aggregator.Task{
		Name: taskName, Members: []string{"+/line-1"}, Rounds: 3, Quorum: 2, StartWhen: 3,
		Deadline: time.Minute, Init: weights(w.t, 1, -2), KeepModels: -1, Cap: 1 << 20, Encoding: w.encoding,
	}
}

// aggregate starts the aggregator on its directory.
func (w *world) aggregate(tasks ...aggregator.Task) {
	w.t.Helper()
	w.origins = map[string]wire.Nonce{}
	cfg := aggregator.Config{
		Namespace: namespace, DataDir: filepath.Join(w.dir, aggregatorName), Tasks: tasks, Strategies: w.strategies, Dial: w.dial(aggregatorName),
		Signer: w.aggKey, Keys: w.keys, Now: w.now, Log: w.log.With().Str("party", aggregatorName).Logger(),
		OnRecord: func(_ string, r record.Record) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.records = append(w.records, r)
		},
		OnEnd: func(_ string, finished bool, reason string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if finished {
				reason = "finished"
			}
			w.ends = append(w.ends, reason)
		},
	}
	if w.set != nil {
		w.set(&cfg)
	}
	w.start(aggregatorName, func(ctx context.Context) error { return aggregator.Run(ctx, cfg) })
}

// now is the aggregator's clock. While the gate is shut it stops the driver in
// its tracks, so that messages pile up and share a batch.
func (w *world) now() time.Time {
	w.mu.Lock()
	gate := w.gate
	w.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return time.Now()
}

// shut stops the aggregator's driver at its next look at the clock until open
// is called.
func (w *world) shut() (open func()) {
	gate := make(chan struct{})
	set := func(g chan struct{}) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gate = g
	}
	set(gate)
	return func() { set(nil); close(gate) }
}

// join starts a site.
func (w *world) join(member string, tr trainer.Trainer) {
	w.t.Helper()
	cfg := site.Config{
		Namespace: namespace, Member: member, DataDir: w.siteDir(member), Dial: w.dial(member),
		Tasks: []site.Task{{Name: taskName, Trainer: tr}}, Log: w.log.With().Str("party", member).Logger(),
		Signer: w.siteKey[member],
	}
	if cfg.Signer != nil {
		cfg.Keys = w.keys
	}
	if w.tune != nil {
		w.tune(&cfg)
	}
	w.start(member, func(ctx context.Context) error { return site.Run(ctx, cfg) })
}

func (w *world) siteDir(member string) string {
	return filepath.Join(w.dir, strings.ReplaceAll(member, "/", "_"))
}

func (w *world) start(name string, run func(context.Context) error) {
	w.t.Helper()
	if w.parties[name] != nil {
		w.t.Fatalf("%s runs already", name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	w.parties[name] = func() error {
		cancel()
		return <-done
	}
}

// end ends a party, which must end without an error.
func (w *world) end(name string) {
	w.t.Helper()
	if err := w.leave(name); err != nil {
		w.t.Errorf("%s: %v", name, err)
	}
}

// leave ends a party and returns its error.
func (w *world) leave(name string) error {
	stop := w.parties[name]
	delete(w.parties, name)
	return stop()
}

// until waits in virtual time.
func (w *world) until(what string, within time.Duration, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		synctest.Wait()
		if ok() {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("not within %s: %s; records: %s", within, what, w.story())
		}
	}
}

// finished waits for the task's end.
func (w *world) finished(within time.Duration) {
	w.t.Helper()
	w.until("the end of the task", within, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.ends) > 0
	})
	time.Sleep(time.Minute) // sites learn what became of their last updates
}

// recorded waits for a round's record.
func (w *world) recorded(round uint64, verdict string, within time.Duration) (found record.Record) {
	w.t.Helper()
	w.until(verdict+" record", within, func() bool {
		i := slices.IndexFunc(w.all(), func(r record.Record) bool { return r.Round == round && r.Verdict == verdict })
		if i >= 0 {
			found = w.all()[i]
		}
		return i >= 0
	})
	return found
}

func (w *world) all() []record.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.records)
}

// story tells the records in short.
func (w *world) story() string {
	var out []string
	for _, r := range w.all() {
		s := r.Work + " " + r.Verdict + ":"
		for _, e := range r.Entries {
			s += " " + strings.TrimSuffix(e.Member, "/line-1") + "=" + e.Verdict.String()
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// counted returns how many updates of a record count.
func counted(r record.Record) int { return r.Counts()[verdict.Counted.String()] }

// history opens the aggregator's directory after its end and returns its
// records, checked: the chain holds and each has its exact copy as a file.
func (w *world) history() []record.Record {
	w.t.Helper()
	dir := filepath.Join(w.dir, aggregatorName)
	st, err := store.Open(dir, store.Options{})
	check(w.t, err)
	var raws [][]byte
	check(w.t, st.View(func(tx *store.Tx) error {
		return tx.RecordsOf(taskName, 0, func(_ uint64, _ uint32, raw []byte) error {
			raws = append(raws, raw)
			return nil
		})
	}))
	check(w.t, st.Close())
	check(w.t, record.CheckChain(raws))
	files, err := filepath.Glob(filepath.Join(dir, "records", taskName, "*"))
	check(w.t, err)
	if len(files) != len(raws) {
		w.t.Errorf("%d files of %d records", len(files), len(raws))
	}
	var recs []record.Record
	for i, raw := range raws {
		r, err := record.Decode(raw)
		check(w.t, err)
		recs = append(recs, r)
		if got, err := os.ReadFile(files[i]); err != nil || string(got) != string(raw) {
			w.t.Errorf("%s is not the record: %v", files[i], err)
		}
	}
	w.replay(dir, raws)
	return recs
}

// journal returns how many verdicts the aggregator's disk holds after its end.
func (w *world) journal() (n int) {
	w.t.Helper()
	st, err := store.Open(filepath.Join(w.dir, aggregatorName), store.Options{})
	check(w.t, err)
	check(w.t, st.View(func(tx *store.Tx) error {
		left, err := tx.Journal(taskName)
		n = len(left)
		return err
	}))
	check(w.t, st.Close())
	return n
}

// settled checks that a site that has ended has nothing left to send.
func (w *world) settled(members ...string) {
	w.t.Helper()
	for _, m := range members {
		st, err := store.Open(w.siteDir(m), store.Options{})
		check(w.t, err)
		check(w.t, st.View(func(tx *store.Tx) error {
			return tx.ForEach(store.Outbox, "", func(key string, _ []byte) error {
				w.t.Errorf("%s: %q is in the outbox", m, key)
				return nil
			})
		}))
		check(w.t, st.Close())
	}
}
