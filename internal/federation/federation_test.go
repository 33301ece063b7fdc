package federation

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

const task = "quality"

// world is a broker and the parties around it.
type world struct {
	t       *testing.T
	dir     string
	initial *model.Model
	keys    *keyring

	mu     sync.Mutex
	broker *broker.Broker
	stop   func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "steps", DType: model.I64, Shape: []int{1}, Rule: model.Keep},
		model.Spec{Name: "weight", DType: model.F32, Shape: []int{3, 4}},
	)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), initial: model.New(s)}
	v := make([]float32, 12)
	for i := range v {
		v[i] = float32(i) - 5.5
	}
	v[3], v[4] = float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32
	if err := w.initial.SetFloat32s("weight", v); err != nil {
		t.Fatal(err)
	}
	w.startBroker()
	t.Cleanup(func() { w.stopBroker() })
	return w
}

// startBroker starts a broker, which has forgotten all that an earlier one
// retained.
func (w *world) startBroker() {
	w.t.Helper()
	b, err := broker.New(broker.Config{Open: true})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broker = b
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) stopBroker() {
	w.mu.Lock()
	stop := w.stop
	w.stop = func() {}
	w.mu.Unlock()
	stop()
}

func (w *world) dial(context.Context) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broker.Conn(""), nil
}

// party runs in the background until its stop is called.
type party struct {
	cancel func()
	done   chan error
}

func (p *party) stop() error { p.cancel(); return <-p.done }

func start(run func(context.Context) error) *party {
	ctx, cancel := context.WithCancel(context.Background())
	p := &party{cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- run(ctx) }()
	return p
}

func (w *world) site(member string, tr trainer.Trainer) *party {
	cfg := site.Config{
		Namespace: "acme", Member: member, DataDir: filepath.Join(w.dir, member), Dial: w.dial,
		Tasks: []site.Task{{Name: task, Trainer: tr}},
	}
	if w.keys != nil {
		cfg.Signer, cfg.Keys = w.keys.site(w.t, member)
	}
	return start(func(ctx context.Context) error { return site.Run(ctx, cfg) })
}

// stopAll ends parties at the end of a test, sites first.
func (w *world) stopAll(ps ...*party) {
	for _, p := range ps {
		if err := p.stop(); err != nil {
			w.t.Error(err)
		}
	}
}

// aggregation is an aggregator whose records can be waited for.
type aggregation struct {
	*party
	records chan record.Record
	ended   chan string // "" when finished
}

func (w *world) config(change func(*aggregator.Task)) aggregator.Config {
	t := aggregator.Task{
		Name: task, Members: []string{"+"}, Rounds: 4, StartWhen: 3, Quorum: 2, Init: w.initial, KeepUpdates: aggregator.KeepAll,
	}
	if change != nil {
		change(&t)
	}
	return aggregator.Config{
		Namespace: "acme", DataDir: filepath.Join(w.dir, "aggregator"), Dial: w.dial, Tasks: []aggregator.Task{t},
		Log: zerolog.New(testWriter{w.t}).Level(zerolog.InfoLevel),
	}
}

func (w *world) aggregate(cfg aggregator.Config) *aggregation {
	a := &aggregation{records: make(chan record.Record, 1000), ended: make(chan string, 10)}
	cfg.OnRecord = func(_ string, r record.Record) { a.records <- r }
	cfg.OnEnd = func(_ string, finished bool, reason string) {
		if finished {
			reason = ""
		}
		a.ended <- reason
	}
	if w.keys != nil {
		cfg.Signer, cfg.Keys = w.keys.aggregator(w.t)
	}
	a.party = start(func(ctx context.Context) error { return aggregator.Run(ctx, cfg) })
	return a
}

// finish waits for the end of the task.
func (a *aggregation) finish(t *testing.T) {
	t.Helper()
	select {
	case reason := <-a.ended:
		if reason != "" {
			t.Fatalf("the task ended: %s", reason)
		}
	case err := <-a.done:
		t.Fatalf("the aggregator ended: %v", err)
	}
}

// until waits for the record of a round.
func (a *aggregation) until(t *testing.T, round uint64) record.Record {
	t.Helper()
	for {
		select {
		case r := <-a.records:
			if r.Round == round {
				return r
			}
		case err := <-a.done:
			t.Fatalf("the aggregator ended before round %d: %v", round, err)
		}
	}
}

// records reads the exported records and checks their chain.
func (w *world) recorded() []record.Record {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "aggregator", "records", task, "*.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var raws [][]byte
	var recs []record.Record
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		r, err := record.Decode(raw)
		if err != nil {
			w.t.Fatal(err)
		}
		raws, recs = append(raws, raw), append(recs, r)
	}
	if err := record.CheckChain(raws); err != nil {
		w.t.Error(err)
	}
	return recs
}

// same trains nothing.
type same struct{}

func (same) Samples() int { return 7 }

func (same) Train(_ context.Context, _ trainer.Job, global *model.Model) (*model.Model, error) {
	return global.Clone(), nil
}

// seeded adds to every weight a number that follows from member and round. A
// gate, if there is one, has to be opened for each training.
type seeded struct {
	samples int
	gate    chan struct{}
	trained *int // times Train has finished
}

func (s seeded) Samples() int { return s.samples }

func (s seeded) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	sum := sha256.Sum256([]byte(job.Member + " " + strconv.FormatUint(job.Round, 10)))
	out := global.Clone()
	v, err := out.Float32s("weight")
	if err != nil {
		return nil, err
	}
	for i := range v {
		v[i] += float32(int8(sum[i%len(sum)])) / 256
	}
	if s.trained != nil {
		*s.trained++
	}
	return out, out.SetFloat32s("weight", v)
}

// Evaluate reports numbers that add up whatever the order.
func (s seeded) Evaluate(_ context.Context, job trainer.Job, _ *model.Model) (trainer.Evaluation, error) {
	sum := sha256.Sum256([]byte(job.Member))
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 10, trainer.SumSE: float64(binary.LittleEndian.Uint16(sum[:])) / 3}}, nil
}

// testWriter gives log lines to the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
