package replay_test

import (
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record/replay"
)

// late is the history of a task in which an update counts one round late.
func late(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3, strategy: "fedbuff", late: true}
	d.begin()
	return d
}

// A replay folds late updates with the staleness that the record names, and finds what no
// round can have counted.
func TestStaleness(t *testing.T) {
	t.Parallel()
	late(t).runs("late", []replay.How{hashed, replayed, chained, replayed, replayed, replayed})
	const in3 = "round 3, attempt 1"
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   string
	}{
		{"in time", func(d *disk) { d.records[4].Entries[2].Staleness = 0 }, in3 + ", tensor layers.0."},
		{"further behind", func(d *disk) { d.records[4].Entries[2].Staleness = 2 }, in3 + ", tensor layers.0."},
		{"of no round", func(d *disk) { d.records[4].Entries[2].Staleness = 3 }, in3 + ", member c/line-1: its staleness is 3 in round 3"},
		{"of a round in which it counts", func(d *disk) { d.records[4].Entries[1].Staleness = 1 }, in3 + ", member b/line-1: its update of round 2 counts, after one of round 2"},
		{"beyond max_staleness", func(d *disk) {
			d.records[4].Strategy.Params["max_staleness"] = 0.
		}, in3 + ", member c/line-1: its staleness is 1 in round 3, want at most 0"},
		{"of another strategy", func(d *disk) {
			d.records[4].Strategy.Name, d.records[4].Strategy.Params = "fedavg", nil
		}, in3 + ", member c/line-1: its staleness is 1 in round 3, want at most 0"},
		{"in a round of evaluation", func(d *disk) { d.records[5].Entries[0].Staleness = 1 }, "round 4, attempt 1, member a/line-1: its staleness is 1"},
		{"refused, too far behind", func(d *disk) {
			d.records[4].Entries[2].Staleness, d.records[4].Entries[2].Verdict = 12, verdict.NormOutlier
		}, in3 + ", member c/line-1: its staleness is 12"},
	} {
		d := late(t)
		c.change(d)
		if _, err := d.run(d.config()); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}
