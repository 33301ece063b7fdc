package main

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/fedmq/fedmq/aggregator"
)

// statisticsKeys are those of a task that gathers statistics.
type statisticsKeys struct {
	Columns   []columnFile  `yaml:"columns"`
	Bins      int           `yaml:"bins"`
	Quantiles []float64     `yaml:"quantiles"`
	MinMax    bool          `yaml:"minmax"`
	AllowFew  bool          `yaml:"allow_few"`
	Every     time.Duration `yaml:"every"`
}

// statisticsFile is zscore, or the mapping of a task that gathers statistics and trains
// nothing.
type statisticsFile struct {
	statisticsKeys
	zscore bool
	alone  bool // it is the mapping
}

type columnKeys struct {
	Name string   `yaml:"name"`
	Unit string   `yaml:"unit"`
	Lo   *float64 `yaml:"lo"`
	Hi   *float64 `yaml:"hi"`
}

// columnFile is a column, or its name alone.
type columnFile struct{ columnKeys }

// UnmarshalYAML takes the word or the mapping.
func (f *statisticsFile) UnmarshalYAML(n ast.Node) error {
	if _, ok := itemsOf(n); ok {
		f.alone = true
		return readKeys(n, "statistics", &f.statisticsKeys)
	}
	v, err := plain(n)
	if f.zscore = v == "zscore"; err == nil && !f.zscore {
		err = placed(n, "statistics: %v, want zscore, or a mapping of what the task gathers, such as {columns: [flow]}", v)
	}
	return err
}

// UnmarshalYAML takes a mapping, or a name.
func (f *columnFile) UnmarshalYAML(n ast.Node) error {
	if _, ok := itemsOf(n); ok {
		return readKeys(n, "statistics.columns", &f.columnKeys)
	}
	v, err := plain(n)
	name, ok := v.(string)
	if f.Name = name; err == nil && !ok {
		err = placed(n, "statistics.columns: want a name, or a mapping such as {name: flow, unit: l/s}")
	}
	return err
}

// readKeys reads a mapping into a struct of its keys.
func readKeys(n ast.Node, path string, keys any) error {
	c := keyChecker{}
	if c.check(n, reflect.TypeOf(keys).Elem(), path); len(c.errs) > 0 {
		return c.errs[0]
	}
	return yaml.NodeToValue(n, keys, yaml.Strict())
}

// survey is what the task gathers; nil: it trains.
func (f statisticsFile) survey() *aggregator.Survey {
	if !f.alone {
		return nil
	}
	s := &aggregator.Survey{Bins: f.Bins, Quantiles: f.Quantiles, Extremes: f.MinMax, AllowFew: f.AllowFew, Every: f.Every}
	for _, c := range f.Columns {
		s.Columns = append(s.Columns, aggregator.Column(c.columnKeys))
	}
	return s
}

// tells checks what a site says of a task of statistics: rows behind each number, 0 for the
// default.
func (t siteTaskFile) tells() (least int, err error) {
	key := ""
	if t.MinMax {
		key = "minmax"
	}
	if t.MinCount != nil {
		key, least = "min_count", *t.MinCount
	}
	switch {
	case key != "" && (t.Trainer.Tabular == nil || len(t.Trainer.Tabular.Features) > 0):
		return 0, fmt.Errorf("%s has no effect: it is for a task that gathers statistics, whose sites have the trainer tabular without features", key)
	case t.MinCount != nil && least == 0:
		return 0, errors.New("min_count: 0 would be taken for the default, 10; want 2 or more: one row would leave the site as it is")
	}
	return least, nil
}

// surveyVoid refuses keys that have no effect on a task that trains nothing.
func (f taskFile) surveyVoid() error {
	if !f.Statistics.alone {
		return nil
	}
	kept := map[string]bool{
		"name": true, "members": true, "rounds": true, "start_when": true, "join_wait": true, "quorum": true, "goal": true, "deadline": true,
		"sample": true, "max_samples": true, "statistics": true, "slots": true, "keep_updates": true, "keep_models": true,
	}
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); !kept[key] && !v.Field(i).IsZero() {
			return fmt.Errorf("%s has no effect: the task gathers statistics, and trains nothing; leave it out, or write statistics: zscore for a task that trains", key)
		}
	}
	return nil
}
