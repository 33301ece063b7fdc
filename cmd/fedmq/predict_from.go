package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// sources says where the rows have the inputs of a model, and how they are written: as the
// configuration of a site says, and the flags, which have the last word.
func (c *predictCmd) sources(f *meantModel) (map[string]tabular.Column, table.Format, error) {
	format := table.Format{Separator: c.Separator, Decimal: c.Decimal, Encoding: c.Encoding, Comment: c.Comment, Missing: c.Missing, Flags: true}
	from := map[string]tabular.Column{}
	if c.Site != "" {
		conf, err := siteTabular(c.Site, f.task)
		if err != nil {
			return nil, format, err
		}
		if from, err = conf.Sources(); err != nil {
			return nil, format, fmt.Errorf("%s: %w", c.Site, err)
		}
		format.Separator, format.Decimal = cmp.Or(c.Separator, conf.Separator), cmp.Or(c.Decimal, conf.Decimal)
		format.Encoding, format.Comment = cmp.Or(c.Encoding, conf.Encoding), cmp.Or(c.Comment, conf.Comment)
		format.Missing = slices.Concat(conf.Missing, c.Missing)
	}
	inputs := map[string]bool{}
	for _, in := range f.contract.Inputs {
		inputs[in.Name] = true
	}
	if w := f.contract.Window; w != nil {
		for _, name := range append(slices.Clone(w.Group), w.Order) {
			inputs[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Column)) {
		in := from[name]
		if in.Name = c.Column[name]; !inputs[name] {
			return nil, format, fmt.Errorf("--column %s: the model has no such input", name)
		}
		from[name] = in
	}
	for _, name := range slices.Sorted(maps.Keys(c.Unit)) {
		in := from[name]
		if in.Unit = c.Unit[name]; !inputs[name] {
			return nil, format, fmt.Errorf("--unit %s: the model has no such input", name)
		}
		from[name] = in
	}
	return from, format, nil
}

// siteTabular is the trainer of the task that a model is of, in the configuration of a
// site; of its only task where the model does not say.
func siteTabular(path, task string) (*tabular.Config, error) {
	var site siteFile
	if err := loadYAML(path, &site); err != nil {
		return nil, err
	}
	var names []string
	for _, t := range site.Tasks {
		names = append(names, t.Name)
		if t.Name != task && (task != "" || len(site.Tasks) > 1) {
			continue
		}
		if t.Trainer.Tabular == nil {
			return nil, fmt.Errorf("%s: the trainer of task %s is a program of its own, which alone knows its columns", path, t.Name)
		}
		return t.Trainer.Tabular, nil
	}
	return nil, fmt.Errorf("%s: has the tasks %q, and the model is of %q", path, names, task)
}
