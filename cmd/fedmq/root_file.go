package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// root is the aggregator's own trainer, nil for none.
func (f *trainerFile) root(p workplace) (trainer.Trainer, error) {
	if f == nil {
		return nil, nil
	}
	if f.Exec != nil && f.Tabular == nil {
		return rootProgram{*f.Exec, p}, nil
	}
	t, err := f.table(p)
	if err == nil && t.Follows() {
		err = errors.New("trainer.tabular: features: missing; want those of the task")
	}
	if err != nil {
		return nil, fmt.Errorf("strategy.root: %w", err)
	}
	return t, nil
}

// rootProgram is a program of one's own that runs for a round's training, and ends then:
// the aggregator has nothing else for it to do.
type rootProgram struct {
	execFile
	at workplace
}

// Samples is not asked for.
func (rootProgram) Samples() int { return 1 }

// Train starts the program, and ends it with its answer.
func (p rootProgram) Train(ctx context.Context, job trainer.Job, global *model.Model) (local *model.Model, err error) {
	t, err := p.start(ctx, p.at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if local, err = t.Train(ctx, job, global); err != nil {
		return nil, err
	}
	return local.Clone(), nil
}

// rootContract is what the aggregator's own trainer means by the model, nil: not known.
func rootContract(t aggregator.Task) *pipeline.Contract {
	if t.Root == nil {
		return nil
	}
	return trainer.ContractOf(t.Root)
}

// checkRoot refuses a trainer of the aggregator's own that means by the model what no site
// does: its contract is the task's where none is configured, and all of them would be refused.
func checkRoot(t aggregator.Task, sites ...*pipeline.Contract) error {
	own := rootContract(t)
	var other *pipeline.Contract
	for _, c := range sites {
		switch {
		case own == nil || c == nil:
		case own.Equal(c):
			return nil
		case other == nil:
			other = c
		}
	}
	if other == nil {
		return nil
	}
	return fmt.Errorf("strategy.root: %s; want its features and target as the sites have them", strings.Join(pipeline.Differences("root", own, other), "; "))
}

// warnRoots logs what is odd in the rows of the aggregator's own trainers.
func warnRoots(log zerolog.Logger, cfg aggregator.Config) {
	for _, t := range cfg.Tasks {
		d, ok := t.Root.(*tabular.Trainer)
		if !ok {
			continue
		}
		for _, w := range d.Summary().Warnings {
			if w != tabular.NoTestRows { // it only trains
				log.Warn().Str("task", t.Name).Msg("strategy.root: " + w)
			}
		}
	}
}
