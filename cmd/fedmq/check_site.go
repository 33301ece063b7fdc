package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// tell says what the site of a configuration trains on, and with --train that it
// can.
func (c *siteCmd) tell(ctx context.Context, f siteFile, cfg site.Config) error {
	for _, t := range cfg.Tasks {
		fmt.Fprintf(stdout, "%s: ok, task %s with %d training rows\n", c.Config, t.Name, t.Trainer.Samples())
		if err := followBeside(t, filepath.Dir(c.Config)); err != nil {
			return fmt.Errorf("%s: task %s: %w", c.Config, t.Name, err)
		}
		if err := cfg.Validate(); err != nil { // of a trainer that follows the task now
			return usageError{fmt.Errorf("%s: %w", c.Config, err)}
		}
		if d, ok := t.Trainer.(*tabular.Trainer); ok {
			fmt.Fprint(stdout, d.Summary())
			c.tellScale(t.Name, d)
		}
		if !c.Train {
			continue
		}
		if err := dryRun(ctx, t, cfg.Member, filepath.Dir(c.Config)); err != nil {
			return fmt.Errorf("%s: task %s: %w", c.Config, t.Name, err)
		}
	}
	if local := f.localHours(); local != "" {
		fmt.Fprintf(stdout, "%s: ok, %s\n", c.Config, local)
	}
	return nil
}

// followBeside has a trainer without features follow the contract of an aggregator's
// configuration in dir, or the columns of its statistics, if there are.
func followBeside(t site.Task, dir string) error {
	if !trainer.Follows(t.Trainer) {
		return nil
	}
	task, err := taskBeside(dir, t.Name)
	if err != nil {
		return err
	}
	var c *pipeline.Contract
	switch survey := task.Statistics.survey(); {
	case survey != nil:
		_, c, err = survey.First()
	case task.Contract.json != nil:
		c, err = task.agreedBeside(dir)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return t.Trainer.(trainer.Follower).Follow(c)
}

// dryRun trains and evaluates once, as the first round would: with the model and the
// settings of the aggregator's configuration in dir, or without one with a first model
// of the trainer's, or one of a single layer.
func dryRun(ctx context.Context, t site.Task, member, dir string) error {
	task, err := taskBeside(dir, t.Name)
	if err != nil {
		return err
	}
	m, err := dryModel(ctx, t.Trainer, task, dir)
	if err != nil {
		return err
	}
	job := trainer.Job{Task: t.Name, Member: member, Round: 1, Attempt: 1, Settings: task.Train.json, Seed: trainer.Seed(task.Seed, member, 1)}
	if m, err = withStatistics(ctx, t.Trainer, job, m); err != nil {
		return err
	}
	began := time.Now()
	trained, err := t.Trainer.Train(ctx, job, m)
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	if err := sameShape(m, trained); err != nil {
		return err
	}
	took := time.Since(began).Round(time.Millisecond)
	fmt.Fprintf(stdout, "  trained    once, %d values in %s\n", m.Schema.Elements(), took)
	e, ok := t.Trainer.(trainer.Evaluator)
	if !ok {
		return nil
	}
	measured, err := e.Evaluate(ctx, job, trained)
	if err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	n, loss := measured.Metrics[trainer.SumN], ""
	if n == 0 {
		fmt.Fprintln(stdout, "  evaluated  nothing: the site has no test rows")
		return nil
	}
	if sum, there := measured.Metrics[trainer.SumLoss]; there {
		if loss = fmt.Sprintf(", loss %.4g", sum/n); math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("evaluation: the loss of %v rows is not finite: training diverges with these settings", n)
		}
	}
	fmt.Fprintf(stdout, "  evaluated  %v test rows%s\n", n, loss)
	for _, p := range measured.Problems() {
		fmt.Fprintf(stdout, "  warning    %s\n", p)
	}
	return nil
}

// taskBeside is a task of the aggregator's configuration in dir; without one it is
// empty.
func taskBeside(dir, name string) (taskFile, error) {
	var f aggregatorFile
	path := filepath.Join(dir, aggregatorName)
	if err := loadYAML(path, &f); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return taskFile{}, nil
		}
		return taskFile{}, err
	}
	i := slices.IndexFunc(f.Tasks, func(t taskFile) bool { return t.Name == name })
	if i < 0 {
		return taskFile{}, nil
	}
	return f.Tasks[i], nil
}

// dryModel is the model that the first round would begin with.
func dryModel(ctx context.Context, t trainer.Trainer, task taskFile, dir string) (*model.Model, error) {
	m := task.Model
	given := m.MLP != nil || m.Softmax != nil || m.Linear != nil || m.File != ""
	if given && (m.File == "" || !missing(at(dir, m.File))) {
		return task.loadModel(dir)
	}
	if maker, ok := t.(initializer); ok {
		return maker.Init(ctx, trainer.Seed(task.Seed, "", 0))
	}
	d, ok := t.(*tabular.Trainer)
	if !ok {
		return nil, errors.New("no aggregator.yaml beside the file says which model it trains")
	}
	if d.Classes() == nil {
		return model.Arch{Kind: "linear", Inputs: len(d.Features()), Outputs: 1}.New(true)
	}
	return model.Arch{Kind: "softmax", Inputs: len(d.Features()), Outputs: len(d.Classes())}.New(true)
}

// withStatistics fills a model's z-score with the statistics of this site alone.
func withStatistics(ctx context.Context, t trainer.Trainer, job trainer.Job, m *model.Model) (*model.Model, error) {
	s, ok := t.(trainer.Statistician)
	if !ok || m.Schema.Index(model.ZMeanName) < 0 {
		return m, nil
	}
	answer, err := s.Statistics(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	var of tabular.Moments
	var errs [3]error
	of.N, errs[0] = answer.Float64s(model.StatNName)
	of.Mean, errs[1] = answer.Float64s(model.StatMeanName)
	of.M2, errs[2] = answer.Float64s(model.StatM2Name)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	mean, sd := of.ZScore()
	return tabular.WithZScore(m, mean, sd)
}

// sameShape reports what a trained model has otherwise than the one that was given.
func sameShape(given, trained *model.Model) error {
	if len(given.Schema) != len(trained.Schema) {
		return fmt.Errorf("training: %d tensors came back of %d", len(trained.Schema), len(given.Schema))
	}
	for i, s := range given.Schema {
		if r := trained.Schema[i]; r.Name != s.Name || r.DType != s.DType || !slices.Equal(r.Shape, s.Shape) {
			return fmt.Errorf("training: tensor %s came back as %s", s.Name, r.Name)
		}
	}
	return nil
}

// warnData logs what is odd in the rows of a site.
func warnData(log zerolog.Logger, cfg site.Config) {
	for _, t := range cfg.Tasks {
		if d, ok := t.Trainer.(*tabular.Trainer); ok && (d.Contract() != nil || !d.Follows()) {
			for _, w := range d.Summary().Warnings {
				log.Warn().Str("task", t.Name).Msg(w)
			}
		}
	}
}

// warnBetween logs what is odd in the rows of a task's sites beside each other.
func (u *up) warnBetween(sites []site.Config) {
	for _, t := range u.agg.Tasks {
		var names []string
		var data []*tabular.Trainer
		for _, cfg := range sites {
			for _, s := range cfg.Tasks {
				if d, ok := s.Trainer.(*tabular.Trainer); ok && s.Name == t.Name {
					names, data = append(names, cfg.Member), append(data, d)
				}
			}
		}
		for _, w := range tabular.Compare(names, data) {
			u.log.Warn().Str("task", t.Name).Msg(w)
		}
	}
}

// fits reports a site whose features or classes are not as many as the built-in model
// of its task has inputs or outputs.
func (f taskFile) fits(file string, s site.Task) error {
	d, ok := s.Trainer.(*tabular.Trainer)
	arch := cmp.Or(f.Model.MLP, f.Model.Softmax, f.Model.Linear)
	if !ok || arch == nil || d.Contract() == nil && trainer.Follows(d) { // nobody knows yet
		return nil
	}
	features, classes := len(d.Features()), len(d.Classes())
	c := d.Contract()
	switch {
	case c != nil && c.ZClip > 0 && !f.Statistics.zscore:
		return fmt.Errorf("%s: task %s: zclip: %v limits what a z-score has scaled: want statistics: zscore in %s, or clip of the features", file, f.Name, c.ZClip, aggregatorName)
	case arch.Inputs != features:
		return fmt.Errorf("%s: task %s: %d features, and the model of %s has inputs: %d", file, f.Name, features, aggregatorName, arch.Inputs)
	case arch.Outputs != classes && d.Classes() != nil:
		return fmt.Errorf("%s: task %s: %d classes, and the model of %s has outputs: %d", file, f.Name, classes, aggregatorName, arch.Outputs)
	}
	return nil
}
