package federation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

var (
	sameOrder = flag.Int("order", -1, "which order of arrival TestSameBits runs, 0 to 4; -1: two of them")
	sameRow   = flag.String("row", strategy.FedAvg, "what folds in TestSameBits: a strategy, server:OPTIMISER, or guard:clip")
	sameCrash = flag.Bool("crash", false, "stop the aggregator in a round of TestSameBits and start it again")
)

// orders are orders of arrival of the seven sites: so many are enough for every strategy.
var orders = []string{"abcdefg", "gfedcba", "caebdgf", "bdegfac", "fdecgab"}

// guardRow is federated averaging behind a guard that clips every update, with a C whose
// exponential function reaches the model.
const guardRow = "guard:clip"

// rows are what folds: every strategy of the registry, every server optimiser, and the guard.
func rows() (list []string) {
	for _, a := range (strategy.Registry{}).AboutStrategies() {
		list = append(list, a.Name)
	}
	for _, a := range (strategy.Registry{}).AboutServers() {
		list = append(list, "server:"+a.Name)
	}
	return append(list, guardRow)
}

// TestSameBits runs one fixed federation, in other orders of arrival, with and
// without a restart of the aggregator, and without a broker: it must end with one model.
// scripts/samebits runs it on other processors.
func TestSameBits(t *testing.T) {
	t.Parallel()
	if *sameOrder >= 0 {
		fmt.Printf("model %s\n", fixed(t, *sameRow, orders[*sameOrder], *sameCrash))
		return
	}
	first, second := fixed(t, strategy.FedAvg, orders[0], false), fixed(t, strategy.FedAvg, orders[3], true)
	if first != second {
		t.Errorf("model %s, and %s in another order with a restart", first, second)
	}
	for _, row := range rows() {
		same := row == strategy.FedAvg || row == "server:"+strategy.SGD
		if offline := withoutBroker(t, row); (offline == first) != same && (same || strings.Contains(row, ":")) {
			t.Errorf("%s: model %s without a broker; fedavg has %s with one", row, offline, first)
		}
	}
}

// fixedTask is the federation of TestSameBits, with what is in a row.
func fixedTask(row string) func(*aggregator.Task) {
	return func(t *aggregator.Task) {
		t.Rounds, t.StartWhen, t.Quorum, t.Statistics = 3, len(fixedSites), len(fixedSites), true
		if server, ok := strings.CutPrefix(row, "server:"); ok {
			t.Server = server
			return
		}
		if row == guardRow {
			clip := strategy.DefaultClipping()
			clip.Initial = 0.01
			t.Guard = &strategy.Guard{Zero: strategy.DefaultZeroing(), Clip: clip}
			return
		}
		about, _ := strategy.Registry{}.AboutStrategy(row)
		t.Strategy, t.StrategyParams = row, strategy.Settings{}
		if rooted, _ := (strategy.Registry{}).Rooted(strategy.Setup{Work: strategy.Train, Strategy: row}); rooted {
			t.Root = exact{samples: fixedSamples(0), inputs: features}
		}
		for _, p := range about.Params {
			if p.Default == nil { // how many of the sites may be bad, say
				t.StrategyParams[p.Name] = max(p.Min, min(1, p.Max))
			}
		}
	}
}

// fixedSites are its sites; the i-th has so many samples.
var fixedSites = []string{"a", "b", "c", "d", "e", "f", "g"}

func fixedSamples(i int) int { return 100 + 77*i }

// withoutBroker runs the same offline.
func withoutBroker(t *testing.T, row string) model.Hash {
	t.Helper()
	var members []aggregator.OfflineMember
	for i, path := range fixedSites {
		tr := exact{samples: fixedSamples(i), inputs: features}
		controls := &site.Controls{}
		members = append(members, aggregator.OfflineMember{Path: path, Samples: uint64(tr.samples), Capabilities: tr.Capabilities(), Settled: controls.Settled, Do: func(ctx context.Context, o aggregator.OfflineOrder) (wire.Update, error) {
			return site.Do(ctx, tr, site.Order{Task: o.Task, Member: path, Work: o.Work, Round: o.Round, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed, Base: o.Base, Local: o.Local, Controls: controls})
		}})
	}
	w := &world{t: t, initial: wide(t)}
	last, _, err := aggregator.Offline(t.Context(), w.config(fixedTask(row)), members)
	if err != nil {
		t.Fatal(err)
	}
	return last.ContentID()
}

// fixed runs the federation and returns the content id of its last model.
func fixed(t *testing.T, row, order string, restart bool) model.Hash {
	t.Helper()
	w := newWorld(t)
	w.initial = wide(t)
	cfg := w.config(fixedTask(row))
	cfg.PartSize = wire.MinPart // model and updates travel in parts
	turns := newTurns(order)
	watcher := w.client(t, "turns", "acme/_fl_v1/"+task+"/event")
	ctx, cancel := context.WithCancel(context.Background())
	var goes sync.WaitGroup
	goes.Go(func() { turns.watch(ctx, watcher) })
	a := w.aggregate(cfg)
	waitFor(t, w, "an order", func(v view) bool { return v.Round == 1 })
	var sites []*party
	for i, member := range fixedSites {
		sites = append(sites, w.site(member, exact{turns: turns, samples: fixedSamples(i), inputs: features}))
	}
	if restart {
		if !turns.wait(3, 2) {
			t.Fatal("nobody is accepted in round 3")
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		a = w.aggregate(cfg)
	}
	a.finish(t)
	w.stopAll(append(sites, a.party)...)
	cancel()
	goes.Wait()
	watcher.stop()
	recs := w.recorded()
	last := recs[len(recs)-1]
	for _, r := range recs[1:] {
		if r.Verdict == record.Committed && r.Counts()["counted"] != len(fixedSites) {
			t.Errorf("round %d: %v, want all counted", r.Round, r.Counts())
		}
	}
	if last.Round != 5 || last.Work != "evaluate" || last.Model == w.initial.ContentID() {
		t.Errorf("the last record is of round %d, %s", last.Round, last.Work)
	}
	return last.Model
}

const features = 24

// wide is a model of all kinds of tensors. Those of float64 show a rounding that
// was left out, as by a fused multiply-add; those of float32 hide most.
func wide(t *testing.T) *model.Model {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{features}, Rule: model.Keep},
		model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{features}, Rule: model.Keep},
		model.Spec{Name: "narrow", DType: model.F32, Shape: []int{64, 40}},
		model.Spec{Name: "steps", DType: model.I64, Shape: []int{1}, Rule: model.Keep},
		model.Spec{Name: "wide", DType: model.F64, Shape: []int{1000}})
	if err != nil {
		t.Fatal(err)
	}
	return model.New(s)
}

// turns lets the sites of each round train one after the other: each when those
// before it in the order are accepted.
type turns struct {
	order string

	mu       sync.Mutex
	changed  chan struct{}
	accepted map[uint64]map[string]bool
}

func newTurns(order string) *turns {
	return &turns{order: order, changed: make(chan struct{}), accepted: map[uint64]map[string]bool{}}
}

// watch takes in the facts that the aggregator publishes.
func (u *turns) watch(ctx context.Context, c *client) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-c.conn.Messages():
			var e struct {
				Event, Member string
				Round         uint64
			}
			if json.Unmarshal(m.Payload, &e) == nil && e.Event == "accepted" {
				u.take(e.Round, e.Member)
			}
		}
	}
}

func (u *turns) take(round uint64, member string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.accepted[round] == nil {
		u.accepted[round] = map[string]bool{}
	}
	u.accepted[round][member] = true
	close(u.changed)
	u.changed = make(chan struct{})
}

// until waits until want holds of the members accepted in a round.
func (u *turns) until(ctx context.Context, round uint64, want func(map[string]bool) bool) error {
	for {
		u.mu.Lock()
		ok, changed := want(u.accepted[round]), u.changed
		u.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// mine waits for a member's turn in a round.
func (u *turns) mine(ctx context.Context, round uint64, member string) error {
	if u == nil { // all at once
		return nil
	}
	first, _, _ := strings.Cut(u.order, member)
	before := strings.Split(first, "")
	return u.until(ctx, round, func(in map[string]bool) bool {
		return !slices.ContainsFunc(before, func(m string) bool { return m != "" && !in[m] })
	})
}

// wait waits until n members are accepted in a round.
func (u *turns) wait(round uint64, n int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return u.until(ctx, round, func(in map[string]bool) bool { return len(in) >= n }) == nil
}

// exact makes updates and statistics by integers and exact steps alone, so that
// what a processor can do otherwise is the aggregator's part.
type exact struct {
	turns   *turns
	samples int
	inputs  int
}

func (e exact) Samples() int { return e.samples }

// Capabilities are all: what a strategy adds to training is not the aggregator's part.
func (e exact) Capabilities() []string { return trainer.Needs() }

func (e exact) Scalars() map[string]float64 {
	return map[string]float64{
		trainer.ScalarSteps: float64(e.samples), trainer.ScalarLR: .0625, trainer.ScalarMomentum: 0, trainer.ScalarLoss0: 1 / float64(e.samples),
	}
}

// noise is a source that follows from member and round.
func noise(member string, round uint64) *rand.PCG {
	sum := sha256.Sum256([]byte(member))
	return rand.NewPCG(uint64(sum[0])<<8|uint64(sum[1]), round)
}

// float makes a float32 of any exponent from 2^-40 to 2^1, denormals now and
// then.
func float(x uint64) float32 {
	if x>>58 == 0 {
		return math.Float32frombits(uint32(x) & 0x807fffff)
	}
	return math.Float32frombits(uint32(x)&0x807fffff | (87+uint32(x>>32)%42)<<23)
}

func (e exact) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if err := e.turns.mine(ctx, job.Round, job.Member); err != nil {
		return nil, err
	}
	out, rng := global.Clone(), noise(job.Member, job.Round)
	v32, err32 := out.Float32s("narrow")
	v64, err64 := out.Float64s("wide")
	for i := range v32 {
		v32[i] += float(rng.Uint64())
	}
	for i := range v64 {
		v64[i] += float64(float(rng.Uint64())) + float64(float64(rng.Uint64()>>12)/(1<<60))
	}
	return out, errors.Join(err32, err64, out.SetFloat32s("narrow", v32), out.SetFloat64s("wide", v64))
}

// Statistics are of nothing: numbers whose quotients have no end.
func (e exact) Statistics(_ context.Context, job trainer.Job) (*model.Model, error) {
	dim := []int{e.inputs}
	s, err := model.NewSchema(
		model.Spec{Name: "n", DType: model.F64, Shape: dim},
		model.Spec{Name: "mean", DType: model.F64, Shape: dim},
		model.Spec{Name: "m2", DType: model.F64, Shape: dim})
	if err != nil {
		return nil, err
	}
	m, rng := model.New(s), noise(job.Member, job.Round)
	n, mean, m2 := make([]float64, e.inputs), make([]float64, e.inputs), make([]float64, e.inputs)
	for i := range n {
		n[i] = float64(1 + rng.Uint64()%1000)
		mean[i] = float64(int64(rng.Uint64()) >> 20)
		m2[i] = float64(rng.Uint64() >> 12)
	}
	return m, errors.Join(m.SetFloat64s("n", n), m.SetFloat64s("mean", mean), m.SetFloat64s("m2", m2))
}
