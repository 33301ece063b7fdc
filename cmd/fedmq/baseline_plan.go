package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// baseline is one comparison.
type baseline struct {
	baselineCmd
	up
	task   int // of the aggregator's
	field  field
	crew   crew   // of programs, which judge
	config []byte // of the aggregator
	work   []planned

	mu      sync.Mutex
	refused map[string]error           // why a point of the grid cannot be trained
	all     []aggregator.OfflineMember // the sites as they are
}

// planned is a training to do.
type planned struct {
	trial
	Set      string `json:"set,omitempty"`      // what is set otherwise than in the folder, for a person
	Key      string `json:"key"`                // of all that decides what comes of it
	Beside   string `json:"beside,omitempty"`   // the same for all that are compared: of the same settings but for the strategy, rows and seed
	Settings string `json:"settings,omitempty"` // hash of the task's

	cfg aggregator.Config
}

// read reads the folder, and the rows of its sites.
func (b *baseline) read(ctx context.Context) (err error) {
	if err := b.up.read(); err != nil {
		return usageError{err}
	}
	if b.config, err = readText(filepath.Join(b.up.dir, aggregatorName)); err != nil {
		return err
	}
	if err := b.choose(); err != nil {
		return usageError{err}
	}
	name := b.agg.Tasks[b.task].Name
	if b.agg.Tasks[b.task].Statistics.alone {
		return usageError{fmt.Errorf("%s: task %s gathers statistics: there is nothing to compare", b.up.dir, name)}
	}
	b.field.folds = b.Folds
	for i, f := range b.sites {
		s, ok, err := b.siteOf(ctx, f, name)
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", b.names[i], err)}
		}
		if ok {
			b.field.sites = append(b.field.sites, s)
		}
	}
	if len(b.field.sites) == 0 {
		return usageError{fmt.Errorf("%s: no site has the task %s", b.up.dir, name)}
	}
	if err := b.oneForAll(ctx, name); err != nil {
		return usageError{err}
	}
	return b.known(ctx, name)
}

// choose finds the task.
func (b *baseline) choose() error {
	var names []string
	for i, t := range b.agg.Tasks {
		names = append(names, t.Name)
		if t.Name == b.Task {
			b.task = i
			return nil
		}
	}
	if b.Task != "" || len(names) != 1 {
		return fmt.Errorf("--task: %q, want one of the folder's: %q", b.Task, names)
	}
	return nil
}

// followed is the configuration of a site without features, with those of the task, or of
// the first site that lists some.
func (b *baseline) followed(c tabular.Config) (tabular.Config, error) {
	task := b.agg.Tasks[b.task]
	contract, err := task.agreedBeside(b.up.dir)
	for _, f := range b.up.sites {
		for _, t := range f.Tasks {
			if o := t.Trainer.Tabular; contract == nil && err == nil && t.Name == task.Name && o != nil && len(o.Features) > 0 {
				contract, err = o.Contract()
			}
		}
	}
	if err != nil {
		return c, err
	}
	if contract == nil {
		return c, fmt.Errorf("features: none are listed: want them at a site, or contract of the task in %s", aggregatorName)
	}
	return c.Of(contract)
}

// siteOf readies a site, if it has the task.
func (b *baseline) siteOf(ctx context.Context, f siteFile, task string) (s fieldSite, ok bool, err error) {
	i := slices.IndexFunc(f.Tasks, func(t siteTaskFile) bool { return t.Name == task })
	if i < 0 {
		return s, false, nil
	}
	s = fieldSite{member: f.Member}
	t := f.Tasks[i].Trainer
	if t.Tabular != nil && t.Exec == nil {
		c := *t.Tabular
		if len(c.Features) == 0 {
			if c, err = b.followed(c); err != nil {
				return s, true, err
			}
		}
		c.Together = b.Group
		s.data, err = tabular.Load(tabular.Dir(b.up.dir), c)
		return s, true, err
	}
	s.start = func(ctx context.Context) (trainer.Trainer, error) {
		dir, err := b.place()
		if err != nil {
			return nil, err
		}
		return t.load(ctx, workplace{dir: b.up.dir, data: dir, task: task, member: f.Member, log: b.log}, false)
	}
	if s.judge, err = s.start(ctx); err == nil {
		b.crew = append(b.crew, s.judge)
	}
	return s, true, err
}

// oneForAll readies the trainer that has all rows, where they cannot be merged.
func (b *baseline) oneForAll(ctx context.Context, task string) error {
	if b.Central != "" {
		var f siteFile
		if err := loadYAML(b.Central, &f); err != nil {
			return err
		}
		s, ok, err := b.siteOf(ctx, f, task)
		if err != nil || !ok {
			return errors.Join(fmt.Errorf("--central: %s: want a site that has the task %s", b.Central, task), err)
		}
		b.field.central = &s
	}
	for _, s := range b.field.sites {
		switch {
		case s.data != nil:
		case b.Folds > 0:
			return fmt.Errorf("--folds: the trainer of %s is a program, which reads its rows itself; want trainer: {tabular: ...} at every site", s.member)
		case b.Leave && b.Central != "":
			return fmt.Errorf("--leave-site-out: %s has the rows of the site that is left out, too; leave --central out", b.Central)
		}
	}
	return nil
}

// known holds the settings against what the trainers know, and has them make a
// first model that is not there, as up does.
func (b *baseline) known(ctx context.Context, task string) error {
	sites := make([]site.Config, 0, len(b.field.sites))
	for _, s := range b.field.sites {
		tr, ours, err := s.judged(ctx)
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", s.member, err)}
		}
		if ours {
			b.crew = append(b.crew, tr)
		}
		b.all = append(b.all, offlineMember(s.member, tr, &site.Memory{}))
		sites = append(sites, site.Config{Member: s.member, Tasks: []site.Task{{Name: task, Trainer: tr}}})
	}
	if err := b.checkSettings(sites); err != nil {
		return usageError{err}
	}
	return b.firstModels(ctx, sites)
}

// alone reports that trainings are done one after the other: programs take what they find,
// and the aggregator's own trainer is that of several trainings.
func (b *baseline) alone() bool {
	return b.field.programs() || slices.ContainsFunc(b.work, func(p planned) bool { return p.cfg.Tasks[0].Root != nil })
}

// programs reports that some site trains with a program.
func (f field) programs() bool {
	return slices.ContainsFunc(f.sites, func(s fieldSite) bool { return s.data == nil })
}

// plan lists what is to be trained.
func (b *baseline) plan() error {
	if err := b.checkFolds(); err != nil {
		return err
	}
	sets, err := b.grid()
	if err != nil {
		return err
	}
	same, err := b.same()
	if err != nil {
		return err
	}
	b.refused = map[string]error{}
	there := map[string]bool{}
	for _, set := range sets {
		for k := range b.Seeds {
			if err := b.planSet(set, uint64(k), same, there); err != nil && len(sets) == 1 {
				return err
			} else if err != nil && b.refused[set.String()] == nil {
				b.refused[set.String()] = err
			}
		}
	}
	return b.anyLeft()
}

// planSet lists the trainings of a point of the grid with one seed. Alone and in one place
// there is one site, and nothing that a strategy could choose: such trainings are the same for all
// strategies, and done once.
func (b *baseline) planSet(set changedKeys, seed uint64, same []byte, there map[string]bool) error {
	cfg, about, err := b.configured(set, seed, false)
	if err != nil {
		return err
	}
	if err := checkRoot(cfg.Tasks[0], b.contracts()...); err != nil {
		return err
	}
	if err := aggregator.CheckOffline(ofSites(cfg, len(b.all)), b.all); err != nil {
		return err
	}
	own := set.without("strategy")
	one, aboutOne, err := b.configured(own, seed, true)
	if err != nil {
		return err
	}
	for _, t := range b.trials(seed) {
		p, keyed, rows := planned{trial: t, Set: own.String(), cfg: one, Settings: settingsHash(about)}, aboutOne, same
		if t.Arm == armFederated {
			p.Set, p.cfg, keyed = set.String(), cfg, about
			rows = append(slices.Clip(same), trainer.SourceOf(cfg.Tasks[0].Root).SHA256...)
		}
		if p.Key, err = b.key(keyed, t, rows); err != nil {
			return err
		}
		t.Arm, t.Site = "", ""
		if p.Beside, err = b.key(aboutOne, t, same); err != nil {
			return err
		}
		if !there[p.Key] {
			there[p.Key] = true
			b.work = append(b.work, p)
		}
	}
	return nil
}

// contracts are what the sites mean by the model.
func (b *baseline) contracts() (list []*pipeline.Contract) {
	for _, m := range b.all {
		list = append(list, m.Contract)
	}
	return list
}

// anyLeft is the first error where nothing federated is left to train.
func (b *baseline) anyLeft() error {
	if slices.ContainsFunc(b.work, func(p planned) bool { return p.Arm == armFederated && b.refused[p.Set] == nil }) {
		return nil
	}
	for _, set := range slices.Sorted(maps.Keys(b.refused)) {
		return b.refused[set]
	}
	return nil
}

// checkFolds refuses more folds than there is something to test in.
func (b *baseline) checkFolds() error {
	seed := b.agg.Tasks[b.task].Seed
	for k := range b.Folds {
		for later := range b.Seeds {
			f, err := b.field.dealt(k, seed+uint64(later))
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(f.sites, func(s fieldSite) bool { return s.data.Test.N > 0 }) {
				return fmt.Errorf("--folds: %d: one of them has no rows at any site; want fewer", b.Folds)
			}
		}
	}
	return nil
}

// trials are those of one seed.
func (b *baseline) trials(seed uint64) (list []trial) {
	add := func(t trial) {
		t.Seed = seed
		for _, s := range b.field.sites {
			if t.Left == "" || t.Left == s.member {
				t.Arm, t.Site = armAlone, s.member
				list = append(list, t)
			}
		}
		t.Arm, t.Site = armFederated, ""
		list = append(list, t)
		if !b.field.programs() || b.field.central != nil {
			t.Arm = armCentral
			list = append(list, t)
		}
	}
	switch {
	case b.Folds > 0:
		for k := range b.Folds {
			add(trial{Fold: k + 1})
		}
	case b.Leave:
		for _, s := range b.field.sites {
			add(trial{Left: s.member})
		}
	default:
		add(trial{})
	}
	return list
}
