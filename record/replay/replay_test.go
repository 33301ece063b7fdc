package replay_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
	"github.com/fedmq/fedmq/wire"
)

const (
	chained  = replay.Chained
	hashed   = replay.Hashed
	replayed = replay.Replayed
)

func TestReplay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   []replay.How // of genesis, statistics, abandoned, train, train, evaluate
	}{
		{"everything kept", func(*disk) {}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed}},
		{"no updates kept", func(d *disk) { d.drop(2, 3, 4) }, []replay.How{hashed, replayed, chained, hashed, hashed, replayed}},
		{"updates, and the first and the last model", func(d *disk) {
			d.dropModels(1, 3)
		}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed}},
		{"the newest model alone", func(d *disk) {
			d.drop(1, 2, 3, 4)
			d.dropModels(0, 1, 3)
		}, []replay.How{chained, chained, chained, chained, hashed, replayed}},
		{"updates, but not the first model", func(d *disk) {
			d.dropModels(0, 1)
		}, []replay.How{chained, chained, chained, hashed, replayed, replayed}},
		{"adopted with the model of the disk", func(d *disk) {
			d.adopted(d.last())
		}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, hashed, replayed}},
		{"adopted with another model", func(d *disk) {
			m := d.last().Clone()
			m.Blob[len(m.Blob)-1] ^= 0x80
			d.adopted(m)
		}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, hashed, replayed}},
		{"a rollback, and training from there", func(d *disk) {
			d.train(6, 1, d.rollback(2))
			d.records[7].Best = nil
		}, []replay.How{hashed, replayed, chained, replayed, replayed, replayed, hashed, replayed}},
		{"an older task without a description", func(d *disk) {
			d.records[0].OrderHash = model.Hash{}
			d.about = nil
		}, []replay.How{hashed, hashed, chained, hashed, hashed, replayed}},
	} {
		d := history(t)
		c.change(d)
		d.runs(c.name, c.want)
	}
}

// runs replays the history and holds how each record was made again against want.
func (d *disk) runs(name string, want []replay.How) {
	d.t.Helper()
	if hows, err := d.run(d.config()); err != nil || !slices.Equal(hows, want) {
		d.t.Errorf("%s: %v, %v, want %v", name, hows, err, want)
	}
}

// drop removes the updates of records, but those that another one counts too.
func (d *disk) drop(places ...int) {
	for _, i := range places {
		for _, e := range d.records[i].Entries {
			delete(d.blobs, e.Content)
		}
	}
}

func (d *disk) dropModels(places ...int) {
	for _, i := range places {
		delete(d.blobs, d.records[i].Model)
	}
}

// Each case changes one thing, the rest of the chain follows it; the difference
// names the place.
func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(d *disk)
		want   string
	}{
		{"another model is committed", func(d *disk) {
			b := slices.Clone(d.blobs[d.records[3].Model])
			b[len(b)-1] ^= 0x80 // layers.0.weight is the last tensor, its second value changes sign
			d.records[3].Model = d.put(b)
		}, "round 2, attempt 2, tensor layers.0.weight[1]: recorded "},
		{"another model is committed and not kept", func(d *disk) {
			d.records[3].Model = model.HashOf([]byte("other"))
		}, "round 2, attempt 2: the replay gives the model "},
		{"other statistics", func(d *disk) {
			b := slices.Clone(d.blobs[d.records[1].Model])
			b[0] ^= 1
			d.records[1].Model = d.put(b)
		}, "round 1, attempt 1, tensor fedmq.mean[0]: recorded "},
		{"an evaluation changes the model", func(d *disk) { d.records[5].Model = d.records[3].Model }, "round 4, attempt 1: an evaluate round keeps its base"},
		{"one byte of a model", func(d *disk) { d.flip(d.records[4].Model) }, "round 3, attempt 1: the blob of the model "},
		{"one byte of the first model", func(d *disk) { d.flip(d.records[0].Model) }, "round 0, attempt 0: the blob of the model "},
		{"one byte of an update", func(d *disk) { d.flip(d.records[4].Entries[1].Content) }, "round 3, attempt 1, member b/line-1: the blob of the update "},
		{"one byte of statistics", func(d *disk) { d.flip(d.records[1].Entries[2].Content) }, "round 1, attempt 1, member c/line-1: the blob of the update "},
		{"one byte of an update of an abandoned attempt", func(d *disk) { d.flip(d.records[2].Entries[0].Content) }, "round 2, attempt 1, member a/line-1: the blob of the update "},
		{"another update is counted", func(d *disk) {
			e := &d.records[4].Entries[0]
			e.Content, e.Norm = d.records[3].Entries[0].Content, d.records[3].Entries[0].Norm
		}, "round 3, attempt 1, tensor layers.0.bias[0]: recorded "},
		{"one update is not there", func(d *disk) { delete(d.blobs, d.records[4].Entries[1].Content) }, "round 3, attempt 1, member b/line-1: the blob of its update "},
		{"a member is left out", func(d *disk) { d.records[4].Entries[2].Verdict = verdict.Missing }, "round 3, attempt 1, tensor layers.0.bias[0]: recorded "},
		{"samples of a member", func(d *disk) {
			d.records[4].Entries[0].Samples, d.records[4].Entries[0].Weight = 101, 101
		}, "round 3, attempt 1, tensor layers.0.bias[0]: recorded "},
		{"another grid", func(d *disk) { d.records[4].Strategy.GridW = 52 }, "round 3, attempt 1, tensor layers.0.bias[0]: recorded "},
		{"values beyond the grid", func(d *disk) { d.records[4].Strategy.GridB = -16 }, "round 3, attempt 1, member a/line-1: its update cannot be counted: tensor"},
		{"the norm", func(d *disk) { d.records[4].Entries[0].Norm *= 2 }, "round 3, attempt 1, member a/line-1: the norm of its update is "},
		{"an update of other tensors", func(d *disk) {
			d.records[4].Entries[0].Content = d.records[1].Entries[0].Content
		}, "round 3, attempt 1, member a/line-1: its update: model: bad schema: an update of 48 bytes, want 12"},
		{"a model of other tensors", func(d *disk) { d.records[4].Model = d.put([]byte("short")) }, "round 3, attempt 1: the model has 5 bytes, want "},
		{"the newest model is missing", func(d *disk) { d.dropModels(5) }, "round 4, attempt 1: the blob of the newest model, "},

		{"weight above the cap", func(d *disk) { d.records[4].Entries[2].Weight = 251 }, "member c/line-1: weight 251 of 300 samples, want 250 "},
		{"weight of nothing", func(d *disk) {
			e := &d.records[4].Entries[0]
			e.Samples, e.Weight = 0, 0
		}, "member a/line-1: counted with the weight 0"},
		{"weight of a statistics round", func(d *disk) { d.records[1].Entries[0].Weight = 2 }, "member a/line-1: weight 2 of 100 samples, want 1 "},
		{"more weight than the grid", func(d *disk) { d.records[4].Strategy.GridW = 9 }, "round 3, attempt 1: the weights sum up to 550, more than the grid's 2^9"},
		{"no cap", func(d *disk) { d.records[4].Strategy.Cap = 0 }, "round 3, attempt 1: the cap is 0"},
		{"no grid", func(d *disk) { d.records[4].Strategy.GridW = 64 }, "round 3, attempt 1: the grid b 6, w 64 is none"},
		{"unknown weights", func(d *disk) { d.records[4].Strategy.Weights = "luck" }, `round 3, attempt 1: weights "luck", want `},
		{"unknown strategy", func(d *disk) { d.records[4].Strategy.Name = "luck" }, `round 3, attempt 1: strategy: unknown: strategy "luck"`},
		{"a strategy without training", func(d *disk) { d.records[5].Strategy = grid }, `round 4, attempt 1: a round of evaluate names the strategy "fedavg"`},
		{"an index twice", func(d *disk) { d.records[4].Entries[1].Index = 3 }, "member b/line-1: index 3 is also that of a/line-1"},
		{"another index", func(d *disk) { d.records[4].Entries[1].Index = 9 }, "member b/line-1: index 9, in an earlier record 2"},
		{"the index of another", func(d *disk) {
			e := &d.records[4].Entries[1]
			e.Member, e.Index = "bb/line-1", 2
		}, "member bb/line-1: index 2 is in an earlier record that of b/line-1"},
		{"the best of a metric", func(d *disk) { d.metric(func(m *record.Metric) { m.Best = -1 }) }, "member a/line-1: metric loss says -1 of it"},
		{"the worst site of a metric", func(d *disk) { d.metric(func(m *record.Metric) { m.WorstSite = "x" }) }, "member x: metric loss says 2 of it"},
		{"sites of a metric", func(d *disk) { d.metric(func(m *record.Metric) { m.Sites = 4 }) }, "round 3, attempt 1: metric loss is of 4 sites, but 3 entries have it"},

		{"a rollback to other bits", func(d *disk) {
			d.rollback(2)
			d.records[6].Model = d.records[4].Model
		}, "round 5, attempt 1: the rollback to version 2 has the model"},
		{"another best version", func(d *disk) { d.best(4, 1, 3, 1) }, "round 3, attempt 1: version 1 is said to be measured, but the round's base is version 2"},
		{"what the best version has", func(d *disk) { d.best(4, 2, 3, .5) }, "round 3, attempt 1: the best version is said to have loss 0.5, which was not measured"},
		{"the best version changes by itself", func(d *disk) { d.best(5, 1, 2, 1) }, "round 4, attempt 1: version 1, measured in round 2, is the best; before it was version 2, of round 3"},
		{"the best version is forgotten", func(d *disk) { d.records[5].Best = nil }, "round 4, attempt 1: no version is the best, before it was version 2"},

		{"no description", func(d *disk) { d.about = nil }, "round 0, attempt 0: the task's description, which the genesis names, is not there"},
		{"another description", func(d *disk) { d.about[100] ^= 1 }, "round 0, attempt 0: the task's description has other bytes"},
		{"a description of another task", func(d *disk) { d.describe("acme", "other") }, `round 0, attempt 0: the description is of task "other" of "acme"`},
		{"a description that is none", func(d *disk) {
			d.about = []byte("{}")
			d.records[0].OrderHash = record.Hash(d.about)
		}, "round 0, attempt 0: the task's description: record: malformed"},
		{"the genesis is missing", func(d *disk) { d.records = d.records[1:] }, "round 1, attempt 1: the first record is of a statistics round that was committed, want the genesis"},
		{"a round is missing", func(d *disk) { d.records = slices.Delete(d.records, 3, 4) }, "round 3, attempt 1: want round 2 after round 2 was abandoned"},
	} {
		d := history(t)
		c.change(d)
		_, err := d.run(d.config())
		var found *replay.Difference
		if !errors.As(err, &found) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s...", c.name, err, c.want)
		}
	}
}

func (d *disk) metric(change func(*record.Metric)) {
	m := d.records[4].Metrics["loss"]
	change(&m)
	d.records[4].Metrics["loss"] = m
}

func (d *disk) best(at int, version, round uint64, value float64) {
	d.records[at].Best = &record.Best{Version: version, Trained: 1, Round: round, Metric: "loss", Value: value}
}

func (d *disk) describe(owner, task string) {
	old, err := record.DecodeDescription(d.about)
	must(d.t, err)
	s, err := old.Layout()
	must(d.t, err)
	d.about, err = record.Describe(owner, task, s).Encode()
	must(d.t, err)
	d.records[0].OrderHash = record.Hash(d.about)
}

// flip changes one byte of a blob that stays under its name.
func (d *disk) flip(id model.Hash) {
	b := slices.Clone(d.blobs[id])
	b[len(b)/2] ^= 0x10
	d.blobs[id] = b
}

// The difference of a tensor is data too.
func TestDifferenceJSON(t *testing.T) {
	t.Parallel()
	d := history(t)
	b := slices.Clone(d.blobs[d.records[3].Model])
	b[len(b)-1] ^= 0x80
	d.records[3].Model = d.put(b)
	_, err := d.run(d.config())
	var found *replay.Difference
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	text, err := json.Marshal(found)
	must(t, err)
	if found.Recorded == nil || found.Replayed == nil || *found.Recorded != -*found.Replayed ||
		!strings.HasPrefix(string(text), `{"round":2,"attempt":2,"tensor":"layers.0.weight","index":1,"recorded":`) {
		t.Errorf("%s", text)
	}
}

// A record under another name, and bytes that are none.
func TestWrongPlace(t *testing.T) {
	t.Parallel()
	d := history(t)
	raws := d.raws()
	for _, c := range []struct {
		name    string
		round   uint64
		attempt uint32
		raw     []byte
		want    string
	}{
		{"round", 1, 0, raws[0], "round 1, attempt 0: the record says round 0, attempt 0"},
		{"attempt", 0, 1, raws[0], "round 0, attempt 1: the record says round 0, attempt 0"},
		{"not JSON", 0, 0, []byte("x"), "round 0, attempt 0: record: malformed"},
		{"empty", 7, 2, nil, "round 7, attempt 2: record: malformed"},
	} {
		if _, err := replay.New(d.config()).Next(c.round, c.attempt, c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// A disk that fails is no difference.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	d := history(t)
	cfg := d.config()
	cfg.Blobs = func(model.Hash) ([]byte, error) { return nil, fs.ErrPermission }
	_, err := d.run(cfg)
	var found *replay.Difference
	if !errors.Is(err, fs.ErrPermission) || errors.As(err, &found) || !strings.HasPrefix(err.Error(), "round 0, attempt 0: ") {
		t.Errorf("%v", err)
	}
}

// Retention that removes the updates of a round while they are read is no
// difference either.
func TestRetentionAtWork(t *testing.T) {
	t.Parallel()
	d := history(t)
	entries := d.records[4].Entries
	cfg := d.config()
	cfg.Blobs = func(id model.Hash) ([]byte, error) {
		b, err := d.blob(id)
		if id == entries[0].Content { // the first is read, then all are removed
			d.drop(4)
		}
		return b, err
	}
	hows, err := d.run(cfg)
	if err != nil || hows[4] != hashed {
		t.Errorf("%v, %v", hows, err)
	}
}

// An update that has the bytes of a model stays on disk with the model.
func TestUpdateThatIsAModel(t *testing.T) {
	t.Parallel()
	d := history(t)
	d.drop(3, 4)
	id := d.records[3].Model
	d.records[4].Entries[2].Content = id
	hows, err := d.run(d.config())
	if err != nil || hows[4] != hashed {
		t.Errorf("%v, %v", hows, err)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	pub, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	other, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	keys := func(list ...ed25519.PublicKey) record.Keys {
		return func(kid [8]byte) (ed25519.PublicKey, bool) {
			for _, k := range list {
				if wire.KeyIDOf(k) == kid {
					return k, true
				}
			}
			return nil, false
		}
	}
	for _, c := range []struct {
		name   string
		signed bool
		keys   record.Keys
		want   string
	}{
		{"signed", true, keys(other, pub), ""},
		{"signed by somebody else", true, keys(other), "round 0, attempt 0: record: bad signature: unknown key"},
		{"not signed", false, keys(pub), "round 0, attempt 0: record: unsigned"},
		{"not asked for", true, nil, ""},
	} {
		d := history(t)
		if c.signed {
			d.key = key
		}
		cfg := d.config()
		cfg.Keys = c.keys
		_, err := d.run(cfg)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
