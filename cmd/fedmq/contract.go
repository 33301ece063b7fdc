package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

// agreed is the contract of the file, in the form in which models carry it; nil: that of the
// first site that tells its own counts. Without net the tensors say what they make.
func (f taskFile) agreed(s model.Schema) (*pipeline.Contract, error) {
	if s := f.Statistics.survey(); s != nil {
		_, c, err := s.First()
		return c, err
	}
	if f.Contract.json == nil {
		return nil, nil
	}
	var c pipeline.Contract
	d := json.NewDecoder(bytes.NewReader(f.Contract.json))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("contract: %w: names, units, values and classes are texts, so numbers want quotes", err)
	}
	if c.Net == (pipeline.Net{}) {
		c.Net = netOf(s, len(c.Target.Classes))
	}
	for i := range c.Inputs {
		c.Inputs[i].Unit = pipeline.CanonicalUnit(c.Inputs[i].Unit)
	}
	c.Target.Unit = pipeline.CanonicalUnit(c.Target.Unit)
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	return &c, nil
}

// agreedBeside is likewise that of a file in dir, where version 0 of the model is not read yet.
func (f taskFile) agreedBeside(dir string) (*pipeline.Contract, error) {
	m, err := f.loadModel(dir)
	if err != nil {
		return nil, err
	}
	return f.agreed(m.Schema)
}

// netOf is what tensors of usual names make for so many classes; 0: a number.
func netOf(s model.Schema, classes int) pipeline.Net {
	var n pipeline.Net
	switch {
	case s.Index(model.WeightName(0)) >= 0:
		n.Tensors = pipeline.TensorsLayers
	case s.Index("coef") >= 0:
		n.Tensors = pipeline.TensorsCoef
	}
	switch {
	case classes == 0:
		n.Output = pipeline.OutputIdentity
	case n.Tensors != pipeline.TensorsCoef:
		n.Output = pipeline.OutputSoftmax
	case classes == 2:
		n.Output = pipeline.OutputLogistic
	default:
		n.Output = pipeline.OutputOVR
	}
	return n
}

// contractsOf are those of the configuration.
func contractsOf(tasks []aggregator.Task) []*pipeline.Contract {
	out := make([]*pipeline.Contract, len(tasks))
	for i, t := range tasks {
		out[i] = t.Contract
	}
	return out
}

// begunContracts are those of the configuration, and of tasks that have begun without
// one what was agreed then.
func begunContracts(cfg aggregator.Config) ([]*pipeline.Contract, error) {
	out := contractsOf(cfg.Tasks)
	for i, t := range cfg.Tasks {
		if out[i] != nil {
			continue
		}
		st, err := roundState(cfg.DataDir, t.Name)
		if err != nil {
			return nil, err
		}
		out[i] = contractIn(st)
	}
	return out, nil
}

// follow has a site without features take those of its task, and looks at its rows.
func (u *up) follow(t taskFile, task *pipeline.Contract, file string, cfg site.Config, s site.Task) error {
	switch {
	case !trainer.Follows(s.Trainer):
		return nil
	case task == nil:
		return fmt.Errorf("%s: task %s: lists no features: want them there, at another site, or as contract of the task in %s", file, t.Name, aggregatorName)
	}
	if err := s.Trainer.(trainer.Follower).Follow(task); err != nil {
		return fmt.Errorf("%s: task %s: %w", file, t.Name, err)
	}
	if err := cfg.Validate(); err != nil { // of a trainer that follows the task now
		return fmt.Errorf("%s: %w", file, err)
	}
	warnData(cfg.Log, site.Config{Tasks: []site.Task{s}})
	return t.fits(file, s)
}

// checkContracts compares what the sites of each task mean by its model, with the
// aggregator's contract, that of the run in the folder, or that of the first site; and with
// them what the aggregator's own trainer means.
func (u *up) checkContracts(agg aggregator.Config, tasks []*pipeline.Contract, sites []site.Config) error {
	for k, t := range u.agg.Tasks {
		task := tasks[k]
		for _, cfg := range sites { // the first that has one says it for those that have none
			for _, s := range cfg.Tasks {
				if s.Name == t.Name && task == nil {
					task = trainer.ContractOf(s.Trainer)
				}
			}
		}
		if task == nil { // no site lists features
			task = rootContract(agg.Tasks[k])
		}
		for i, cfg := range sites {
			j := slices.IndexFunc(cfg.Tasks, func(s site.Task) bool { return s.Name == t.Name })
			if j < 0 {
				continue
			}
			if err := u.follow(t, task, u.names[i], cfg, cfg.Tasks[j]); err != nil {
				return err
			}
			own := trainer.ContractOf(cfg.Tasks[j].Trainer)
			if own == nil || own.Equal(task) {
				continue
			}
			why := strings.Join(pipeline.Differences(cfg.Member, own, task), "; ")
			if tasks[k] != nil && len(t.Contract.json) == 0 {
				why += "; the run in this folder has begun so, fedmq up --again begins anew"
			}
			return fmt.Errorf("%s: tasks[%d] (%s): %s", u.names[i], j, t.Name, why)
		}
		if err := checkRoot(agg.Tasks[k], task); err != nil {
			return fmt.Errorf("%s: tasks[%d] (%s): %w", filepath.Join(u.dir, aggregatorName), k, t.Name, err)
		}
	}
	return nil
}
