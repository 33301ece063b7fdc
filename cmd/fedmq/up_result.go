package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
)

// result writes the model that a task of the folder ends with, the best one that the
// sites measured or else the last, and says what can be done with it.
func (u *up) result(dataDir string, t aggregator.Task, recs []record.Record) error {
	st, err := roundState(dataDir, t.Name)
	if err != nil {
		return err
	}
	at := endsWith(recs)
	which := fmt.Sprintf("after round %d", recs[at].Round)
	if best := bestIn(recs); best != nil {
		which = fmt.Sprintf("of version %d, the best by %s (%.4g)", best.Version, best.Metric, best.Value)
	}
	path := filepath.Join(u.dir, t.Name+".safetensors")
	m, err := saveModel(dataDir, t, st, recs, at, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nModel of %s %s: %s\n", t.Name, which, path)
	if best := bestIn(recs); best != nil {
		fmt.Fprintf(stdout, "Version %d is what %s of training made; the row of round %d measures it.\n", best.Version, times(int(best.Trained), "round", "rounds"), best.Round)
	}
	a := aboutAt(st, recs, at)
	if text := a.threshold(); text != "" {
		fmt.Fprintf(stdout, "Threshold: %s\n", text)
	}
	fmt.Fprintf(stdout, "Report:   fedmq report %s\n", u.dir)
	if a.whole() != nil {
		u.sayOwn(a)
	} else if m.Schema.Index("layers.0.weight") >= 0 || m.Schema.Index("coef") >= 0 {
		fmt.Fprintf(stdout, "Predict:  fedmq predict %s ROWS.csv\n", path)
	}
	fmt.Fprintf(stdout, "Next:     fedmq baseline %s   (is it better than each site alone?)\n", u.dir)
	return nil
}

// sayOwn says how to get the model of a site, where the task's lacks what each has of its own.
func (u *up) sayOwn(a about) {
	i := slices.IndexFunc(u.sites, func(f siteFile) bool {
		return slices.ContainsFunc(f.Tasks, func(t siteTaskFile) bool { return t.Name == a.Task })
	})
	if i < 0 {
		return // the sites have changed since
	}
	name := u.partyName(i)
	fmt.Fprintf(stdout, "Own:      %s stay at the sites, and the numbers are of each site with its own. That of %s:\n", pipeline.List(a.Local), name)
	fmt.Fprintf(stdout, "          fedmq model get --dir %s -t %s --own %s -o %s.safetensors\n", u.dir, a.Task, at(u.dir, u.sites[i].Connection.DataDir), name)
}

// endsWith is the place of the record whose model a task ends with: of the best version
// or, where none was measured, the last one.
func endsWith(recs []record.Record) int {
	if b := bestIn(recs); b != nil {
		if i := slices.IndexFunc(recs, func(r record.Record) bool { return r.Verdict != record.Abandoned && r.Version == b.Version }); i >= 0 {
			return i
		}
	}
	return len(recs) - 1
}

// roundState reads the state of a task from a data directory that nobody else has open;
// nil: it has not begun there.
func roundState(dataDir, task string) (st *round.State, err error) {
	a, err := store.OpenArchive(dataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	raw, err := a.State(task)
	if err != nil || raw == nil {
		return nil, err
	}
	st = new(round.State)
	if err := json.Unmarshal(raw, st); err != nil {
		return nil, fmt.Errorf("task %s: state on disk: %w", task, err)
	}
	return st, nil
}
