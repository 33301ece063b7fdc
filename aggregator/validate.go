package aggregator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// Validate reports everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Broker == "" && c.Dial == nil {
		bad("broker: missing; want a URL such as tcp://127.0.0.1:1883")
	}
	ns, noPlace := topics.Configured(c.Namespace, c.Bulk)
	if noPlace != nil {
		bad("%w", noPlace)
	}
	if c.Owner != "" {
		if err := topics.CheckPath(c.Owner); err != nil {
			bad("owner: %w", err)
		}
	}
	if c.DataDir == "" {
		bad("data_dir: missing; want a directory for state and records")
	}
	if (c.Signer != nil) != (len(c.Keys) > 0) {
		bad("keys: want both a signing key and the allow list of the members' keys, or neither")
	}
	if c.PartSize < minPartSize || c.PartSize > maxPartSize {
		bad("part_size: %d, want %d to %d bytes", c.PartSize, minPartSize, maxPartSize)
	}
	if c.StageMemory < 0 {
		bad("stage_memory: %d, want 1 byte or more", c.StageMemory)
	}
	if c.Uploads < 1 || c.Uploads > maxUploads {
		bad("uploads: %d, want 1 to %d", c.Uploads, maxUploads)
	}
	if err := c.Strategies.Check(); err != nil {
		bad("strategies: %w", err)
	}
	if len(c.Tasks) == 0 {
		bad("tasks: none; want at least one")
	}
	seen := map[string]bool{}
	for i, t := range c.Tasks {
		if seen[t.Name] {
			bad("tasks[%d]: name %q stands twice", i, t.Name)
		}
		seen[t.Name] = true
		for _, err := range t.problems(c.PartSize, c.Strategies) {
			bad("tasks[%d] (%s): %w", i, t.Name, err)
		}
		if _, err := c.topicsOf(ns, t.Name); err != nil && noPlace == nil {
			bad("tasks[%d]: %w", i, err)
		}
	}
	if len(errs) == 0 {
		if err := link.CheckLevels(c.Broker, c.deepest(ns)); err != nil {
			bad("%w", err)
		}
	}
	return errors.Join(errs...)
}

// topicsOf are those of a task.
func (c Config) topicsOf(ns topics.Namespace, task string) (topics.Owner, error) {
	o, err := ns.Owner(c.Owner, task)
	if err != nil {
		return o, err
	}
	return o.Below(c.Bulk)
}

// deepest is the topic with the most levels that the aggregator uses.
func (c Config) deepest(ns topics.Namespace) string {
	var list []string
	for _, t := range c.Tasks {
		owner, _ := c.topicsOf(ns, t.Name) // checked
		list = append(list, owner.ModelPart(0, 0), owner.Released().ModelPart(0, 0))
		for _, m := range t.Members {
			f, _ := topics.ParseMemberFilter(m) // checked
			list = append(append(list, owner.Reply(f.String())), ns.MemberFilterTopics(f, t.Name, topics.Update)...)
		}
	}
	return topics.Deepest(list...)
}

func (t Task) problems(partSize int, r strategy.Registry) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(t.Members) == 0 {
		bad("members: none; want UNS filters such as \"+/line-1\"")
	}
	for key, list := range map[string][]string{"members": t.Members, "consumers": t.Consumers} {
		for _, m := range list {
			if _, err := topics.ParseMemberFilter(m); err != nil {
				bad("%s: %w", key, err)
			}
		}
	}
	if t.Rounds < 1 {
		bad("rounds: %d, want 1 or more", t.Rounds)
	}
	errs = append(errs, t.quorumProblems(t.minimum(r), t.late(r))...)
	if t.Deadline < time.Second || t.Deadline > maxDeadline {
		bad("deadline: %s, want 1s to %s", t.Deadline, maxDeadline)
	}
	if t.JoinWait < 0 {
		bad("join_wait: %s, want 0 or more", t.JoinWait)
	}
	if !(t.Sample > 0 && t.Sample <= 1) {
		bad("sample: %v, want more than 0 and at most 1", t.Sample)
	}
	if t.Slots < minSlots || t.Slots > topics.MaxSlots {
		bad("slots: %d, want %d to %d", t.Slots, minSlots, topics.MaxSlots)
	}
	if !slices.Contains([]Keep{KeepNone, KeepRound, KeepAll}, t.KeepUpdates) {
		bad("keep_updates: %q, want none, round or all", t.KeepUpdates)
	}
	if t.Metric != "" && !wire.IsMetric(t.Metric) {
		bad("metric: %.70q, want the name of a metric", t.Metric)
	}
	if t.Threshold != "" {
		if err := t.Threshold.Check(); err != nil {
			bad("threshold: %w", err)
		}
	}
	if why := cmp.Or(t.Stop.problem(t.Metric), t.Release.problem()); why != "" {
		bad("%s", why)
	}
	if t.KeepModels < -1 {
		bad("keep_models: %d, want 1 or more, or -1 for all", t.KeepModels)
	}
	if err := t.TrainProblem(r); err != nil {
		bad("%w", err)
	}
	if t.Survey != nil {
		if errs = append(errs, t.surveyProblems()...); t.Init != nil {
			errs = append(errs, t.payloadProblems(partSize)...)
			if err := t.contractFits(partSize); err != nil && len(errs) == 0 {
				errs = append(errs, err)
			}
		}
		return errs
	}
	return slices.Concat(errs, t.scheduleProblems(), t.strategyProblems(r), t.payloadProblems(partSize))
}

func (t Task) strategyProblems(r strategy.Registry) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var fold *strategy.Aggregation
	if _, err := r.Settings(t.Strategy, t.StrategyParams); err != nil {
		bad("%w", err)
	} else if t.Init != nil && t.Init.Check() == nil {
		s := t.setup()
		s.Round = strategy.Round{Base: t.Init, GridB: 6, GridW: 10}
		if fold, err = r.Begin(s, nil); err != nil {
			fold = nil
			bad("model: %w", err)
		}
	}
	errs = append(errs, t.localProblems(r)...)
	if _, err := r.CheckEncoding(t.Encoding, fold); err != nil {
		bad("encoding: %w", err)
	}
	errs = append(errs, t.rootProblems(r)...)
	if _, err := r.ServerSettings(t.Server, t.ServerParams); err != nil {
		bad("%w", err)
	}
	if err := t.Guard.Check(); err != nil {
		bad("strategy.%w", err)
	}
	if takes, err := r.Weightings(t.setup()); err == nil && !slices.Contains(takes, t.Weights) {
		bad("strategy.weights: %q, want %s with the strategy %s", t.Weights, strings.Join(takes, ", "), t.Strategy)
	}
	if _, err := localOf(r, t); err != nil && !errors.Is(err, strategy.ErrSetting) && !errors.Is(err, strategy.ErrUnknown) {
		bad("%w", err)
	}
	if t.Cap > round.MaxCap {
		bad("strategy.cap: %d, want at most 2^29", t.Cap)
	}
	if t.GridB != nil && (*t.GridB < round.MinGridB || *t.GridB > round.MaxGridB) {
		bad("strategy.grid_b: %d, want %d to %d", *t.GridB, round.MinGridB, round.MaxGridB)
	}
	return errs
}

// rootProblems holds the aggregator's own trainer against the strategy and the contract.
func (t Task) rootProblems(r strategy.Registry) (errs []error) {
	switch rooted := t.rooted(r); {
	case rooted && t.Root == nil:
		errs = append(errs, fmt.Errorf("strategy.root: missing; strategy %s wants a trainer of the aggregator's own, with rows that are known to be good: strategy: {name: %s, root: {tabular: {..}}}", t.Strategy, t.Strategy))
	case !rooted && t.Root != nil:
		errs = append(errs, fmt.Errorf("strategy.root has no effect with strategy %s: leave it out", t.Strategy))
	}
	if t.Root == nil || t.Contract == nil {
		return errs
	}
	if own := trainer.ContractOf(t.Root); own != nil && !own.Equal(t.Contract) {
		errs = append(errs, fmt.Errorf("strategy.root: %s", strings.Join(pipeline.Differences("root", own, t.Contract), "; ")))
	}
	return errs
}

func (t Task) payloadProblems(partSize int) (errs []error) {
	var settings map[string]any
	if len(t.Train) > maxSettings {
		errs = append(errs, fmt.Errorf("train: %d bytes as JSON, at most %d travel", len(t.Train), maxSettings))
	} else if err := json.Unmarshal(t.Train, &settings); err != nil || settings == nil {
		errs = append(errs, fmt.Errorf("train: want settings by name, with numbers that a 64-bit float holds (%w)", cmp.Or(err, errors.New("no object"))))
	}
	if t.Init == nil {
		return append(errs, errors.New("model: missing; want mlp, softmax, linear or file"))
	}
	if err := t.Init.Check(); err != nil {
		errs = append(errs, fmt.Errorf("model: %w", err))
	}
	if err := travels(t.Init.Schema, partSize); err != nil {
		errs = append(errs, fmt.Errorf("model: %w", err))
	}
	if t.Contract != nil {
		if err := checkContract(t.Contract, t.Init.Schema); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.contractKey(), err))
		}
	}
	return append(errs, t.statisticsProblems(partSize)...)
}

// contractKey is where the contract comes from: that of Root is the task's where none is
// configured.
func (t Task) contractKey() string {
	if t.Root != nil && t.Contract.Equal(trainer.ContractOf(t.Root)) {
		return "strategy.root"
	}
	return "contract"
}

// travels reports why a model of this schema, and updates of it, cannot travel
// at a part size that is allowed.
func travels(s model.Schema, partSize int) error {
	if partSize < minPartSize || partSize > maxPartSize || fitsInline(s, partSize) {
		return nil
	}
	return wire.CheckParts(s, partSize)
}

// statisticsProblems checks that the model has a place for what a statistics
// round finds.
func (t Task) statisticsProblems(partSize int) []error {
	if !t.Statistics {
		return nil
	}
	for _, name := range []string{model.ZMeanName, model.ZSDName} {
		i := t.Init.Schema.Index(name)
		if i < 0 {
			return []error{fmt.Errorf("statistics: the model has no tensor %q to put the result in", name)}
		}
		s := t.Init.Schema[i]
		if s.DType != model.F64 || len(s.Shape) != 1 || s.Rule != model.Keep || s.Shape[0] != t.Init.Schema[t.Init.Schema.Index(model.ZMeanName)].Shape[0] {
			return []error{fmt.Errorf("statistics: the model's tensor %q is %v %v with the rule %v, want f64, one dimension for the features, and keep",
				name, s.DType, s.Shape, s.Rule)}
		}
	}
	if err := travels(strategy.StatisticsOf(t.Init.Schema), partSize); err != nil {
		return []error{fmt.Errorf("statistics: %w", err)}
	}
	return nil
}
