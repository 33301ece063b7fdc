package replay_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
	"github.com/fedmq/fedmq/strategy"
)

// disk is a task's records and blobs, as an aggregator writes them.
type disk struct {
	t       *testing.T
	about   []byte
	blobs   map[model.Hash][]byte
	records []record.Record
	key     ed25519.PrivateKey
	members int
	plain   bool // content ids are plain SHA-256, as before there were trees

	registry strategy.Registry
	strategy string // "": fedavg
	server   string // optimiser
	guard    strategy.Guard
	rooted   bool   // the strategy is fltrust
	late     bool   // the last member's update of round 2 counts in round 3
	monsters int    // members whose updates it refuses, beside the others
	state    []byte // of it, after the last round
}

// history is a task of three members: genesis, statistics, an attempt that was
// abandoned, two rounds of training and an evaluation.
func history(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3}
	d.begin()
	return d
}

// begin writes the history.
func (d *disk) begin() {
	base, err := model.Arch{Kind: "linear", Inputs: 2, Outputs: 1}.New(true)
	must(d.t, err)
	if d.about, err = record.Describe("acme", "quality", base.Schema).Encode(); err != nil {
		d.t.Fatal(err)
	}
	d.add(record.Record{Work: "init", OrderHash: record.Hash(d.about)}, base)
	next := d.statistics(base)
	d.abandoned(next)
	next = d.train(2, 2, next)
	next = d.train(3, 1, next)
	d.add(record.Record{Round: 4, Attempt: 1, Work: "evaluate", Best: &record.Best{Version: 2, Trained: 1, Round: 3, Metric: "loss", Value: 1}, Entries: d.entries(func(int) *model.Model { return nil })}, next)
}

// add appends a committed record with its model.
func (d *disk) add(r record.Record, next *model.Model) {
	r.Owner, r.Task, r.Verdict, r.Version, r.IDs = "acme", "quality", record.Committed, r.Round, d.ids()
	r.Model = d.put(next.Blob)
	if d.state != nil {
		r.State = d.put(d.state)
	}
	d.records = append(d.records, r)
}

func (d *disk) put(b []byte) model.Hash {
	id := record.Record{IDs: d.ids()}.ContentOf(b)
	d.blobs[id] = b
	return id
}

// ids is the kind of the content ids that are made now.
func (d *disk) ids() string {
	if d.plain {
		return ""
	}
	return record.IDsTree
}

// entries counts every member, with its update or none.
func (d *disk) entries(update func(k int) *model.Model) record.Entries {
	var out record.Entries
	for k := range d.members {
		e := record.Entry{
			Member: fmt.Sprintf("%c/line-1", 'a'+k), Index: uint32(d.members - k), Samples: uint64(100 * (k + 1)), Weight: 1, Verdict: verdict.Counted,
			Metrics: record.Values{"loss": float64(k)},
		}
		if m := update(k); m != nil {
			e.Content = d.put(m.Blob)
		} else {
			e.Content = model.HashOf(nil)
		}
		out = append(out, e)
	}
	return out
}

func (d *disk) statistics(base *model.Model) *model.Model {
	r := record.Record{Round: 1, Attempt: 1, Work: "statistics", Base: base.ContentID()}
	r.Entries = d.entries(func(k int) *model.Model {
		m := model.New(model.StatisticsSchema(2, 0))
		must(d.t, m.SetFloat64s(model.StatNName, []float64{3, 7}))
		must(d.t, m.SetFloat64s(model.StatMeanName, []float64{0.1 * float64(k), 1e7 / float64(k+3)}))
		must(d.t, m.SetFloat64s(model.StatM2Name, []float64{1.1, 1e-3}))
		return m
	})
	next := d.fold(strategy.Setup{Work: "statistics", Round: strategy.Round{Base: base}}, r)
	d.add(r, next)
	return next
}

// delta is the update of member k in a round.
func (d *disk) delta(base *model.Model, rnd uint64, k int) *model.Model {
	m := model.New(base.Schema.Shared())
	for i := 0; i < len(m.Blob); i += 4 {
		x := math.Sin(float64(i+1)*float64(k+2)) / float64(rnd)
		binary.LittleEndian.PutUint32(m.Blob[i:], math.Float32bits(float32(x)))
	}
	return m
}

var grid = record.Strategy{Name: "fedavg", GridB: 6, GridW: 10, Cap: 250, Weights: "samples"}

func (d *disk) train(rnd uint64, attempt uint32, base *model.Model) *model.Model {
	r := record.Record{Round: rnd, Attempt: attempt, Work: "train", Base: base.ContentID(), Strategy: grid}
	thresholds, err := d.guard.Thresholds(d.state)
	must(d.t, err)
	if d.strategy != "" {
		params, err := d.registry.Settings(d.strategy, nil)
		must(d.t, err)
		r.Strategy.Name, r.Strategy.Params = d.strategy, record.Settings(params)
	}
	r.Strategy.Server, r.Strategy.Guard, r.Strategy.Thresholds = d.server, d.guard.Values(), thresholds
	r.Entries = d.entries(func(k int) *model.Model { return d.delta(base, rnd, k) })
	for k := range r.Entries {
		r.Entries[k].Weight = min(r.Entries[k].Samples, grid.Cap)
		r.Entries[k].Norm = record.Number(strategy.Norm(d.delta(base, rnd, k)))
	}
	if c := &r.Entries[len(r.Entries)-1]; d.late && rnd == 2 {
		*c = record.Entry{Member: c.Member, Index: c.Index, Verdict: verdict.NotDue, Metrics: c.Metrics}
	} else if d.late {
		c.Staleness = 1
	}
	r.Metrics = record.Metrics{"loss": {Value: 1, Sites: 3, Best: 0, BestSite: "a/line-1", Worst: 2, WorstSite: "c/line-1"}}
	if rnd == 3 {
		r.Best = &record.Best{Version: 2, Trained: 1, Round: 3, Metric: "loss", Value: 1}
	}
	for k := range d.monsters {
		r.Entries = append(r.Entries, record.Entry{
			Member: fmt.Sprintf("x%d/line-1", k), Index: uint32(10 + k), Content: model.HashOf([]byte{byte(k)}), Samples: 7, Verdict: verdict.NormOutlier,
		})
	}
	set := strategy.Setup{
		Work: "train", Strategy: d.strategy, Server: d.server, State: d.state, Guard: d.guard.Values(), Thresholds: thresholds, Round: strategy.Round{Base: base, GridB: grid.GridB, GridW: grid.GridW},
	}
	if d.rooted {
		set.Strategy, set.Root = "fltrust", d.delta(base, rnd, 50)
		r.Strategy.Name, r.Strategy.Root = "fltrust", d.put(set.Root.Blob)
	}
	next := d.fold(set, r)
	d.add(r, next)
	return next
}

// fold makes the model of a record from its updates.
func (d *disk) fold(s strategy.Setup, r record.Record) *model.Model {
	d.t.Helper()
	a, err := d.registry.Begin(s, nil)
	must(d.t, err)
	all := &strategy.Updates{Schema: a.Schema(), ReadAt: func(p []byte, i, off int) error {
		copy(p, d.blobs[r.Entries[i].Content][off:])
		return nil
	}}
	for _, e := range r.Entries {
		if e.Verdict != verdict.Counted {
			continue
		}
		u := a.Measure(strategy.Update{Samples: e.Samples, Weight: e.Weight, Tensors: &model.Model{Schema: a.Schema(), Blob: d.blobs[e.Content]}, Staleness: e.Staleness})
		must(d.t, a.Check(u))
		a.Add(u)
		u.Tensors = nil
		all.List = append(all.List, u)
	}
	a.Refused(d.monsters)
	made, err := a.Result(all, nil)
	must(d.t, err)
	d.state = made.State
	return made.Model
}

// abandoned appends an attempt of round 2 that kept one update and lost one
// that is on no disk.
func (d *disk) abandoned(base *model.Model) {
	delta := d.delta(base, 2, 0)
	d.records = append(d.records, record.Record{
		Owner: "acme", Task: "quality", Round: 2, Attempt: 1, Work: "train", Verdict: record.Abandoned, Base: base.ContentID(), Strategy: grid, IDs: d.ids(),
		Entries: record.Entries{
			{Member: "a/line-1", Index: 3, Content: d.put(delta.Blob), Samples: 100, Weight: 100, Norm: record.Number(strategy.Norm(delta)), Verdict: verdict.Kept},
			{Member: "b/line-1", Index: 2, Content: model.HashOf([]byte("lost")), Samples: 7, Weight: 7, Verdict: verdict.Lost},
			{Member: "c/line-1", Index: 1, Verdict: verdict.Missing},
		},
	})
}

// adopted appends what an operator took up again at a later round, with the
// model that was there or another, and a round of training after it.
func (d *disk) adopted(m *model.Model) {
	d.add(record.Record{Round: 9, Epoch: 7, Work: "init"}, m)
	d.records[len(d.records)-1].Verdict = record.Adopted
	d.train(10, 1, m)
	r := &d.records[len(d.records)-1]
	r.Epoch, r.Best = 7, d.records[len(d.records)-3].Best
}

// rollback appends a round that makes a former version the newest one again.
func (d *disk) rollback(to uint64) *model.Model {
	i := slices.IndexFunc(d.records, func(r record.Record) bool { return r.Verdict == record.Committed && r.Round == to })
	m := &model.Model{Schema: d.last().Schema, Blob: d.blobs[d.records[i].Model]}
	d.add(record.Record{Round: 5, Attempt: 1, Work: record.WorkRollback, Base: d.records[len(d.records)-1].Model, Rollback: &to}, m)
	d.records[len(d.records)-1].State = d.records[i].State
	return m
}

// last is the newest model.
func (d *disk) last() *model.Model {
	about, err := record.DecodeDescription(d.about)
	must(d.t, err)
	s, err := about.Layout()
	must(d.t, err)
	return &model.Model{Schema: s, Blob: d.blobs[lastModel(d.records)]}
}

// raws encodes the records as a chain, which holds whatever they say.
func (d *disk) raws() (raws [][]byte) {
	d.t.Helper()
	var prev model.Hash
	for i, r := range d.records {
		r.Prev = prev
		if i > 0 {
			r.Base = lastModel(d.records[:i])
		}
		var b []byte
		var err error
		if d.key != nil {
			b, err = r.Encode(d.key)
		} else {
			b, err = r.Encode(nil)
		}
		must(d.t, err)
		raws, prev = append(raws, b), record.Hash(b)
	}
	return raws
}

func lastModel(records []record.Record) (id model.Hash) {
	for _, r := range records {
		if r.Verdict != record.Abandoned {
			id = r.Model
		}
	}
	return id
}

func (d *disk) blob(id model.Hash) ([]byte, error) {
	b, ok := d.blobs[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (d *disk) config() replay.Config {
	return replay.Config{Blobs: d.blob, Description: d.about, Strategies: d.registry}
}

// run replays all and returns how each model was found, up to the first error.
func (d *disk) run(cfg replay.Config) (hows []replay.How, err error) {
	d.t.Helper()
	p := replay.New(cfg)
	for i, raw := range d.raws() {
		o, err := p.Next(d.records[i].Round, d.records[i].Attempt, raw)
		if err != nil {
			return hows, err
		}
		hows = append(hows, o.How)
	}
	return hows, p.Finish()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
