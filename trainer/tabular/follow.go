package tabular

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

var _ trainer.Follower = (*Trainer)(nil)

// Of is a Config without features on the terms of a contract: features, target, window,
// zclip and units are the contract's, where c does not say them itself. What it says must be the same.
// Rows, format, and where the files have a column are its own.
func (c Config) Of(task *pipeline.Contract) (Config, error) {
	if len(c.Features) > 0 {
		return c, bad("features", "are listed: they are not taken from the task")
	}
	c.Features = featuresOf(task)
	switch {
	case !task.Predicts():
		c.Target.none = c.Target.Column == "" && c.Target.RowsLeft == nil
	case c.Target.Column == "" && c.Target.RowsLeft == nil:
		c.Target = targetOf(task.Target)
	}
	if w := task.Window; w != nil && c.Derive == nil {
		c.Derive = &Derive{Group: w.Group, Order: w.Order, Window: w.Rows, Stats: w.Stats}
	}
	if c.ZClip == 0 {
		c.ZClip = task.ZClip
	}
	own, err := c.columns()
	if err != nil {
		return c, err
	}
	units := map[string]string{task.Target.Name: task.Target.Unit}
	for _, in := range task.Inputs {
		units[in.Name] = in.Unit
	}
	c.Columns = map[string]any{}
	for name, col := range own {
		c.Columns[name] = col
	}
	for name, unit := range units {
		if unit == "" {
			continue
		}
		col := own[name]
		if col.Unit == "" {
			col.Unit = unit
		}
		if col.To == "" {
			col.To = unit
		}
		c.Columns[name] = col
	}
	return c, c.agrees(task)
}

// agrees takes the task's contract for the config's, if it says the same: features that
// are listed though each is its input as it is mean what none mean.
func (c *Config) agrees(task *pipeline.Contract) error {
	own, err := c.Contract()
	if err != nil {
		return err
	}
	own.Inputs, own.Features = task.Inputs, task.Features
	if !own.Equal(task) {
		return errors.New(strings.Join(pipeline.Differences("this site", own, task), "; "))
	}
	c.task = task
	return nil
}

func featuresOf(task *pipeline.Contract) (out []Feature) {
	texts := map[string][]string{}
	for _, in := range task.Inputs {
		texts[in.Name] = in.Values
	}
	list := task.Features
	if len(list) == 0 {
		for _, in := range task.Inputs {
			list = append(list, pipeline.Feature{Of: in.Name})
		}
	}
	for _, f := range list {
		out = append(out, Feature{Columns: []string{f.Of}, Clip: f.Clip, SLog: f.SLog, Log1p: f.Log1p, MissingFlag: f.MissingFlag})
		if v := texts[f.Of]; v != nil {
			out[len(out)-1].Categories = v
		}
	}
	return out
}

func targetOf(t pipeline.Target) Target {
	if t.RowsLeft > 0 {
		return Target{RowsLeft: &RowsLeft{Cap: t.RowsLeft}}
	}
	out := Target{Column: t.Name, Offset: t.Offset, Scale: t.Scale}
	for _, class := range t.Classes {
		out.Classes = append(out.Classes, class)
	}
	return out
}

// follower returns a trainer of a config without features: until it follows a contract it
// knows how many rows it has, and nothing else.
func follower(files Files, c Config, loaded func(*Data)) (*Trainer, error) {
	if err := c.validateRows(); err != nil {
		return nil, err
	}
	pick, err := c.selections()
	if err != nil {
		return nil, err
	}
	l := loader{config: &Config{
		Train: c.Train, Split: c.Split, Separator: c.Separator, Decimal: c.Decimal, Encoding: c.Encoding, Comment: c.Comment, Missing: c.Missing,
	}, files: files, train: sink{}, test: sink{test: true}, about: map[string]string{}, columns: map[string]Column{}}
	for name, v := range c.Columns { // where and split have names of the model too
		if text, ok := v.(string); ok {
			l.columns[name] = Column{Name: text}
		} else if m, ok := v.(map[string]any); ok && m["column"] != nil {
			l.columns[name] = Column{Name: fmt.Sprint(m["column"])}
		}
	}
	if err := l.readAll(pick); err != nil {
		return nil, err
	}
	t, err := New(&Data{Train: l.train.rows, Notes: pick.notes()})
	if err != nil {
		return nil, err
	}
	t.origin = &origin{files: files, config: c, loaded: loaded, follows: &c}
	return t, nil
}

// Follows reports that features are listed nowhere in the site's own configuration.
func (t *Trainer) Follows() bool { return t.origin != nil && t.origin.follows != nil }

// Follow reads the rows as c says.
func (t *Trainer) Follow(c *pipeline.Contract) error {
	s := t.origin
	if t.data.pipe != nil && t.data.contract().Equal(c) {
		return nil
	}
	config, err := s.follows.Of(c)
	if err != nil {
		return err
	}
	d, err := Load(s.files, config)
	if err == nil {
		_, err = New(d)
	}
	if err != nil {
		return err
	}
	t.data, s.config, s.begun = d, config, false
	s.loaded(d)
	return nil
}

// errNoFeatures is what a trainer says that follows nothing yet.
var errNoFeatures = errors.New("tabular: features are listed nowhere, and no contract of a task is followed")

// ready reports that the trainer knows what it reads.
func (t *Trainer) ready() error {
	if t.data.pipe == nil {
		return errNoFeatures
	}
	return nil
}
