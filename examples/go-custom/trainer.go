package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// schema is the model: y = bias + weight · (x − mean) / sd, in units of the
// horizon. The scaling travels down and never up (rule keep).
func schema() (model.Schema, error) {
	return model.NewSchema(
		model.Spec{Name: "weight", Shape: []int{features}},
		model.Spec{Name: "bias", Shape: []int{1}},
		model.Spec{Name: "scale.mean", Shape: []int{features}, Rule: model.Keep},
		model.Spec{Name: "scale.sd", Shape: []int{features}, Rule: model.Keep},
	)
}

// first makes version 0 of the model, with the scaling of one fleet's rows.
func first(rows []row) (*model.Model, error) {
	s, err := schema()
	if err != nil {
		return nil, err
	}
	mean, sd := make([]float32, features), make([]float32, features)
	for i := range mean {
		var sum, square float64
		for _, r := range rows {
			sum += r.x[i]
		}
		m := sum / float64(len(rows))
		for _, r := range rows {
			square += (r.x[i] - m) * (r.x[i] - m)
		}
		mean[i], sd[i] = float32(m), float32(math.Sqrt(square/float64(len(rows))))
		if sd[i] < 1e-6 { // a sensor that stands still
			sd[i] = 1
		}
	}
	out := model.New(s)
	return out, errors.Join(out.SetFloat32s("scale.mean", mean), out.SetFloat32s("scale.sd", sd))
}

// fleet trains on the engines of one operator. What it predicts is a promise:
// quantile regression with the pinball loss (Koenker and Bassett, Regression
// Quantiles, 1978), so that a share of quantile of all engines fail earlier.
type fleet struct {
	train, test []row
	busy        string // while this file exists, a round is declined
	best        string // file of the best global model so far

	mu    sync.Mutex // numbers is also called by who serves them
	score float64    // loss of best, once known is set
	known bool
	now   numbers
}

// numbers are this program's own, beside those that the federation pools.
type numbers struct {
	Round     uint64  `json:"round"`
	Loss      float64 `json:"loss"`       // of the global model, on this fleet's held-out engines
	Kept      float64 `json:"kept"`       // share of promises that were kept
	BestLoss  float64 `json:"best_loss"`  // of the model in the file
	BestRound uint64  `json:"best_round"` // 0: found at the start
	Declined  int     `json:"declined"`
}

// settings are those of the task, from the aggregator.
type settings struct {
	Epochs   int     `json:"epochs"`
	LR       float64 `json:"lr"`
	Quantile float64 `json:"quantile"`
}

func parse(job trainer.Job) (settings, error) {
	s := settings{Epochs: 1, LR: 0.01, Quantile: 0.25}
	if err := job.Decode(&s); err != nil {
		return s, err
	}
	if s.Epochs < 1 || s.LR <= 0 || s.Quantile <= 0 || s.Quantile >= 1 {
		return s, fmt.Errorf("settings %+v: want 1 or more epochs, lr above 0, quantile between 0 and 1", s)
	}
	return s, nil
}

func (f *fleet) Samples() int { return len(f.train) }

// Train declines a round while the site is busy; else it does stochastic
// subgradient descent. Nothing of an earlier round has a part in it, so that a
// round repeated gives the same bits.
func (f *fleet) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if _, err := os.Stat(f.busy); f.busy != "" && !errors.Is(err, fs.ErrNotExist) {
		f.mu.Lock()
		f.now.Declined++
		f.mu.Unlock()
		return nil, errors.New("the machine is needed for production")
	}
	s, err := parse(job)
	if err != nil {
		return nil, err
	}
	p, err := read(global)
	if err != nil {
		return nil, err
	}
	rng := job.Rand()
	for epoch := range s.Epochs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, i := range rng.Perm(len(f.train)) {
			p.step(f.train[i], s)
		}
		job.Report(epoch+1, s.Epochs)
	}
	return p.write(global)
}

// Evaluate judges the global model, and keeps it as a file if no other was
// better here: what this site's line uses, whatever comes later.
func (f *fleet) Evaluate(_ context.Context, job trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	s, err := parse(job)
	if err != nil {
		return trainer.Evaluation{}, err
	}
	sums, kept, err := judge(global, f.test, s.Quantile)
	if err != nil {
		return trainer.Evaluation{}, err
	}
	loss := sums[trainer.SumLoss] / sums[trainer.SumN]
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.remember(s.Quantile); err != nil {
		return trainer.Evaluation{}, err
	}
	if !f.known || loss < f.score {
		if err := save(f.best, global); err != nil {
			return trainer.Evaluation{}, err
		}
		f.score, f.known, f.now.BestRound = loss, true, job.Round
	}
	f.now.Round, f.now.Loss, f.now.Kept, f.now.BestLoss = job.Round, loss, kept, f.score
	return trainer.Evaluation{Metrics: sums}, nil
}

// remember judges, once, the model that an earlier run has left.
func (f *fleet) remember(quantile float64) error {
	if f.known {
		return nil
	}
	old, err := model.ReadSafetensorsFile(f.best, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sums, _, err := judge(old, f.test, quantile)
	if err != nil {
		return fmt.Errorf("%s: %w", f.best, err)
	}
	f.score, f.known = sums[trainer.SumLoss]/sums[trainer.SumN], true
	return nil
}

// numbers returns them now, from any goroutine.
func (f *fleet) numbers() numbers {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}
