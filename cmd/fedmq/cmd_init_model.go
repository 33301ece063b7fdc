package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

type initModelCmd struct {
	Config string `short:"c" required:"" type:"existingfile" placeholder:"FILE" help:"Configuration file (YAML) of a site whose trainer is a program."`
	Task   string `placeholder:"NAME" help:"Name of the task; needed when the site has several."`
	Seed   uint64 `placeholder:"N" help:"Seed of the weights that the trainer draws; default: 0."`
	Out    string `arg:"" help:"File to write, which must not exist; - is standard output."`
}

func (initModelCmd) Help() string {
	return `The first model of a federation comes from a file (model: {file: ...} of the aggregator's
configuration). This command has a site's trainer write it, with its own names of tensors,
before the federation begins; any site will do. Only the file goes to the aggregator.`
}

func (c *initModelCmd) Run(ctx context.Context, logs *logFlags) (err error) {
	var f siteFile
	if err := loadYAML(c.Config, &f); err != nil {
		return usageError{err}
	}
	i := slices.IndexFunc(f.Tasks, func(t siteTaskFile) bool { return t.Name == c.Task || c.Task == "" && len(f.Tasks) == 1 })
	if i < 0 {
		return usageError{fmt.Errorf("%s: no task %q; want --task with the name of one of its %d tasks", c.Config, c.Task, len(f.Tasks))}
	}
	if err := checkFresh(c.Out); err != nil {
		return usageError{err}
	}
	p := workplace{dir: filepath.Dir(c.Config), task: f.Tasks[i].Name, member: f.Member, log: logs.quiet()}
	if p.data, err = os.MkdirTemp("", "fedmq-init-model-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.data)) }()
	t, err := f.Tasks[i].Trainer.load(ctx, p, false)
	if err != nil {
		return usageError{fmt.Errorf("%s: tasks[%d] (%s): %w", c.Config, i, p.task, err)}
	}
	if c, ok := t.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	m, err := firstModel(ctx, t, c.Seed, c.Out)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Config, err)
	}
	fmt.Fprintf(beside(c.Out), "%s: %d tensors, %d values, from the trainer of %s\n", c.Out, len(m.Schema), m.Schema.Elements(), f.Member)
	return nil
}

// initializer is a trainer that may know how to make a first model.
type initializer interface {
	Init(ctx context.Context, seed [32]byte) (*model.Model, error)
}

// firstModel has a trainer make version 0 of the model and writes it to a new
// file. The seed is the same for every member.
func firstModel(ctx context.Context, t trainer.Trainer, seed uint64, path string) (*model.Model, error) {
	maker, ok := t.(initializer)
	if !ok {
		return nil, errors.New("the tabular trainer makes no model; want model: {mlp: ...}, {softmax: ...} or {linear: ...} in the aggregator's configuration")
	}
	m, err := maker.Init(ctx, trainer.Seed(seed, "", 0))
	if err != nil {
		return nil, err
	}
	write := func(w io.Writer) error { return m.WriteSafetensors(w, nil) }
	return m, writeOutput(path, 0o644, true, write) // a model for the aggregator
}

// missing reports that there is no file at path.
func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
