package replay_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/strategytest"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
	"github.com/fedmq/fedmq/strategy"
)

// withMomentum is the history of a task whose server has one, with plain hashes as ids
// if it is of before.
func withMomentum(t *testing.T, plain bool) *disk {
	t.Helper()
	d := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3, server: "halfkept", plain: plain}
	d.registry.Optimisers = []strategy.Optimiser{strategytest.Half{}}
	d.begin()
	return d
}

// What a server optimiser keeps is made again with the model, read where it
// was kept, and carried over rounds that do not train.
func TestOptimiserState(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   []replay.How // of genesis, statistics, abandoned, train, train, evaluate
	}{
		{"everything kept", func(*disk) {}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed}},
		{"no states, but all updates", func(d *disk) { d.dropStates(3, 4) }, []replay.How{hashed, replayed, chained, replayed, replayed, replayed}},
		{"a state in the place of updates", func(d *disk) { d.drop(3) }, []replay.How{hashed, replayed, chained, hashed, replayed, replayed}},
		{"neither state nor updates", func(d *disk) { d.drop(2, 3); d.dropStates(3) }, []replay.How{hashed, replayed, chained, hashed, hashed, replayed}},
		{"adopted", func(d *disk) { d.adopted(d.last()) }, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, hashed, replayed}},
	} {
		d := withMomentum(t, false)
		c.change(d)
		d.runs(c.name, c.want)
	}
}

func (d *disk) dropStates(places ...int) {
	for _, i := range places {
		delete(d.blobs, d.records[i].State)
	}
}

func TestOptimiserStateDiffers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   string
	}{
		{"a byte of a state", func(d *disk) { d.flip(d.records[3].State) }, "round 2, attempt 2: the blob of the state"},
		{"another state", func(d *disk) { d.records[4].State = d.records[3].State }, "round 3, attempt 1: the replay leaves the state"},
		{"no state", func(d *disk) { d.records[3].State = model.Hash{} }, "round 2, attempt 2: the replay leaves the state"},
		{"lost by an evaluation", func(d *disk) { d.records[5].State = model.Hash{} }, `round 4, attempt 1: the state is "" after a round of evaluate`},
		{"another optimiser", func(d *disk) { d.records[4].Strategy.Server = "" }, "round 3, attempt 1, tensor layers.0."},
		{"unknown optimiser", func(d *disk) { d.records[4].Strategy.Server = "luck" }, `round 3, attempt 1: strategy: unknown: server optimiser "luck", known: sgd, momentum, adagrad, adam, yogi, halfkept`},
	} {
		d := withMomentum(t, false)
		c.change(d)
		if _, err := d.run(d.config()); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}

// bounded refuses values beyond a threshold of the round.
type bounded struct {
	strategy.Linear
	most float64
}

func (b bounded) Thresholds([]byte) map[string]float64 { return map[string]float64{"most": b.most} }

type boundedFold struct {
	strategy.Fold
	most float64
}

func (b bounded) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	f, err := b.Linear.Begin(r, nil)
	return boundedFold{f, r.Thresholds["most"]}, err
}

func (f boundedFold) Check(u strategy.Update) error {
	if norm := strategy.Norm(u.Tensors); norm > f.most {
		return fmt.Errorf("%w: the norm %v, at most %v", strategy.ErrOutOfRange, norm, f.most)
	}
	return f.Fold.Check(u)
}

// What counted is held to the thresholds that the record names.
func TestThresholds(t *testing.T) {
	t.Parallel()
	for most, want := range map[float64]string{
		100: "",
		0.1: "round 3, attempt 1, member a/line-1: its update cannot be counted: fold: out_of_range: the norm",
		0.2: "round 3, attempt 1: the thresholds are map[most:0.2], after the rounds before map[most:0.25]",
	} {
		d := history(t)
		ours := most
		if most == 0.2 {
			ours = 0.25
		}
		d.registry.Strategies = []strategy.Strategy{bounded{strategy.Linear{ID: "bounded"}, ours}}
		d.records[4].Strategy.Name = "bounded"
		d.records[4].Strategy.Thresholds = record.Values{"most": most}
		if _, err := d.run(d.config()); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("at most %v: %v, want %q", most, err, want)
		}
	}
	d := history(t)
	d.records[4].Strategy.Thresholds = record.Values{"most": math.Inf(1)}
	if _, err := d.records[4].Encode(nil); err == nil || !strings.Contains(err.Error(), `threshold "most" is +Inf`) {
		t.Errorf("a threshold without bounds: %v", err)
	}
}
