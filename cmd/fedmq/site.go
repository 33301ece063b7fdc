package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

type siteCmd struct {
	Config string `short:"c" required:"" type:"existingfile" help:"Configuration file (YAML)."`
	Check  bool   `help:"Check the configuration, read the data and exit."`
	Slow   bool   `help:"Take two seconds a round of training, so that people can follow."`
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

Also: username, password_file, client_id, tls: {ca, cert, key, insecure},
keys: {key, allow: [{path, role, key}]}, min_security: open|sign; for thin or shared lines
bandwidth: 256 kbit/s, hours: 22:00-06:00; for time series derive, test_where and target: {rows_left: {cap, truth}}. It runs until SIGTERM; an update that
was not settled is sent again after a restart.`
}

// siteFile is the configuration file of a site.
type siteFile struct {
	Connection  connection     `yaml:",inline"`
	Member      string         `yaml:"member"`
	MinSecurity string         `yaml:"min_security"`
	Bandwidth   string         `yaml:"bandwidth"`
	Hours       string         `yaml:"hours"`
	Tasks       []siteTaskFile `yaml:"tasks"`
}

type siteTaskFile struct {
	Name    string      `yaml:"name"`
	Owner   string      `yaml:"owner"`
	Trainer trainerFile `yaml:"trainer"`
}

// trainerFile is exactly one of its fields.
type trainerFile struct {
	Tabular *tabular.Config `yaml:"tabular"`
}

func (f trainerFile) load(open tabular.Opener, slow bool) (trainer.Trainer, error) {
	if f.Tabular == nil {
		return nil, errors.New("trainer: missing; want tabular")
	}
	d, err := tabular.Load(open, *f.Tabular)
	if err != nil {
		return nil, fmt.Errorf("trainer.tabular: %w", err)
	}
	t, err := tabular.New(d)
	if err != nil {
		return nil, fmt.Errorf("trainer.tabular: %w", err)
	}
	return slowed(t, slow), nil
}

// config reads the data of every task.
func (f siteFile) config(dir string, slow bool) (site.Config, error) {
	s, err := f.Connection.load(dir)
	if err != nil {
		return site.Config{}, err
	}
	cfg := site.Config{
		Broker: f.Connection.Broker, Namespace: f.Connection.Namespace, Member: f.Member, DataDir: at(dir, f.Connection.DataDir),
		ClientID: f.Connection.ClientID, Username: f.Connection.Username, Password: s.password, TLS: s.tls,
		Signer: s.signer, Keys: s.keys, MinSecurity: site.Security(f.MinSecurity), Agent: "fedmq/" + version,
	}
	if cfg.Bandwidth, err = parseBandwidth(f.Bandwidth); err != nil {
		return cfg, err
	}
	if f.Hours != "" {
		if cfg.Hours, err = site.ParseHours(f.Hours); err != nil {
			return cfg, err
		}
	}
	for i, t := range f.Tasks {
		tr, err := t.Trainer.load(tabular.Dir(dir), slow)
		if err != nil {
			return cfg, fmt.Errorf("tasks[%d] (%s): %w", i, t.Name, err)
		}
		cfg.Tasks = append(cfg.Tasks, site.Task{Name: t.Name, Owner: t.Owner, Trainer: tr})
	}
	return cfg, cfg.Validate()
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

func (c *siteCmd) Run(ctx context.Context, logs *logFlags) error {
	var f siteFile
	if err := loadYAML(c.Config, &f); err != nil {
		return usageError{err}
	}
	dir := filepath.Dir(c.Config)
	cfg, err := f.config(dir, c.Slow)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.Config, err)}
	}
	if c.Check {
		for _, t := range cfg.Tasks {
			fmt.Printf("%s: ok, task %s with %d training rows\n", c.Config, t.Name, t.Trainer.Samples())
		}
		return nil
	}
	cfg.Log = logs.logger()
	cfg.Log.Info().Str("broker", cfg.Broker).Str("namespace", cfg.Namespace).Str("member", cfg.Member).Msg("site starts")
	return site.Run(ctx, cfg)
}
