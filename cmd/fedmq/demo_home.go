package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// homeResult is what models are worth at home: on the test rows of each site alone.
type homeResult struct {
	Sites     []homeSite `json:"sites"`
	Alone     float64    `json:"alone"` // means over the rows
	Federated float64    `json:"federated"`
	Tuned     float64    `json:"tuned"`
	Used      float64    `json:"used"`
	R2        []float64  `json:"r2"` // of the federated model over the test rows of all sites, by rounds of training
}

// homeSite is one site's row of the table.
type homeSite struct {
	Site      string  `json:"site"`
	Rows      int     `json:"rows"`
	Alone     float64 `json:"alone"`     // trained on its own rows only
	Federated float64 `json:"federated"` // the released version
	Tuned     float64 `json:"tuned"`     // that, trained for the site itself
	Used      float64 `json:"used"`      // of the last two the better one, chosen by other rows than those that it is measured on
	Own       bool    `json:"own"`       // the site uses its own
}

// home measures the models at home, in an example whose sites train for themselves.
func (d *demo) home(ctx context.Context, res *result, recs []record.Record) error {
	if d.files[0].Tasks[0].Personalise == nil {
		return nil
	}
	h := &homeResult{R2: r2ByRounds(recs)}
	rows := 0.0
	for i, vars := range d.ex.sites {
		s, err := d.homeOf(ctx, i, vars)
		if err != nil {
			return fmt.Errorf("%s: %w", vars["MEMBER"], err)
		}
		h.Sites = append(h.Sites, s)
		n := float64(s.Rows)
		rows += n
		h.Alone, h.Federated, h.Tuned, h.Used = h.Alone+n*s.Alone, h.Federated+n*s.Federated, h.Tuned+n*s.Tuned, h.Used+n*s.Used
	}
	h.Alone, h.Federated, h.Tuned, h.Used = h.Alone/rows, h.Federated/rows, h.Tuned/rows, h.Used/rows
	res.Home = h
	return nil
}

// homeOf measures the models of one site, on the two halves of its test rows.
func (d *demo) homeOf(ctx context.Context, i int, vars map[string]string) (s homeSite, err error) {
	mine, err := site.Personal(at(d.Dir, d.files[i].Connection.DataDir), d.task)
	if err != nil {
		return s, err
	}
	if mine.Model == nil {
		return s, errors.New("has no model of its own")
	}
	global, err := d.released(mine.Base)
	if err != nil {
		return s, err
	}
	var alone, federated, tuned, used []trainer.Evaluation // of each half
	for _, rows := range []string{vars["ODD"], vars["EVEN"]} {
		conf := *d.files[i].Tasks[0].Trainer.Tabular
		conf.Where = map[string]any{"site": vars["SITE"], "t": ranges(rows)}
		conf.Split = nil
		data, err := tabular.Load(tabular.Dir(d.Dir), conf)
		if err != nil {
			return s, err
		}
		data.Test = data.Train
		for _, c := range []struct {
			m    *model.Model
			into *[]trainer.Evaluation
		}{{d.alone[i], &alone}, {global, &federated}, {mine.Model, &tuned}} {
			e, err := tabular.Score(ctx, c.m, data)
			if err != nil {
				return s, err
			}
			*c.into = append(*c.into, e)
		}
		s.Rows += data.Test.N
	}
	of := func(list ...trainer.Evaluation) float64 { return trainer.Pool(list).Scores[d.ex.metric].Value }
	better, _ := trainer.Better(d.ex.metric)
	for half := range federated {
		if other := 1 - half; better(of(tuned[other]), of(federated[other])) {
			used = append(used, tuned[half])
		} else {
			used = append(used, federated[half])
		}
	}
	s.Site, s.Own = siteName(vars), mine.Used
	s.Alone, s.Federated, s.Tuned, s.Used = of(alone...), of(federated...), of(tuned...), of(used...)
	return s, nil
}

// ranges are the values of a list.
func ranges(text string) (list []any) {
	for _, r := range strings.Split(text, ", ") {
		list = append(list, r)
	}
	return list
}

// released is a version, from the aggregator's disk.
func (d *demo) released(id model.Hash) (m *model.Model, err error) {
	st, err := store.Open(d.cfg.DataDir, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	blob, err := st.Blob(id)
	return &model.Model{Schema: d.cfg.Tasks[0].Init.Schema, Blob: blob}, err
}

// r2ByRounds is that of each model, by the rounds of training behind it.
func r2ByRounds(recs []record.Record) (list []float64) {
	trained := 0
	for _, r := range recs {
		if m, ok := r.Metrics["r2"]; ok && r.Verdict == record.Committed && trained == len(list) {
			list = append(list, float64(m.Value))
		}
		if r.Trained() {
			trained++
		}
	}
	return list
}

// reportHome prints the table of what models are worth at home.
func (d *demo) reportHome(r *result) {
	h := r.Home
	if h == nil {
		return
	}
	fmt.Fprintf(d.talk, "\n%s %s at home, on the test rows of each site, which no model was trained on:\n", r.Metric, d.ex.unit)
	fmt.Fprintf(d.talk, "  %-20s %6s %8s %10s %11s %8s\n", "site", "rows", "alone", "federated", "fine-tuned", "used")
	for _, s := range h.Sites {
		which := "federated"
		if s.Own {
			which = "fine-tuned"
		}
		fmt.Fprintf(d.talk, "  %-20s %6d %8.2f %10.2f %11.2f %8.2f  %s\n", s.Site, s.Rows, s.Alone, s.Federated, s.Tuned, s.Used, which)
	}
	fmt.Fprintf(d.talk, "  %-20s %6s %8.2f %10.2f %11.2f %8.2f\n", "mean over the rows", "", h.Alone, h.Federated, h.Tuned, h.Used)
	fmt.Fprintln(d.talk, "Used: the better one of the last two, chosen by every second week of the test rows and measured on the others, both ways.")
	if n := len(h.R2); n > 10 {
		fmt.Fprintf(d.talk, "One federated model over the rows of all sites: R2 %.3f after 10 rounds, %.3f after %d.\n", h.R2[10], h.R2[n-1], n-1)
	}
}
