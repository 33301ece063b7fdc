package main

import (
	"context"
	"io"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// slowTime is what --slow adds to a round of training.
const slowTime = 2 * time.Second

// slowTrainer takes its time, so that people can follow.
type slowTrainer struct{ measuring }

// measuring is what every trainer of a site can do.
type measuring interface {
	trainer.Trainer
	trainer.Evaluator
}

// slowed returns a trainer that can what t can: a site asks it what it is.
func slowed(t trainer.Trainer, slow bool) trainer.Trainer {
	m, ok := t.(measuring)
	if !ok || !slow {
		return t
	}
	s, counts := t.(trainer.Statistician)
	v, surveys := t.(trainer.Surveyor)
	switch {
	case counts && surveys:
		return struct {
			slowTrainer
			trainer.Statistician
			trainer.Surveyor
		}{slowTrainer{m}, s, v}
	case counts:
		return struct {
			slowTrainer
			trainer.Statistician
		}{slowTrainer{m}, s}
	}
	return slowTrainer{m}
}

// Close ends the program that trains, where it is one.
func (s slowTrainer) Close() error {
	if c, ok := s.measuring.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Settings are those of the trainer.
func (s slowTrainer) Settings() []string { return trainer.SettingsOf(s.measuring) }

// LR is that of the trainer.
func (s slowTrainer) LR() float64 { return trainer.LROf(s.measuring) }

// Capabilities are those of the trainer.
func (s slowTrainer) Capabilities() []string { return trainer.CapabilitiesOf(s.measuring) }

// Scalars are those of its last training.
func (s slowTrainer) Scalars() map[string]float64 {
	if c, ok := s.measuring.(trainer.Capable); ok {
		return c.Scalars()
	}
	return nil
}

// Caution is what the trainer says of a model.
func (s slowTrainer) Caution(global *model.Model) string {
	return trainer.CautionOf(s.measuring, global)
}

// Measures are those of the trainer.
func (s slowTrainer) Measures() []string { return trainer.MeasuresOf(s.measuring) }

// Contract is that of the trainer.
func (s slowTrainer) Contract() *pipeline.Contract { return trainer.ContractOf(s.measuring) }

// Follows reports that the trainer takes its features from the task.
func (s slowTrainer) Follows() bool { return trainer.Follows(s.measuring) }

// Follow has the trainer take them.
func (s slowTrainer) Follow(c *pipeline.Contract) error {
	return s.measuring.(trainer.Follower).Follow(c)
}

// Refresh reads the rows again, where the trainer can.
func (s slowTrainer) Refresh(ctx context.Context, job trainer.Job) error {
	return trainer.Refresh(ctx, s.measuring, job)
}

// Source is that of the trainer.
func (s slowTrainer) Source() trainer.Source { return trainer.SourceOf(s.measuring) }

// Train waits, then trains.
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
	return s.measuring.Train(ctx, job, global)
}
