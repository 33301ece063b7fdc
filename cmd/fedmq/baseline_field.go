package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
	"github.com/fedmq/fedmq/wire"
)

// The ways to train that are compared.
const (
	armAlone     = "alone"
	armFederated = "federated"
	armCentral   = "central"
)

// field is what ways to train are compared on: sites whose data are on this
// machine.
type field struct {
	sites   []fieldSite
	central *fieldSite // whose trainer has the rows of all; nil: they are merged
	folds   int        // 0: the split of the configurations
}

// fieldSite is a site of a field.
type fieldSite struct {
	member string
	data   *tabular.Data                                  // nil: a program trains
	start  func(context.Context) (trainer.Trainer, error) // it
	judge  trainer.Trainer                                // measures and never trains; nil: start makes one
}

// trial is one training.
type trial struct {
	Arm  string `json:"arm"`
	Site string `json:"site,omitempty"` // that is alone
	Left string `json:"left,omitempty"` // site that takes no part, and is judged on
	Seed uint64 `json:"seed"`
	Fold int    `json:"fold,omitempty"` // from 1
}

// trained is what came of one.
type trained struct {
	model   *model.Model
	metrics record.Metrics  // over the test rows that are judged on
	about   record.Measured // beside them
	curve   []curveRound    // of the models on the way
	best    *bestTrained    // nil: none was measured
}

// bestTrained is the version that did best on the way, judged like the last.
type bestTrained struct {
	Version uint64         `json:"version"`
	Trained uint64         `json:"trained"` // rounds behind it
	Metrics record.Metrics `json:"metrics"`
}

// curveRound is a model of a federation on its way.
type curveRound struct {
	Trained int            `json:"trained"` // rounds behind it
	Metrics record.Metrics `json:"metrics"`
}

// of finds a site.
func (f field) of(member string) fieldSite {
	return f.sites[slices.IndexFunc(f.sites, func(s fieldSite) bool { return s.member == member })]
}

// train runs a trial. Alone and in one place are federations of one: the same
// code, the same settings, as many rounds.
func (f field) train(ctx context.Context, cfg aggregator.Config, t trial) (out trained, err error) {
	if t.Fold > 0 {
		if f, err = f.dealt(t.Fold-1, cfg.Tasks[0].Seed); err != nil {
			return out, err
		}
	}
	who, judges := f.parts(t)
	if t.Arm == armCentral {
		if who, err = f.pooled(who); err != nil {
			return out, err
		}
	}
	if cfg = ofSites(cfg, len(who)); t.Arm != armFederated { // nothing travels, and all tensors are the one's own
		cfg.Tasks[0].Encoding, cfg.Tasks[0].Locals = "", model.Locals{}
	}
	return f.federate(ctx, cfg, who, judges)
}

// ofSites is a task that n sites are enough for.
func ofSites(cfg aggregator.Config, n int) aggregator.Config {
	task := cfg.Tasks[0]
	if n == 1 {
		task.Quorum, task.Goal, task.Sample = 1, 0, 1
		if least, err := cfg.Strategies.MinimumOf(task.Strategy, task.StrategyParams); err == nil && least > 1 {
			task.Strategy, task.StrategyParams = strategy.FedAvg, nil // of one there is nothing to choose
		}
	}
	task.Quorum, task.Goal = min(task.Quorum, n), min(task.Goal, n)
	cfg.Tasks = []aggregator.Task{task}
	return cfg
}

// parts are who trains in a trial, and who judges.
func (f field) parts(t trial) (who, judges []fieldSite) {
	who, judges = f.sites, f.sites
	if t.Left != "" {
		judges = []fieldSite{f.of(t.Left)}
		who = slices.DeleteFunc(slices.Clone(f.sites), func(s fieldSite) bool { return s.member == t.Left })
	}
	if t.Arm == armAlone {
		who = []fieldSite{f.of(t.Site)}
	}
	return who, judges
}

// pooled is one site with the rows of those given.
func (f field) pooled(who []fieldSite) ([]fieldSite, error) {
	if f.central != nil {
		c := *f.central
		c.member = who[0].member // that the task lets in
		return []fieldSite{c}, nil
	}
	parts := make([]*tabular.Data, 0, len(who))
	for _, s := range who {
		parts = append(parts, s.data)
	}
	all, err := tabular.Merge(parts...)
	return []fieldSite{{member: who[0].member, data: all}}, err
}

// dealt has other training and test rows at every site.
func (f field) dealt(k int, seed uint64) (field, error) {
	f.sites = slices.Clone(f.sites)
	for i, s := range f.sites {
		own := trainer.Seed(seed, s.member, 0)
		d, err := s.data.Fold(k, f.folds, binary.BigEndian.Uint64(own[:]))
		if err != nil {
			return f, fmt.Errorf("%s: --folds: %w", s.member, err)
		}
		f.sites[i].data = d
	}
	return f, nil
}

// federate runs the sites offline and has the last model judged, and the best one, which
// is what a task ends with.
func (f field) federate(ctx context.Context, cfg aggregator.Config, who, judges []fieldSite) (out trained, err error) {
	var opened crew
	defer func() { err = errors.Join(err, opened.close()) }()
	remember := map[string]*site.Memory{} // by path: who is judged has the tensors of its own
	for _, s := range slices.Concat(who, judges) {
		remember[s.member] = &site.Memory{}
	}
	members, err := opened.members(ctx, who, remember, fieldSite.open)
	if err != nil {
		return out, err
	}
	jury, err := opened.members(ctx, judges, remember, fieldSite.judged)
	if err != nil {
		return out, err
	}
	rng := rand.NewChaCha8(trainer.Seed(cfg.Tasks[0].Seed, "chance", 0))
	cfg.Rand = func(p []byte) { _, _ = rng.Read(p) }
	rounds, said := 0, (*record.Best)(nil)
	cfg.OnRecord = func(_ string, r record.Record) {
		said = r.Best
		if len(r.Metrics) > 0 {
			out.curve = append(out.curve, curveRound{rounds, r.Metrics})
		}
		if r.Work == wire.WorkTrain {
			rounds++
		}
	}
	var best *model.Model
	if out.model, best, err = aggregator.Offline(ctx, cfg, members); err != nil {
		return out, err
	}
	cfg.Tasks = slices.Clone(cfg.Tasks)
	cfg.Tasks[0].Quorum, cfg.Tasks[0].Goal = 1, 0
	cfg.Tasks[0].Strategy, cfg.Tasks[0].StrategyParams = strategy.FedAvg, nil // nothing is folded
	if out.metrics, out.about, err = aggregator.EvaluateOffline(ctx, cfg, jury, out.model); err != nil || best == nil {
		return out, err
	}
	out.best = &bestTrained{Version: said.Version, Trained: said.Trained, Metrics: out.metrics}
	if best != out.model {
		out.best.Metrics, _, err = aggregator.EvaluateOffline(ctx, cfg, jury, best)
	}
	return out, err
}

// open readies a trainer of its own: programs may keep what they like between
// rounds.
func (s fieldSite) open(ctx context.Context) (tr trainer.Trainer, ours bool, err error) {
	if s.data == nil {
		tr, err = s.start(ctx)
		return tr, true, err
	}
	tr, err = tabular.New(s.data)
	return tr, false, err
}

func (s fieldSite) judged(ctx context.Context) (tr trainer.Trainer, ours bool, err error) {
	if s.judge != nil {
		return s.judge, false, nil
	}
	return s.open(ctx)
}

// crew are trainers that end together.
type crew []trainer.Trainer

func (c *crew) members(ctx context.Context, sites []fieldSite, remember map[string]*site.Memory, open func(fieldSite, context.Context) (trainer.Trainer, bool, error)) ([]aggregator.OfflineMember, error) {
	var out []aggregator.OfflineMember
	for _, s := range sites {
		tr, ours, err := open(s, ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.member, err)
		}
		if ours {
			*c = append(*c, tr)
		}
		out = append(out, offlineMember(s.member, tr, remember[s.member]))
	}
	return out, nil
}

// close ends the programs among them, all at once.
func (c crew) close() error {
	errs := make([]error, len(c))
	var wg sync.WaitGroup
	for i, tr := range c {
		if x, ok := tr.(io.Closer); ok {
			wg.Go(func() { errs[i] = x.Close() })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// offlineMember is a trainer without a broker.
func offlineMember(path string, tr trainer.Trainer, memory *site.Memory) aggregator.OfflineMember {
	controls := &site.Controls{}
	return aggregator.OfflineMember{
		Path: path, Samples: uint64(max(tr.Samples(), 0)), Contract: trainer.ContractOf(tr), Capabilities: trainer.CapabilitiesOf(tr),
		Do: func(ctx context.Context, o aggregator.OfflineOrder) (wire.Update, error) {
			return site.Do(ctx, tr, site.Order{
				Task: o.Task, Member: path, Work: o.Work, Round: o.Round, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed, Base: o.Base, Local: o.Local, Controls: controls,
				Encoding: o.Encoding, Locals: o.Locals, Memory: memory,
			})
		},
		Settled: func(round uint64, counted bool) {
			controls.Settled(round, counted)
			memory.Settled(round, counted)
			trainer.Settle(tr, round, counted)
		},
	}
}
