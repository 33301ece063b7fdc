package replay_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record/replay"
)

// rooted is the history of a task whose strategy holds updates against the aggregator's own.
func rooted(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3, rooted: true}
	d.begin()
	return d
}

// The aggregator's own update is read where it was kept; without it the model is only
// looked at, and another one is a difference.
func TestRootUpdate(t *testing.T) {
	t.Parallel()
	rooted(t).runs("everything kept", []replay.How{hashed, replayed, chained, replayed, replayed, replayed})
	d := rooted(t)
	delete(d.blobs, d.records[3].Strategy.Root)
	d.runs("an own update is gone", []replay.How{hashed, replayed, chained, hashed, replayed, replayed})
	for name, c := range map[string]struct {
		change func(d *disk)
		want   string
	}{
		"a byte of it":     {func(d *disk) { d.flip(d.records[3].Strategy.Root) }, "round 2, attempt 2: the blob of the aggregator's own update"},
		"a short one":      {func(d *disk) { d.records[3].Strategy.Root = d.put([]byte{1, 2, 3, 4}) }, "round 2, attempt 2: the aggregator's own update has 4 bytes, want 12"},
		"another round's":  {func(d *disk) { d.records[3].Strategy.Root = d.records[4].Strategy.Root }, "round 2, attempt 2, tensor "},
		"none":             {func(d *disk) { d.records[3].Strategy.Root = model.Hash{} }, `strategy fltrust, and the aggregator's own update is ""`},
		"of another":       {func(d *disk) { d.records[3].Strategy.Name = "fedavg" }, "strategy fedavg, and the aggregator's own update is"},
		"of an evaluation": {func(d *disk) { d.records[5].Strategy.Root = d.records[4].Strategy.Root }, "round 4, attempt 1: a round of evaluate names the strategy"},
	} {
		d := rooted(t)
		c.change(d)
		if hows, err := d.run(d.config()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %s", name, slices.Clone(hows), err, c.want)
		}
	}
}
