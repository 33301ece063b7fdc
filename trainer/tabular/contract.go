package tabular

import (
	"fmt"

	"github.com/fedmq/fedmq/pipeline"
)

// Contract is what the model means by its inputs and its output, in the words of
// the config: the same at every site of a task.
func (c *Config) Contract() (*pipeline.Contract, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.task != nil {
		return c.task, nil
	}
	out := &pipeline.Contract{ZClip: c.ZClip, Target: c.Target.contract(), Net: pipeline.Net{Tensors: pipeline.TensorsLayers, Output: pipeline.OutputIdentity}}
	switch {
	case c.Target.none:
		out.Net = pipeline.Net{Output: pipeline.OutputNone}
	case c.Target.Classes != nil:
		out.Net.Output = pipeline.OutputSoftmax
	}
	columns, err := c.columns()
	if err != nil {
		return nil, err
	}
	out.Target.Unit = columns[c.Target.Column].unit()
	there := map[string]bool{}
	plain := true // every column once and as it is
	for _, f := range c.Features {
		texts, err := f.categories("categories")
		if err != nil {
			return nil, err
		}
		for _, name := range f.Columns {
			plain = plain && !there[name] && f.Clip == 0 && f.SLog == 0 && !f.Log1p && !f.MissingFlag
			if !there[name] {
				there[name] = true
				out.Inputs = append(out.Inputs, pipeline.Input{Name: name, Unit: columns[name].unit(), Values: texts})
			}
			out.Features = append(out.Features, pipeline.Feature{Of: name, Clip: f.Clip, SLog: f.SLog, Log1p: f.Log1p, MissingFlag: f.MissingFlag})
		}
	}
	if plain {
		out.Features = nil
	}
	if d := c.Derive; d != nil {
		out.Window = &pipeline.Window{Group: d.Group, Order: d.Order, Rows: d.Window, Stats: d.Stats}
	}
	if err := out.Validate(); err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	return out, nil
}

func (t *Target) contract() pipeline.Target {
	out := pipeline.Target{Name: t.Column, Offset: t.Offset, Scale: t.Scale}
	if t.Scale == 1 {
		out.Scale = 0
	}
	if t.RowsLeft != nil {
		out.Name, out.RowsLeft = "rows_left", t.RowsLeft.Cap
	}
	for _, v := range t.Classes {
		out.Classes = append(out.Classes, fmt.Sprint(v))
	}
	return out
}

// Contract is that of the rows; nil if it is too long to travel, as Notes say.
func (t *Trainer) Contract() *pipeline.Contract { return t.data.contract() }

// Predicts reports that the rows have a target; they have none in a task of statistics.
func (d *Data) Predicts() bool { return d.pipe != nil && d.pipe.Contract().Predicts() }

func (d *Data) contract() *pipeline.Contract {
	if d.pipe == nil {
		return nil
	}
	if c := d.pipe.Contract(); c.Travels() == nil {
		return c
	}
	return nil
}
