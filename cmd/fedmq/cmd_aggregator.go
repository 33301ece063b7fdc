package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/collect"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/metrics"
)

type aggregatorCmd struct {
	Config    string `short:"c" required:"" type:"existingfile" placeholder:"FILE" help:"Configuration file (YAML)."`
	Check     bool   `help:"Check the configuration and exit."`
	UntilDone bool   `help:"Exit when every task has ended: 0 when all finished, 3 when one stopped."`
	httpFlag
	Broker string `hidden:"" help:"Broker instead of that of the configuration."` // of up --processes, whose port is taken

	Adopt bool `name:"adopt-epoch" help:"The data directory is an older copy: go on above what the broker and the members have seen."`
}

func (aggregatorCmd) Help() string {
	return `A configuration file, with paths relative to the file:

  broker: tcp://127.0.0.1:1883     # or tls://, ws://, wss://
  namespace: acme
  data_dir: ./aggregator
  tasks:
    - name: quality
      members: ["+/line-1"]        # UNS filters below the namespace
      rounds: 20                   # of training
      stop: {patience: 5}          # or before, when 5 models in a row were not better
      start_when: 10               # members welcomed before the first round
      quorum: 8                    # updates a round needs
      deadline: 60s
      strategy: {name: fedavg}     # and its parameters (docs/ref/strategies.md), server,
                                   # weights: samples|uniform|sqrt, cap, cap_factor, grid_b,
                                   # guard: on|off|fixed|{zero, clip}, clip
      model: {mlp: {inputs: 48, hidden: [32], outputs: 1, task: regression, seed: 1}}
                                   # or {softmax: {..}}, {linear: {..}}, {file: init.safetensors}
      train: {epochs: 5, batch: 32, lr: 0.01, momentum: 0.9, l2: 1e-4, max_grad_norm: 5}
      statistics: zscore           # begin with a federated z-score; a task of {columns: [flow]}
                                   # gathers statistics, and has neither model nor train
      keep_updates: none           # none | round | all

Further keys: username, password_file, client_id, tls: {ca, cert, key,
server_name, insecure}, ws_headers, owner, http,
audit, part_size, stage_memory, uploads, keys: {key, allow: [{path, role, key}]}; of a task goal,
join_wait, sample, max_samples, seed, slots, keep_models, metric, threshold, release. All of them: docs/ref/config.md.

It runs until SIGTERM; state survives a kill.`
}

// limitMemory holds a process that does nothing but run an aggregator to what
// the aggregator needs, unless GOMEMLIMIT says otherwise; below that it collects late.
func limitMemory(cfg aggregator.Config) {
	collect.Late(100, collect.Room)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Memory() - programMemory)
	}
}

func (c *aggregatorCmd) Run(ctx context.Context, logs *logFlags) error {
	cfg, file, err := readAggregator(c.Config)
	if err != nil {
		return usageError{err}
	}
	warn(logs.quiet(), cfg.Warnings())
	warnRoots(logs.quiet(), cfg)
	if c.Check {
		if err := file.Connection.checkPlaces(filepath.Dir(c.Config)); err != nil {
			return usageError{fmt.Errorf("%s: %w", c.Config, err)}
		}
		file.warn(c.Config)
		fmt.Fprintf(stdout, "%s: ok, %d tasks\n", c.Config, len(cfg.Tasks))
		for i, t := range file.Tasks {
			fmt.Fprintf(stdout, "  task %s: %s\n", t.Name, t.about(cfg.Tasks[i].Init))
		}
		return nil
	}
	cfg.Log, cfg.AdoptEpoch = logs.logger(), c.Adopt
	if c.Broker != "" {
		cfg.Broker = c.Broker
	}
	if begun, err := aggregator.Ended(cfg); err == nil { // else the aggregator says it better
		if err := noteTasks(cfg, begun, c.Config, func(*runSettings) {}); err != nil {
			return err
		}
	}
	limitMemory(cfg)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := newEnds(cfg, cancel, c.UntilDone)
	cfg.OnEnd = ends.on
	if err := file.run(ctx, cfg, c.Config, c.or(file.Connection.HTTP)); err != nil {
		return err
	}
	if c.UntilDone {
		return ends.err()
	}
	return nil
}

// run is the aggregator of the configuration file at path, with its audit log and
// its numbers, until ctx ends.
func (f aggregatorFile) run(ctx context.Context, cfg aggregator.Config, path, http string) error {
	cfg.Log.Info().Str("broker", link.Shown(cfg.Broker)).Str("namespace", cfg.Namespace).Int("tasks", len(cfg.Tasks)).Msg("aggregator starts")
	cfg.Monitor = new(aggregator.Monitor)
	lines := auditLog{file: f.Connection.Audit, config: path, namespace: cfg.Namespace, path: cfg.Owner, log: cfg.Log}
	return lines.serve(ctx, http, metrics.Aggregator(cfg.Monitor), func(ctx context.Context, write func(audit.Entry)) error {
		cfg.Audit = write
		return aggregator.Run(ctx, cfg)
	})
}

// programMemory is what the program itself takes, which the limit of the
// garbage collector does not count.
const programMemory = 20 << 20

// ends notes which tasks have ended, and cancels when all have.
type ends struct {
	mu      sync.Mutex
	open    map[string]bool
	stopped []string
	all     func()
}

func newEnds(cfg aggregator.Config, cancel func(), untilDone bool) *ends {
	e := &ends{open: map[string]bool{}, all: cancel}
	if !untilDone {
		e.all = func() {}
	}
	for _, t := range cfg.Tasks {
		e.open[t.Name] = true
	}
	return e
}

func (e *ends) on(task string, finished bool, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, task)
	if !finished {
		e.stopped = append(e.stopped, task+": "+reason)
	}
	if len(e.open) == 0 {
		e.all()
	}
}

func (e *ends) err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case len(e.stopped) > 0:
		return fmt.Errorf("%w: %v", errBelowQuorum, e.stopped)
	case len(e.open) > 0:
		return context.Canceled
	}
	return nil
}
