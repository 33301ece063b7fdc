package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// saveModel writes the model of the record recs[at] of a task as a safetensors file; dataDir is
// the aggregator's, and nobody else has it open.
func saveModel(dataDir string, task aggregator.Task, state *round.State, recs []record.Record, at int, path string) (m *model.Model, err error) {
	st, err := store.Open(dataDir, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	blob, err := st.Blob(recs[at].Model)
	if err != nil {
		return nil, err
	}
	m = &model.Model{Schema: task.Init.Schema, Blob: blob}
	meta, err := metadataAt(state, recs, at)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = m.WriteSafetensors(f, meta)
	return m, errors.Join(err, f.Close())
}

// baselines trains on each site alone and on all rows in one place, by the same
// code, in as many rounds; every model is judged on all test rows.
func (d *demo) baselines(ctx context.Context, res *result) error {
	f := field{}
	for i, s := range d.files {
		f.sites = append(f.sites, fieldSite{member: s.Member, data: d.data[i]})
	}
	trials := []trial{{Arm: armCentral}}
	for _, s := range f.sites {
		trials = append(trials, trial{Arm: armAlone, Site: s.member})
	}
	scores := make([]float64, len(trials))
	d.alone = make([]*model.Model, len(f.sites))
	progress := d.progress("training alone and in one place", len(trials))
	err := atOnce(len(trials), func(i int) error {
		defer progress()
		got, err := f.train(ctx, d.cfg, trials[i])
		if err != nil {
			return err
		}
		m, ok := got.metrics[d.ex.metric]
		if !ok {
			return fmt.Errorf("no %s among the metrics", d.ex.metric)
		}
		scores[i] = float64(m.Value)
		if i > 0 {
			d.alone[i-1] = got.model
		}
		return nil
	})
	if err != nil {
		return err
	}
	res.Centralised, res.Isolated = scores[0], isolatedOf(scores[1:], d.ex.metric)
	return nil
}

// isolatedOf sums up what sites reach alone.
func isolatedOf(scores []float64, metric string) isolated {
	out := isolated{Mean: mean(scores), Best: scores[0], Worst: scores[0]}
	better, _ := trainer.Better(metric)
	for _, s := range scores {
		if better(s, out.Best) {
			out.Best = s
		}
		if better(out.Worst, s) {
			out.Worst = s
		}
	}
	return out
}
