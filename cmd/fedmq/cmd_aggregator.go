package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/collect"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/metrics"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
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
      statistics: zscore           # begin with a federated z-score
      keep_updates: none           # none | round | all

Further keys: username, password_file, client_id, tls: {ca, cert, key,
server_name, insecure}, ws_headers, owner, http,
audit, part_size, stage_memory, uploads, keys: {key, allow: [{path, role, key}]}; of a task goal,
join_wait, sample, max_samples, seed, slots, keep_models, metric, threshold, release. All of them: docs/ref/config.md.

It runs until SIGTERM; state survives a kill.`
}

// aggregatorFile is the configuration file of an aggregator.
type aggregatorFile struct {
	Connection connection `yaml:",inline"`
	Owner      string     `yaml:"owner"`
	Bulk       string     `yaml:"bulk"`
	PartSize   int        `yaml:"part_size"`
	StageMem   int        `yaml:"stage_memory"`
	Uploads    int        `yaml:"uploads"`
	Tasks      []taskFile `yaml:"tasks"`
}

type taskFile struct {
	Name        string        `yaml:"name"`
	Members     []string      `yaml:"members"`
	Rounds      uint64        `yaml:"rounds"`
	Stop        *stopFile     `yaml:"stop"`
	StartWhen   int           `yaml:"start_when"`
	JoinWait    time.Duration `yaml:"join_wait"`
	Quorum      int           `yaml:"quorum"`
	Goal        int           `yaml:"goal"`
	Deadline    time.Duration `yaml:"deadline"`
	Sample      float64       `yaml:"sample"`
	MaxSamples  uint64        `yaml:"max_samples"`
	Strategy    strategyFile  `yaml:"strategy"`
	Encoding    string        `yaml:"encoding"`
	Model       modelFile     `yaml:"model"`
	Train       settings      `yaml:"train"`
	Schedule    scheduleFile  `yaml:"schedule"`
	Contract    settings      `yaml:"contract"`
	Seed        uint64        `yaml:"seed"`
	Statistics  string        `yaml:"statistics"`
	Slots       int           `yaml:"slots"`
	KeepUpdates string        `yaml:"keep_updates"`
	KeepModels  int           `yaml:"keep_models"`
	Metric      string        `yaml:"metric"`
	Threshold   string        `yaml:"threshold"`
	Release     *releaseFile  `yaml:"release"`
}

type releaseFile struct {
	MinGain     float64       `yaml:"min_gain"`
	MaxSiteLoss *float64      `yaml:"max_site_loss"`
	Hold        int           `yaml:"hold"`
	HoldFor     time.Duration `yaml:"hold_for"`
	Approve     string        `yaml:"approve"`
}

func (f *releaseFile) gate() *aggregator.Release {
	if f == nil {
		return nil
	}
	return &aggregator.Release{MinGain: f.MinGain, MaxSiteLoss: f.MaxSiteLoss, Hold: f.Hold, HoldFor: f.HoldFor, Approve: aggregator.Approve(f.Approve)}
}

type stopFile struct {
	Metric   string  `yaml:"metric"`
	Mode     string  `yaml:"mode"`
	Patience int     `yaml:"patience"`
	MinDelta float64 `yaml:"min_delta"`
}

// scheduleFile is how numbers below train change.
type scheduleFile map[string]struct {
	Decay float64 `yaml:"decay"`
	Every uint64  `yaml:"every"`
}

func (f scheduleFile) rules() map[string]aggregator.Schedule {
	out := map[string]aggregator.Schedule{}
	for name, s := range f {
		out[name] = aggregator.Schedule(s)
	}
	return out
}

func (f *stopFile) rule() *aggregator.Stop {
	if f == nil {
		return nil
	}
	return &aggregator.Stop{Metric: f.Metric, Mode: aggregator.Mode(f.Mode), Patience: f.Patience, MinDelta: f.MinDelta}
}

// modelFile is exactly one of its fields.
type modelFile struct {
	MLP     *archFile `yaml:"mlp"`
	Softmax *archFile `yaml:"softmax"`
	Linear  *archFile `yaml:"linear"`
	File    string    `yaml:"file"`
}

type archFile struct {
	Inputs  int    `yaml:"inputs"`
	Hidden  []int  `yaml:"hidden"`
	Outputs int    `yaml:"outputs"`
	Task    string `yaml:"task"`
	Seed    uint64 `yaml:"seed"`
}

// maxModelFile bounds an initial model in bytes.
const maxModelFile int64 = 4 << 30

// load makes version 0 of the model.
func (m modelFile) load(dir string, zscore, counted bool) (*model.Model, error) {
	var found []string
	arch := model.Arch{}
	for kind, a := range map[string]*archFile{"mlp": m.MLP, "softmax": m.Softmax, "linear": m.Linear} {
		if a != nil {
			if err := a.voids(kind); err != nil {
				return nil, err
			}
			found = append(found, kind)
			arch = model.Arch{Kind: kind, Inputs: a.Inputs, Hidden: a.Hidden, Outputs: a.Outputs, Task: a.Task, Seed: a.Seed, Counted: counted}
		}
	}
	switch {
	case len(found) > 1 || len(found) == 1 && m.File != "":
		return nil, errors.New("model: want one of mlp, softmax, linear and file")
	case m.File != "":
		return readFirst(at(dir, m.File))
	case len(found) == 0:
		return nil, errors.New("model: missing; want mlp, softmax, linear or file")
	}
	return arch.New(zscore)
}

// balanced reports that the built-in trainer weighs classes: its model has a place for
// their rows.
func (f taskFile) balanced() bool {
	var set struct {
		ClassWeight any `json:"class_weight"`
	}
	return f.Model.File == "" && json.Unmarshal(f.Train.json, &set) == nil && set.ClassWeight != nil
}

// balanceVoid refuses a weight of classes that nobody can know.
func (f taskFile) balanceVoid() error {
	switch {
	case !f.balanced():
	case f.Model.Linear != nil, f.Model.MLP != nil && f.Model.MLP.Task == "regression":
		return errors.New("train: class_weight has no effect: it is for a classification")
	case f.Statistics != "zscore":
		return errors.New("train: class_weight wants statistics: zscore: in that round the sites learn how many rows each class has, over all of them")
	}
	return nil
}

// thresholdVoid refuses a threshold for a model that is not of two classes.
func (m modelFile) thresholdVoid(rule string) error {
	switch {
	case rule == "":
	case m.Linear != nil, m.MLP != nil && m.MLP.Task == "regression":
		return errors.New("threshold has no effect: it is for a classification")
	case m.Softmax != nil && m.Softmax.Outputs != 2, m.MLP != nil && m.MLP.Outputs != 2:
		return errors.New("threshold has no effect: it is for two classes, the model has others")
	}
	return nil
}

// first is version 0 of the model. Of a task that has begun in the data directory its
// file may be gone: then it is what is written there of the schema, without values.
func (f taskFile) first(dir, data string) (m *model.Model, begun bool, err error) {
	m, err = f.Model.load(dir, f.Statistics == "zscore", f.balanced())
	if f.Model.File == "" || !errors.Is(err, fs.ErrNotExist) {
		return m, false, err
	}
	raw, none := os.ReadFile(filepath.Join(data, "records", f.Name+".json"))
	if none != nil {
		return nil, false, err
	}
	about, err := record.DecodeDescription(raw)
	if err != nil {
		return nil, false, err
	}
	schema, err := about.Layout()
	if err != nil {
		return nil, false, err
	}
	return model.New(schema), true, nil
}

// task turns a task of the file into the aggregator's, whose data directory is data.
func (f taskFile) task(dir, data string) (aggregator.Task, error) {
	if f.Statistics != "" && f.Statistics != "zscore" {
		return aggregator.Task{}, fmt.Errorf("statistics: %q, want zscore or nothing", f.Statistics)
	}
	if err := cmp.Or(f.Strategy.voids(), f.Model.thresholdVoid(f.Threshold), f.balanceVoid()); err != nil {
		return aggregator.Task{}, err
	}
	init, begun, err := f.first(dir, data)
	if err != nil {
		return aggregator.Task{}, err
	}
	guard, err := f.Strategy.Guard.of(f.Strategy.Clip)
	if err != nil {
		return aggregator.Task{}, err
	}
	contract, err := f.agreed(init.Schema)
	if err != nil {
		return aggregator.Task{}, err
	}
	root, err := f.Strategy.Root.root(workplace{dir: dir, data: data, task: f.Name, member: "root", log: zerolog.Nop()})
	if err != nil {
		return aggregator.Task{}, err
	}
	t := aggregator.Task{
		Contract: contract, Name: f.Name, Members: f.Members, Rounds: f.Rounds, Stop: f.Stop.rule(), StartWhen: f.StartWhen, JoinWait: f.JoinWait,
		Quorum: f.Quorum, Goal: f.Goal, Deadline: f.Deadline, Sample: f.Sample, MaxSamples: f.MaxSamples,
		Strategy: f.Strategy.Name, StrategyParams: f.Strategy.params, Server: f.Strategy.Server.Name, ServerParams: f.Strategy.Server.params, Root: root,
		Guard: guard, Weights: f.Strategy.Weights, Cap: f.Strategy.Cap, CapFactor: f.Strategy.CapFactor,
		GridB: f.Strategy.GridB, Encoding: f.Encoding, Locals: model.Locals{Share: f.Strategy.Share, Keep: f.Strategy.KeepLocal}, Init: init, Begun: begun, Train: f.Train.json, Schedule: f.Schedule.rules(), Seed: f.Seed, Statistics: f.Statistics == "zscore",
		Slots: f.Slots, KeepUpdates: aggregator.Keep(f.KeepUpdates), KeepModels: f.KeepModels,
		Metric: f.Metric, Threshold: trainer.Rule(f.Threshold), Release: f.Release.gate(),
	}
	if f.isTabular() {
		t.CheckTrain = tabular.CheckSettings
	}
	t.Init = t.First(strategy.Registry{})
	return t, nil
}

// loadAggregator reads a configuration file; every error names the file.
func loadAggregator(path string) (aggregator.Config, error) {
	cfg, _, err := readAggregator(path)
	return cfg, err
}

// readAggregator is loadAggregator, with what is not the aggregator's own.
func readAggregator(path string) (aggregator.Config, aggregatorFile, error) {
	var f aggregatorFile
	if err := loadYAML(path, &f); err != nil {
		return aggregator.Config{}, f, err
	}
	for _, t := range f.Tasks {
		if t.isTabular() {
			if err := t.Train.forTabular(path, "the trainer tabular"); err != nil {
				return aggregator.Config{}, f, err
			}
		}
	}
	cfg, err := f.config(filepath.Dir(path))
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return cfg, f, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, f, nil
}

func (f aggregatorFile) config(dir string) (aggregator.Config, error) {
	s, err := f.Connection.load(dir)
	if err != nil {
		return aggregator.Config{}, err
	}
	cfg := aggregator.Config{
		Broker: string(f.Connection.Broker), Namespace: f.Connection.Namespace, Owner: f.Owner, Bulk: f.Bulk, DataDir: at(dir, f.Connection.DataDir),
		Username: f.Connection.Username, Password: s.password, ClientID: f.Connection.ClientID, TLS: s.tls, Headers: s.headers,
		Signer: s.signer, Keys: s.keys, PartSize: f.PartSize, StageMemory: f.StageMem, Uploads: f.Uploads,
	}
	for i, t := range f.Tasks {
		task, err := t.task(dir, cfg.DataDir)
		if err != nil {
			return cfg, fmt.Errorf("tasks[%d] (%s): %w", i, t.Name, err)
		}
		cfg.Tasks = append(cfg.Tasks, task)
	}
	return cfg, nil
}

// limitMemory holds a process that does nothing but run an aggregator to what
// the aggregator needs, unless GOMEMLIMIT says otherwise; below that it collects late.
func limitMemory(cfg aggregator.Config) {
	collect.Late(100)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Memory() - programMemory)
	}
}

// warn names settings that the built-in trainer does not know, where the model
// is one of its kinds. A trainer of the sites' own may.
func (f aggregatorFile) warn(path string) {
	for _, t := range f.Tasks {
		if t.Model.File != "" {
			continue
		}
		if err := t.Train.unknown(path, "the trainer tabular", tabular.SettingNames()); err != nil {
			fmt.Fprintf(os.Stderr, "%v; a site with this trainer will decline\n", err)
		}
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

// readFirst reads the model that a federation begins with. Files that were not
// made for fedmq have no rules: integers, such as the counters of a batch norm
// in a state_dict, are kept, as no strategy averages them.
func readFirst(path string) (*model.Model, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe waits for a writer
		return nil, fmt.Errorf("model.file: %s is no regular file", path)
	}
	m, err := model.ReadSafetensorsFile(path, maxModelFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model.file: %w", err)
	}
	if err != nil {
		return nil, err
	}
	for i := range m.Schema { // the model is ours alone
		if s := &m.Schema[i]; s.DType == model.I64 && s.Rule == model.Mean {
			s.Rule = model.Keep
		}
	}
	return m, nil
}
