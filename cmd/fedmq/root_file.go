package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
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
