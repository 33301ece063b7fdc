package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/collect"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/metrics"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/exec"
	"github.com/fedmq/fedmq/trainer/tabular"
)

type siteCmd struct {
	Config string `short:"c" required:"" type:"existingfile" placeholder:"FILE" help:"Configuration file (YAML)."`
	Check  bool   `help:"Check the configuration, read the data, say what is in them, and exit."`
	Train  bool   `help:"With --check: train and evaluate once too, with the model and the settings of an aggregator.yaml beside the file."`
	httpFlag
	Broker string `hidden:"" help:"Broker instead of that of the configuration."` // of up --processes, whose port is taken

	Slow bool `help:"Take two seconds longer for a round of training, so that people can follow."`
}

func (siteCmd) Help() string {
	return `A configuration file, with paths relative to the file:

  broker: tcp://127.0.0.1:1883
  namespace: acme
  member: berlin/line-1            # this site's path below the namespace
  data_dir: ./berlin
  tasks:
    - name: quality
      trainer:
        tabular:
          train: data.csv.gz       # CSV, plain or gzip, with a header line
          split: {column: split, train: train, test: test}   # or  test: test.csv.gz
          where: {site: S01}
          target: {column: y, classes: [ok, scratch, dent]}  # or {column: y}
          features: [{columns: [f1, f2]}]                    # slog, clip, log1p, missing_flag
          zclip: 6

or, for a program in any language (docs/spec/trainer.md):

  trainer: {exec: {command: [python3, train.py, data.csv]}}   # mode, start, timeout, nice, memory_mb

Further keys: username, password_file, client_id, tls: {ca, cert, key,
server_name, insecure}, ws_headers, http, audit,
keys: {key, allow: [{path, role, key}]}, min_security: open|sign; for thin or shared lines
bandwidth: 256 kbit/s and hours: 22:00-06:00; for tasks of statistics min_count; for time series derive, test_where and
target: {rows_left: {cap, truth}}. All of them: docs/ref/config.md.

It runs until SIGTERM; an update that was not settled is sent again after a restart.`
}

// siteFile is the configuration file of a site.
type siteFile struct {
	Connection  connection     `yaml:",inline"`
	Member      string         `yaml:"member"`
	MinSecurity string         `yaml:"min_security"`
	Bandwidth   string         `yaml:"bandwidth"`
	Hours       string         `yaml:"hours"`
	Bulk        []string       `yaml:"bulk"`
	Tasks       []siteTaskFile `yaml:"tasks"`
}

type siteTaskFile struct {
	Name    string      `yaml:"name"`
	Owner   string      `yaml:"owner"`
	Trainer trainerFile `yaml:"trainer"`

	Personalise *personaliseFile `yaml:"personalise"`
	MinCount    *int             `yaml:"min_count"`
	MinMax      bool             `yaml:"minmax"`
}

// trainerFile is exactly one of its fields.
type trainerFile struct {
	Tabular *tabular.Config `yaml:"tabular"`
	Exec    *execFile       `yaml:"exec"`
}

// execFile is a trainer that is a program of its own, run in the directory of
// the configuration file.
type execFile struct {
	Command  []string      `yaml:"command"`
	Mode     string        `yaml:"mode"`
	Start    time.Duration `yaml:"start"`
	Timeout  time.Duration `yaml:"timeout"`
	Nice     int           `yaml:"nice"`
	MemoryMB int64         `yaml:"memory_mb"`
}

// trainerFiles is what the directory of a program's files begins with.
const trainerFiles = "trainer-"

// workplace is where a trainer works.
type workplace struct {
	dir, data    string // of the configuration file, of the site's state
	task, member string
	log          zerolog.Logger
}

func (f execFile) start(ctx context.Context, p workplace) (*exec.Trainer, error) {
	return exec.Start(ctx, exec.Config{
		Command: f.Command, Mode: exec.Mode(f.Mode), Dir: p.dir, Files: filepath.Join(p.data, trainerFiles+p.task),
		Task: p.task, Member: p.member, Start: f.Start, Timeout: f.Timeout, Nice: f.Nice, Memory: f.MemoryMB << 20,
		Log: p.log.With().Str("task", p.task).Logger(),
	})
}

// load reads the data, or starts the program; closeTrainers ends it.
func (f trainerFile) load(ctx context.Context, p workplace, slow bool) (trainer.Trainer, error) {
	if f.Exec != nil && f.Tabular == nil {
		t, err := f.Exec.start(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("trainer.exec: %w", err)
		}
		return slowed(t.Site(), slow), nil
	}
	t, err := f.table(p)
	if err != nil {
		return nil, err
	}
	if t.Follows() {
		p.log.Info().Str("task", p.task).Int("rows", t.Samples()).Msg("no features are listed: those of the task's contract are taken, which comes with its model")
	}
	return slowed(t, slow), nil
}

// table reads the data of a trainer that is no program.
func (f trainerFile) table(p workplace) (*tabular.Trainer, error) {
	switch {
	case f.Tabular != nil && f.Exec != nil:
		return nil, errors.New("trainer: want one of tabular and exec")
	case f.Tabular == nil:
		return nil, errors.New("trainer: missing; want tabular or exec")
	}
	t, err := tabular.Open(tabular.Dir(p.dir), *f.Tabular, p.loaded)
	if err != nil {
		return nil, fmt.Errorf("trainer.tabular: %w", err)
	}
	return t, nil
}

// loaded logs what a trainer has read.
func (p workplace) loaded(d *tabular.Data) {
	for _, f := range d.Files {
		line := p.log.Info().Str("task", p.task).Str("file", f.Name).Hex("sha256", f.SHA256[:]).
			Int("rows", d.Train.N).Int("test_rows", d.Test.N)
		if f.About != "" {
			line = line.Str("written", f.About)
		}
		line.Msg("data read")
	}
	if c := d.Constant(); len(c) > 0 && d.Predicts() {
		p.log.Warn().Str("task", p.task).Strs("columns", c).Msg("these columns are the same in every training row, or missing: a z-score only centres them, and they teach nothing here")
	}
	for _, note := range d.Notes {
		p.log.Warn().Str("task", p.task).Msg(note)
	}
}

// config readies the trainer of every task; closeTrainers ends what it has
// started.
func (f siteFile) config(ctx context.Context, dir string, slow bool, log zerolog.Logger) (site.Config, error) {
	s, err := f.Connection.load(dir)
	if err != nil {
		return site.Config{}, err
	}
	cfg := site.Config{
		Broker: string(f.Connection.Broker), Namespace: f.Connection.Namespace, Member: f.Member, DataDir: at(dir, f.Connection.DataDir), Bulk: f.Bulk,
		ClientID: f.Connection.ClientID, Username: f.Connection.Username, Password: s.password, TLS: s.tls, Headers: s.headers,
		Signer: s.signer, Keys: s.keys, MinSecurity: site.Security(f.MinSecurity), Agent: "fedmq/" + version,
	}
	if cfg.Bandwidth, err = parseBandwidth(f.Bandwidth); err != nil {
		return cfg, err
	}
	if f.Hours != "" {
		if cfg.Hours, err = site.ParseHours(f.Hours); err == nil && !cfg.Hours.UTC {
			err = checkZone(os.Getenv("TZ"))
		}
		if err != nil {
			return cfg, err
		}
	}
	for i, t := range f.Tasks {
		p := workplace{dir: dir, data: cfg.DataDir, task: t.Name, member: f.Member, log: log}
		least, err := t.tells()
		err = errors.Join(err, t.measures())
		var tr trainer.Trainer
		if err == nil {
			tr, err = t.Trainer.load(ctx, p, slow)
		}
		if err != nil {
			return cfg, errors.Join(fmt.Errorf("tasks[%d] (%s): %w", i, t.Name, err), closeTrainers(cfg))
		}
		cfg.Tasks = append(cfg.Tasks, site.Task{Name: t.Name, Owner: t.Owner, Trainer: tr, Personalise: t.Personalise.site(), MinCount: least, MinMax: t.MinMax})
	}
	if err := cfg.Validate(); err != nil {
		return cfg, errors.Join(err, closeTrainers(cfg))
	}
	return cfg, nil
}

// parseBandwidth reads a rate such as "256 kbit/s" in bits a second; "" is none.
func parseBandwidth(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number, unit, _ := strings.Cut(s, " ")
	factor := map[string]float64{"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}[unit]
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || factor == 0 || !(v > 0 && v*factor < 1e15) {
		return 0, fmt.Errorf("bandwidth: %q, want a number and bit/s, kbit/s, Mbit/s or Gbit/s, such as 256 kbit/s", s)
	}
	return int64(v * factor), nil
}

// closeTrainers ends the programs that train, all at once.
func closeTrainers(sites ...site.Config) error {
	var all crew
	for _, cfg := range sites {
		for _, t := range cfg.Tasks {
			all = append(all, t.Trainer)
		}
	}
	return all.close()
}

func (c *siteCmd) Run(ctx context.Context, logs *logFlags) (err error) {
	var f siteFile
	if err := loadYAML(c.Config, &f); err != nil {
		return usageError{err}
	}
	log := logs.logger()
	if c.Check { // beside a site that may be running
		log = logs.quiet()
		if err := f.Connection.checkPlaces(filepath.Dir(c.Config)); err != nil {
			return usageError{fmt.Errorf("%s: %w", c.Config, err)}
		}
		if f.Connection.DataDir != "" {
			if f.Connection.DataDir, err = os.MkdirTemp("", "fedmq-check-"); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(f.Connection.DataDir)) }()
		}
	}
	cfg, err := f.config(ctx, filepath.Dir(c.Config), c.Slow, log)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.Config, err)}
	}
	defer func() { err = errors.Join(err, closeTrainers(cfg)) }()
	warn(log, cfg.Warnings())
	if c.Check {
		return c.tell(ctx, f, cfg)
	}
	cfg.Log = log
	if c.Broker != "" {
		cfg.Broker = c.Broker
	}
	collect.Late(100, collect.Room)
	return f.run(ctx, cfg, c.Config, c.or(f.Connection.HTTP))
}

// localHours says in which zone the hours are, if they are in local time.
func (f siteFile) localHours() string {
	if f.Hours == "" || strings.HasSuffix(f.Hours, " UTC") {
		return ""
	}
	return "hours " + f.Hours + " in " + zone(os.Getenv("TZ"), time.Now())
}

// run is the site of the configuration file at path, with its audit log and its
// numbers, until ctx ends.
func (f siteFile) run(ctx context.Context, cfg site.Config, path, http string) error {
	cfg.Log.Info().Str("broker", link.Shown(cfg.Broker)).Str("namespace", cfg.Namespace).Str("member", cfg.Member).Msg("site starts")
	if local := f.localHours(); local != "" {
		cfg.Log.Info().Msg("parts travel at " + local)
	}
	cfg.Monitor = new(site.Monitor)
	lines := auditLog{file: f.Connection.Audit, config: path, namespace: cfg.Namespace, path: cfg.Member, log: cfg.Log}
	return lines.serve(ctx, http, metrics.Site(cfg.Monitor), func(ctx context.Context, write func(audit.Entry)) error {
		cfg.Audit = write
		return site.Run(ctx, cfg)
	})
}
