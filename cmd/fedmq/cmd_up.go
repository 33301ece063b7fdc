package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/textfile"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

type upCmd struct {
	Dir   string `arg:"" help:"Folder with the configurations of one aggregator and its sites."`
	Again bool   `help:"Put the former run aside, in runs/ of the folder, and begin anew; only when all trainers have started."`

	Processes bool `help:"Run the aggregator and each site as a process of its own, with its log in the folder."`
}

func (upCmd) Help() string {
	return `A federation on one machine, as its configurations say: aggregator.yaml and every other
*.yaml with a member. If the broker's address is of this machine, the embedded broker
listens there (or, if the port is taken, on a free one), with the limits of broker.yaml
where there is one. A first model (model: {file: ...})
that is not there is asked of a site's trainer. It ends when every task has ended, and leaves
<task>.safetensors in the folder; three attempts in a row that come to nothing end it with 3.

Nothing is deleted. Of a task that had ended before the first line says so, and what is set
otherwise since; --again begins anew, and fedmq runs DIR lists the runs there are.`
}

// up is one run.
type up struct {
	dir   string
	apart bool // a process for each party
	again bool
	logs  *logFlags
	log   zerolog.Logger
	agg   aggregatorFile
	sites []siteFile // in path order
	names []string   // of their files

	data   map[string]map[string]string // by task and member: SHA-256 of what is read
	limits brokerFile                   // of the embedded broker
}

func (c *upCmd) Run(ctx context.Context, logs *logFlags) error {
	u := &up{dir: c.Dir, apart: c.Processes, again: c.Again, logs: logs, log: logs.quiet()}
	if err := u.read(); err != nil {
		return usageError{err}
	}
	if u.again {
		if err := u.movable(); err != nil {
			return err
		}
	}
	if err := u.goOnAside(); err != nil {
		return err
	}
	return u.run(ctx)
}

const aggregatorName = "aggregator.yaml"

// read finds the configurations.
func (u *up) read() error {
	if err := loadYAML(filepath.Join(u.dir, aggregatorName), &u.agg); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(u.dir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if filepath.Base(path) == aggregatorName || !hasMember(path) {
			continue
		}
		var f siteFile
		if err := loadYAML(path, &f); err != nil {
			return err
		}
		if f.Connection.Broker != u.agg.Connection.Broker || f.Connection.Namespace != u.agg.Connection.Namespace {
			return fmt.Errorf("%s: broker and namespace are not those of %s", path, aggregatorName)
		}
		u.sites, u.names = append(u.sites, f), append(u.names, path)
	}
	if err := u.checkApart(); err != nil {
		return err
	}
	if len(u.sites) == 0 {
		return fmt.Errorf("%s: no site; want at least one *.yaml with a member", u.dir)
	}
	u.limits, err = folderLimits(u.dir)
	return err
}

// checkApart refuses two sites that are one: they would answer each other's mail.
func (u *up) checkApart() error {
	members, dirs := map[string]string{}, map[string]string{}
	for i, f := range u.sites {
		dir := filepath.Clean(f.Connection.DataDir)
		if other, ok := members[f.Member]; ok {
			return fmt.Errorf("%s: member %s is that of %s: want one file for each site", u.names[i], f.Member, other)
		}
		if other, ok := dirs[dir]; ok {
			return fmt.Errorf("%s: data_dir %s is that of %s: want one for each site", u.names[i], f.Connection.DataDir, other)
		}
		members[f.Member], dirs[dir] = u.names[i], u.names[i]
	}
	return nil
}

// hasMember tells a site's configuration from other YAML.
func hasMember(path string) bool {
	b, err := os.ReadFile(path)
	if err == nil {
		b, err = textfile.Decode(b)
	}
	if err != nil {
		return true // reading it again says why
	}
	var top map[string]any
	return yaml.Unmarshal(b, &top) != nil || top["member"] != nil
}

// brokerDir is where the embedded broker keeps what is retained.
func (u *up) brokerDir() string {
	return filepath.Join(filepath.Dir(at(u.dir, u.agg.Connection.DataDir)), "broker")
}

// inside reports that path is below dir.
func inside(dir, path string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != "." && filepath.IsLocal(rel)
}

// run readies the sites, then everything runs until the tasks have ended.
func (u *up) run(ctx context.Context) (err error) {
	sites, err := u.ready(ctx)
	defer func() { err = errors.Join(err, closeTrainers(sites...)) }()
	if err != nil {
		return usageError{err}
	}
	if err := u.checkSettings(sites); err != nil {
		return usageError{err}
	}
	if err := u.firstModels(ctx, sites); err != nil {
		return err
	}
	u.noteData(sites)
	cfg, err := u.begin(sites)
	if err != nil {
		return err
	}
	u.warnBetween(sites)
	cfg.Log = u.log
	warn(u.log, append(cfg.Warnings(), u.logins()...))
	warnRoots(u.log, cfg)
	b, err := u.broker(ctx)
	if err != nil {
		return err
	}
	cfg.Broker = b.url
	for i := range sites {
		sites[i].Broker = b.url
	}
	u.intro(cfg, b)
	err = u.federate(ctx, cfg, sites, b)
	return errors.Join(err, b.stop())
}

// ready readies the trainers of all sites, as many at once as there are
// processors. What it returns is to be closed, with an error too.
func (u *up) ready(ctx context.Context) ([]site.Config, error) {
	sites := make([]site.Config, len(u.sites))
	return sites, atOnce(len(sites), func(i int) error {
		log := u.log.With().Str("site", u.sites[i].Member).Logger()
		cfg, err := u.sites[i].config(ctx, u.dir, false, log)
		if err != nil {
			return fmt.Errorf("%s: %w", u.names[i], err) // with its trainers closed
		}
		cfg.Log = log
		warn(log, cfg.Warnings())
		warnData(log, cfg)
		sites[i] = cfg
		return nil
	})
}

// checkSettings compares the model and the settings of each task with what the
// trainers of its sites have and know.
func (u *up) checkSettings(sites []site.Config) error {
	for _, t := range u.agg.Tasks {
		for i, cfg := range sites {
			for _, s := range cfg.Tasks {
				if s.Name != t.Name {
					continue
				}
				if err := t.fits(u.names[i], s); err != nil {
					return err
				}
				file, whose := filepath.Join(u.dir, aggregatorName), "the trainer of "+cfg.Member
				err := t.Train.unknown(file, whose, trainer.SettingsOf(s.Trainer))
				if _, ok := s.Trainer.(*tabular.Trainer); ok {
					err = t.forTabular(file, whose)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// firstModels has trainers make the models that are not there.
func (u *up) firstModels(ctx context.Context, sites []site.Config) error {
	for _, t := range u.agg.Tasks {
		path := at(u.dir, t.Model.File)
		if t.Model.File == "" || !missing(path) {
			continue
		}
		made := false
		for _, cfg := range sites {
			i := slices.IndexFunc(cfg.Tasks, func(s site.Task) bool { return s.Name == t.Name })
			if i < 0 {
				continue
			}
			m, err := firstModel(ctx, cfg.Tasks[i].Trainer, t.Seed, path)
			if err != nil {
				return fmt.Errorf("first model of task %s: %w", t.Name, err)
			}
			fmt.Fprintf(stdout, "%s: %d tensors, %d values, from the trainer of %s\n", path, len(m.Schema), m.Schema.Elements(), cfg.Member)
			made = true
			break
		}
		if !made {
			return usageError{fmt.Errorf("%s is missing, and no site has a trainer for task %s", path, t.Name)}
		}
	}
	return nil
}

// federate runs everybody to the end of the tasks and saves the models.
func (u *up) federate(ctx context.Context, cfg aggregator.Config, sites []site.Config, b *upBroker) error {
	var shown sync.WaitGroup
	look, stopLooking := context.WithCancel(ctx)
	defer stopLooking()
	followers := make([]*recordFiles, 0, len(cfg.Tasks))
	runCtx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	table := newUpTable(len(cfg.Tasks) > 1)
	for _, t := range cfg.Tasks {
		vain := patience{task: t.Name, giveUp: giveUp}
		f := newRecordFiles(filepath.Join(cfg.DataDir, "records", t.Name), func(r record.Record) {
			table.row(r)
			vain.row(r)
		})
		f.look()
		vain.live = true
		followers = append(followers, f)
		shown.Go(func() { f.run(look) })
	}
	shown.Go(func() { u.sayWhatBlocks(look, b, table) })
	var at clientFlags
	at.Broker = b.url
	if !b.own {
		at.takeFrom(u.agg.Connection, u.dir)
	}
	personal, err := newPersonalWait(cfg, at, u.log, u.sites)
	switch {
	case err != nil:
	case u.apart:
		err = u.asProcesses(runCtx, sites, b, personal.wait)
	default:
		err = u.together(runCtx, cfg, sites, b, personal.wait)
	}
	stopLooking()
	shown.Wait()
	if cause := context.Cause(runCtx); cause != nil {
		err = cause
		if u.apart && errors.Is(cause, errBelowQuorum) {
			fmt.Fprintf(os.Stderr, "The warnings are in %s\n", filepath.Join(u.dir, "*.log"))
		}
	}
	for i, t := range cfg.Tasks {
		recs, restErr := followers[i].rest()
		if err == nil && restErr == nil && len(recs) > 0 {
			restErr = u.result(cfg.DataDir, t, recs, personal.found)
		}
		err = errors.Join(err, restErr)
	}
	return err
}

// partyName is what a site is called: its file's name.
func (u *up) partyName(i int) string { return strings.TrimSuffix(filepath.Base(u.names[i]), ".yaml") }

// asProcesses ends the trainers that this process has, and runs aggregator and
// sites as the commands that anybody would start.
func (u *up) asProcesses(ctx context.Context, sites []site.Config, b *upBroker, last func(context.Context) error) error {
	if err := closeTrainers(sites...); err != nil {
		return err
	}
	more := u.logs.args()
	if b.moved {
		more = append(more, "--broker", b.url)
	}
	parties := make([]party, 0, len(sites))
	for i := range sites {
		parties = append(parties, party{name: u.partyName(i), args: append([]string{"site", "-c", u.names[i]}, more...)})
	}
	return asProcesses(ctx, u.dir, more, parties, last)
}

// together runs all in this process. The sites begin when the aggregator hears
// them, so that their first words are not lost.
func (u *up) together(ctx context.Context, cfg aggregator.Config, sites []site.Config, b *upBroker, last func(context.Context) error) error {
	hears, err := b.watch(ctx, cfg)
	if err != nil {
		return err
	}
	run := make([]func(context.Context) error, len(sites))
	for i, c := range sites {
		run[i] = func(ctx context.Context) error {
			hears(ctx)
			return named(u.partyName(i), u.sites[i].run(ctx, c, u.names[i], u.sites[i].Connection.HTTP))
		}
	}
	aggregate := func(ctx context.Context, cfg aggregator.Config) error {
		return named("aggregator", u.agg.run(ctx, cfg, filepath.Join(u.dir, aggregatorName), u.agg.Connection.HTTP))
	}
	return together(ctx, cfg, aggregate, run, last)
}

// named puts the name of a party before its error.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (u *up) intro(cfg aggregator.Config, b *upBroker) {
	members := make([]string, 0, len(u.sites))
	for _, f := range u.sites {
		members = append(members, f.Member)
	}
	fmt.Fprintf(stdout, "%d sites (%s), %s.\n\n", len(members), strings.Join(members, ", "), b.what)
	newUpTable(len(cfg.Tasks) > 1).head()
}
