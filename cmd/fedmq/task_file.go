package main

import (
	"cmp"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

type taskFile struct {
	Name        string         `yaml:"name"`
	Members     []string       `yaml:"members"`
	Consumers   []string       `yaml:"consumers"`
	Rounds      uint64         `yaml:"rounds"`
	Stop        *stopFile      `yaml:"stop"`
	StartWhen   int            `yaml:"start_when"`
	JoinWait    time.Duration  `yaml:"join_wait"`
	Quorum      int            `yaml:"quorum"`
	Goal        int            `yaml:"goal"`
	Deadline    time.Duration  `yaml:"deadline"`
	Sample      float64        `yaml:"sample"`
	MaxSamples  uint64         `yaml:"max_samples"`
	Strategy    strategyFile   `yaml:"strategy"`
	Encoding    string         `yaml:"encoding"`
	Model       modelFile      `yaml:"model"`
	Train       settings       `yaml:"train"`
	Schedule    scheduleFile   `yaml:"schedule"`
	Contract    settings       `yaml:"contract"`
	Seed        uint64         `yaml:"seed"`
	Statistics  statisticsFile `yaml:"statistics"`
	Slots       int            `yaml:"slots"`
	KeepUpdates string         `yaml:"keep_updates"`
	KeepModels  int            `yaml:"keep_models"`
	Metric      string         `yaml:"metric"`
	Threshold   string         `yaml:"threshold"`
	Release     *releaseFile   `yaml:"release"`
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

func (f *stopFile) rule() *aggregator.Stop {
	if f == nil {
		return nil
	}
	return &aggregator.Stop{Metric: f.Metric, Mode: aggregator.Mode(f.Mode), Patience: f.Patience, MinDelta: f.MinDelta}
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

// task turns a task of the file into the aggregator's, whose data directory is data.
func (f taskFile) task(dir, data string) (aggregator.Task, error) {
	if err := cmp.Or(f.surveyVoid(), f.Strategy.voids(), f.Model.thresholdVoid(f.Threshold), f.balanceVoid()); err != nil {
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
		Contract: contract, Name: f.Name, Members: f.Members, Consumers: f.Consumers, Rounds: f.Rounds, Stop: f.Stop.rule(), StartWhen: f.StartWhen, JoinWait: f.JoinWait,
		Quorum: f.Quorum, Goal: f.Goal, Deadline: f.Deadline, Sample: f.Sample, MaxSamples: f.MaxSamples,
		Strategy: f.Strategy.Name, StrategyParams: f.Strategy.params, Server: f.Strategy.Server.Name, ServerParams: f.Strategy.Server.params, Root: root,
		Guard: guard, Weights: f.Strategy.Weights, Cap: f.Strategy.Cap, CapFactor: f.Strategy.CapFactor,
		GridB: f.Strategy.GridB, Encoding: f.Encoding, Locals: model.Locals{Share: f.Strategy.Share, Keep: f.Strategy.KeepLocal}, Init: init, Begun: begun, Train: f.Train.json, Schedule: f.Schedule.rules(), Seed: f.Seed, Statistics: f.Statistics.zscore, Survey: f.Statistics.survey(),
		Slots: f.Slots, KeepUpdates: aggregator.Keep(f.KeepUpdates), KeepModels: f.KeepModels,
		Metric: f.Metric, Threshold: trainer.Rule(f.Threshold), Release: f.Release.gate(),
	}
	if f.isTabular() || f.isTabularsOwn(init.Schema) {
		t.CheckTrain = tabular.CheckSettings
	}
	t.Init = t.First(strategy.Registry{})
	return t, nil
}
