package main

import (
	"context"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// slowTime is what --slow adds to a round of training.
const slowTime = 2 * time.Second

// slowTrainer takes its time, so that people can follow.
type slowTrainer struct{ *tabular.Trainer }

func slowed(t *tabular.Trainer, slow bool) trainer.Trainer {
	if slow {
		return slowTrainer{t}
	}
	return t
}

// Train trains, then waits.
func (s slowTrainer) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	const steps = 20
	for i := range steps {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(slowTime / steps):
			job.Report(i, steps)
		}
	}
	return s.Trainer.Train(ctx, job, global)
}
