package replay_test

import (
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

// guarded is the history of a task with a guard that zeroes and clips, and two members
// that send monsters.
func guarded(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3, monsters: 2}
	d.guard = strategy.Guard{Zero: strategy.DefaultZeroing(), Clip: &strategy.Clipping{Initial: 0.5, Quantile: 0.8, Rate: 0.2}}
	d.begin()
	return d
}

// A guard's rounds are made again with its thresholds and its state: those of the record,
// which follow from what the rounds before have left, and from whom it refused.
func TestGuard(t *testing.T) {
	t.Parallel()
	d := guarded(t)
	d.runs("as it was", []replay.How{hashed, replayed, chained, replayed, replayed, replayed})
	if d.records[3].Strategy.Thresholds["Z"] != 21 || d.records[4].Strategy.Thresholds["beta"] != 3./5 || float64(d.records[3].Entries[0].Norm) < 0.5 {
		t.Errorf("nothing is clipped or counted: %v, %v", d.records[3].Strategy.Thresholds, d.records[4].Strategy.Thresholds)
	}
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   string
	}{
		{"another Z", func(d *disk) { d.records[3].Strategy.Thresholds["Z"] = 22 }, "round 2, attempt 2: the thresholds are map[C:0.5 Z:22 z:10], after the rounds before map[C:0.5 Z:21 z:10]"},
		{"another z", func(d *disk) { d.records[4].Strategy.Thresholds["z"] = 10 }, "round 3, attempt 1: the thresholds are"},
		{"no thresholds", func(d *disk) { d.records[3].Strategy.Thresholds = nil }, "round 2, attempt 2: the thresholds are map[]"},
		{"no guard", func(d *disk) { d.records[3].Strategy.Guard = nil }, "round 2, attempt 2: the thresholds are map[C:0.5 Z:21 z:10], after the rounds before map[]"},
		{"another guard", func(d *disk) { d.records[3].Strategy.Guard["zero.rate"] = 0 }, "round 2, attempt 2: guard: zero.rate is 0, want 0.01 to 10"},
		{"fewer refused", func(d *disk) { d.records[3].Entries = d.records[3].Entries[:4] }, "round 2, attempt 2: the replay leaves the state"},
		{"not clipped", func(d *disk) {
			for i := range d.records {
				delete(d.records[i].Strategy.Thresholds, "C")
				for _, name := range []string{"clip.initial", "clip.quantile", "clip.rate"} {
					delete(d.records[i].Strategy.Guard, name)
				}
			}
		}, "round 2, attempt 2, tensor layers.0."},
		{"counted, and a monster", func(d *disk) {
			for i := range d.records {
				if s := &d.records[i].Strategy; s.Guard != nil {
					s.Guard["zero.initial"], s.Guard["zero.increment"] = 0.01, 0
					s.Thresholds["z"], s.Thresholds["Z"] = 0.01, 0.02
				}
			}
		}, "round 2, attempt 2, member a/line-1: its update cannot be counted: strategy: norm_outlier: tensor \"layers.0."},
	} {
		d := guarded(t)
		c.change(d)
		if _, err := d.run(d.config()); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	d.records[4].Strategy.Thresholds = record.Values{"most": math.Inf(1)}
	if _, err := d.records[4].Encode(nil); err == nil || !strings.Contains(err.Error(), `threshold "most" is +Inf`) {
		t.Errorf("a threshold without bounds: %v", err)
	}
}
