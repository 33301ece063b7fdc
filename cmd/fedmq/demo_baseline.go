package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// saveModel writes the last model of a task as a safetensors file; dataDir is
// the aggregator's, and nobody else has it open.
func saveModel(dataDir string, task aggregator.Task, recs []record.Record, path string) (m *model.Model, err error) {
	if len(recs) == 0 {
		return nil, errors.New("no round was recorded")
	}
	st, err := store.Open(dataDir, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	blob, err := st.Blob(recs[len(recs)-1].Model)
	if err != nil {
		return nil, err
	}
	m = &model.Model{Schema: task.Init.Schema, Blob: blob}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = m.WriteSafetensors(f, map[string]string{"task": task.Name, "round": strconv.FormatUint(recs[len(recs)-1].Round, 10)})
	return m, errors.Join(err, f.Close())
}

// baselines trains the same initial model, by the same code and for as many
// epochs, on each site alone and on all rows in one place, each with the
// z-score of its own training rows; every model is judged on all test rows.
func (d *demo) baselines(ctx context.Context, res *result) error {
	all, err := tabular.Merge(d.data...)
	if err != nil {
		return err
	}
	task := d.cfg.Tasks[0]
	settings, err := tabular.ParseSettings(task.Train)
	if err != nil {
		return err
	}
	settings.Epochs *= int(task.Rounds) // a demo has few rounds
	sets := append([]*tabular.Data{all}, d.data...)
	scores := make([]float64, len(sets))
	progress := d.progress("training alone and in one place", len(sets))
	err = atOnce(len(sets), func(i int) (err error) {
		defer progress()
		seed := trainer.Seed(task.Seed, fmt.Sprint("alone ", i), 0)
		scores[i], err = alone(ctx, task.Init, sets[i], all, settings, seed, d.ex.metric)
		return err
	})
	if err != nil {
		return err
	}
	res.Centralised = scores[0]
	res.Isolated = isolated{Best: scores[1], Worst: scores[1]}
	for _, s := range scores[1:] {
		res.Isolated.Mean += s / float64(len(d.data))
		if d.ex.lower() {
			res.Isolated.Best, res.Isolated.Worst = math.Min(res.Isolated.Best, s), math.Max(res.Isolated.Worst, s)
		} else {
			res.Isolated.Best, res.Isolated.Worst = math.Max(res.Isolated.Best, s), math.Min(res.Isolated.Worst, s)
		}
	}
	return nil
}

func alone(ctx context.Context, init *model.Model, train, test *tabular.Data, s tabular.Settings, seed [32]byte, metric string) (float64, error) {
	mean, sd := train.Moments().ZScore()
	m, err := tabular.WithZScore(init, mean, sd)
	if err != nil {
		return 0, err
	}
	if m, err = tabular.Fit(ctx, m, train, s, seed, nil); err != nil {
		return 0, err
	}
	sums, err := tabular.Score(ctx, m, test)
	if err != nil {
		return 0, err
	}
	v, ok := sums.Scores()[metric]
	if !ok {
		return 0, fmt.Errorf("no %s among the metrics", metric)
	}
	return v, nil
}
