package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// keysOf are the keys of a mapping.
func keysOf(n ast.Node) (keys []ast.MapKeyNode) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			keys = append(keys, v.Key)
		}
	case *ast.MappingValueNode:
		keys = append(keys, n.Key)
	}
	return keys
}

// forTabular says what the trainer tabular would decline: an unknown setting,
// or a value out of its range.
func (s settings) forTabular(file, whose string) error {
	if err := s.unknown(file, whose, tabular.SettingNames()); err != nil {
		return err
	}
	if _, err := tabular.ParseSettings(s.json); err != nil {
		for _, key := range slices.Sorted(maps.Keys(s.keys)) { // the error names one
			p := s.keys[key]
			if strings.Contains(err.Error(), " "+key+": ") {
				return fmt.Errorf("%s:%d:%d: %w", file, p.Line, p.Column, err)
			}
		}
		return fmt.Errorf("%s: train: %w", file, err)
	}
	return nil
}

// forTabular says what the trainer tabular would decline in any round of the task: settings
// as they stand there, beside the strategy, and as the schedule has them by then.
func (f taskFile) forTabular(file, whose string) error {
	if err := f.Train.forTabular(file, whose); err != nil {
		return err
	}
	t := aggregator.Task{
		Train: f.Train.json, Schedule: f.Schedule.rules(), Rounds: f.Rounds,
		Strategy: f.Strategy.Name, StrategyParams: f.Strategy.params, CheckTrain: tabular.CheckSettings,
	}
	if err := t.TrainProblem(strategy.Registry{}); err != nil {
		return fmt.Errorf("%s: tasks (%s): %w", file, f.Name, err)
	}
	return nil
}

// isTabular reports that the task is for the trainer tabular: its model is of a kind that this
// one knows, and so is each setting by its name.
func (f taskFile) isTabular() bool {
	return f.Model.File == "" && f.settingsOfTabular()
}

// isTabularsOwn reports the same of a model that a file holds, by its tensors.
func (f taskFile) isTabularsOwn(s model.Schema) bool {
	return f.Model.File != "" && f.settingsOfTabular() && tabular.Trains(s)
}

func (f taskFile) settingsOfTabular() bool {
	name, _ := trainer.UnknownSetting(tabular.SettingNames(), f.Train.json)
	return name == "" && !f.Statistics.alone
}

// unknown says which setting is none of those that a trainer knows, if one is
// not; whose names the trainer.
func (s settings) unknown(file, whose string, known []string) error {
	name, nearest := trainer.UnknownSetting(known, s.json)
	if name == "" {
		return nil
	}
	p := s.keys[name]
	if nearest != "" {
		return fmt.Errorf("%s:%d:%d: unknown setting %q; did you mean %q? %s knows %s", file, p.Line, p.Column, name, nearest, whose, strings.Join(known, ", "))
	}
	return fmt.Errorf("%s:%d:%d: unknown setting %q; %s knows %s", file, p.Line, p.Column, name, whose, strings.Join(known, ", "))
}
