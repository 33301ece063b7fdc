package replay_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// older is the history of a task whose ids are plain hashes, and which goes on with
// trees: an adoption names the same model and state anew (RC-25).
func older(t *testing.T) *disk {
	t.Helper()
	d := withMomentum(t, true)
	last := d.last()
	d.plain = false
	d.adopted(last)
	return d
}

// Records of before are held against their own ids, those after against theirs,
// whatever was kept.
func TestOlderIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   []replay.How // of genesis, statistics, abandoned, train, train, evaluate, adopted, train
	}{
		{"everything kept", func(*disk) {}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, replayed, replayed}},
		{"no older model", func(d *disk) {
			d.dropModels(0, 1, 3, 4)
			d.drop(1, 2, 3, 4)
		}, []replay.How{chained, chained, chained, chained, chained, replayed, hashed, replayed}},
		{"no older state", func(d *disk) { d.dropStates(3, 4) }, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, replayed, replayed}},
		{"the model that goes on is gone", func(d *disk) { d.dropModels(6) }, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, replayed, replayed}},
	} {
		d := older(t)
		c.change(d)
		d.runs(c.name, c.want)
	}
}

func TestOlderIDsDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(d *disk)
		want   string
	}{
		"an older model of other bytes": {func(d *disk) { d.flip(d.records[3].Model) }, "round 2, attempt 2: the blob of the model"},
		"another model goes on": {func(d *disk) {
			m := d.last().Clone()
			m.Blob[len(m.Blob)-1] ^= 0x80
			d.records = d.records[:6]
			d.adopted(m)
		}, "round 9, attempt 0: the model is not what its base"},
		"another state goes on": {func(d *disk) {
			d.state = slices.Clone(d.state)
			d.state[0] ^= 1
			d.records[6].State = d.put(d.state)
		}, "round 9, attempt 0: the replay leaves the state"},
		"another state goes on, and the updates of before are gone": {func(d *disk) {
			d.drop(1, 2, 3, 4)
			d.dropStates(3, 4)
			d.state = slices.Clone(d.state)
			d.state[0] ^= 1
			d.records[6].State = d.put(d.state)
		}, "round 9, attempt 0: the state is not what"},
		"no state goes on": {func(d *disk) { d.records[6].State = model.Hash{} }, "round 9, attempt 0: the state is"},
		"trees without an adoption": {func(d *disk) {
			d.records = append(d.records[:6], d.records[7:]...)
			d.records[6].Round, d.records[6].Version = 5, 5
		}, "round 5, attempt 1: its content ids are of the kind \"tree\""},
		"plain hashes after trees":   {func(d *disk) { d.records[7].IDs = "" }, "round 10, attempt 1: its content ids are of the kind \"\""},
		"an older record with trees": {func(d *disk) { d.records[0].IDs = record.IDsTree }, "round 0, attempt 0: the blob of the model"},
	} {
		d := older(t)
		c.change(d)
		if _, err := d.run(d.config()); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s...", name, err, c.want)
		}
	}
}
