package replay_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
	"github.com/fedmq/fedmq/strategy"
)

// A round without one member is, to the bit, the round that the others would have made; who
// was not counted is passed over, and where it cannot be made the reason is said.
func TestWithout(t *testing.T) {
	t.Parallel()
	d := history(t)
	r, base := d.records[4], d.records[3] // round 3
	about, err := record.DecodeDescription(d.about)
	must(t, err)
	schema, err := about.Layout()
	must(t, err)
	others := r
	others.Entries = slices.Delete(slices.Clone(r.Entries), 1, 2)
	want := d.fold(strategy.Setup{Work: "train", Round: strategy.Round{
		Base: &model.Model{Schema: schema, Blob: d.blobs[base.Model]}, GridB: grid.GridB, GridW: grid.GridW,
	}}, others)

	ask := func(d *disk, members ...string) (all [][]replay.WhatIf) {
		t.Helper()
		cfg := d.config()
		cfg.Without = func(record.Record) []string { return members }
		p := replay.New(cfg)
		for i, raw := range d.raws() {
			o, err := p.Next(d.records[i].Round, d.records[i].Attempt, raw)
			must(t, err)
			all = append(all, o.Without)
		}
		must(t, p.Finish())
		return all
	}
	got := ask(d, "b/line-1", "nobody/line-1")
	for i, ifs := range got {
		if trains := i == 3 || i == 4; len(ifs) == 1 != trains {
			t.Errorf("record %d: %+v", i, ifs)
		}
	}
	if w := got[4][0]; w.Why != "" || !bytes.Equal(w.Model.Blob, want.Blob) || w.Member != "b/line-1" || !(w.Step > 0) || !(w.Moved > 0) {
		t.Errorf("%+v, want the model %x", w, want.Blob)
	}

	d.drop(2, 3, 4)
	if w := ask(d, "a/line-1")[4]; len(w) != 1 || !strings.Contains(w[0].Why, "keep_updates: all") {
		t.Errorf("without updates: %+v", w)
	}
	few := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3, strategy: "median"}
	few.begin()
	if w := ask(few, "a/line-1")[4]; len(w) != 1 || !strings.Contains(w[0].Why, "2 updates are left, the strategy median takes 3 or more") {
		t.Errorf("too few: %+v", w)
	}
}
