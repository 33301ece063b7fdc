package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
)

// result writes the model that a task of the folder ends with, the best one that the
// sites measured or else the last, and says what can be done with it.
func (u *up) result(dataDir string, t aggregator.Task, recs []record.Record, personal personalModels) error {
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
	if g, ok, err := gatheredOf(m, contractIn(st), memberBy(recs)); ok || err != nil {
		return errors.Join(err, u.sayStatistics(t.Name, which, path, g))
	}
	fmt.Fprintf(stdout, "\nModel of %s %s: %s\n", t.Name, which, path)
	if best := bestIn(recs); best != nil {
		fmt.Fprintf(stdout, "Version %d is what %s of training made; the row of round %d measures it.\n", best.Version, times(int(best.Trained), "round", "rounds"), best.Round)
	}
	a := aboutAt(st, recs, at)
	if text := a.threshold(); text != "" {
		fmt.Fprintf(stdout, "Threshold: %s\n", text)
	}
	u.sayPersonal(t.Name, personal[t.Name])
	fmt.Fprintf(stdout, "Report:   fedmq report %s\n", u.dir)
	if a.whole() != nil {
		u.sayOwn(a)
	} else if m.Schema.Index("layers.0.weight") >= 0 || m.Schema.Index("coef") >= 0 {
		fmt.Fprintf(stdout, "Predict:  fedmq predict %s ROWS.csv\n", path)
	}
	fmt.Fprintf(stdout, "Next:     fedmq baseline %s   (is it better than each site alone?)\n", u.dir)
	return nil
}

// sayStatistics prints what a task has gathered.
func (u *up) sayStatistics(task, which, path string, g gathered) error {
	fmt.Fprintf(stdout, "\nStatistics of %s %s: %s\n", task, which, path)
	err := g.table(stdout)
	fmt.Fprintf(stdout, "Report:   fedmq report %s   (with the histograms)\n", u.dir)
	return err
}

// sayOwn says how to get the model of a site, where the task's lacks what each has of its own.
func (u *up) sayOwn(a about) {
	i := u.siteWith(func(f siteFile) bool {
		return slices.ContainsFunc(f.Tasks, func(t siteTaskFile) bool { return t.Name == a.Task })
	})
	if i < 0 {
		return // the sites have changed since
	}
	fmt.Fprintf(stdout, "Own:      %s stay at the sites, and the numbers are of each site with its own. That of %s:\n", pipeline.List(a.Local), u.partyName(i))
	u.sayGetOwn(a.Task, i)
}

func (u *up) siteWith(is func(siteFile) bool) int { return slices.IndexFunc(u.sites, is) }

// sayGetOwn says how to get the model of a site.
func (u *up) sayGetOwn(task string, i int) {
	fmt.Fprintf(stdout, "          fedmq model get --dir %s -t %s --own %s -o %s.safetensors\n", u.dir, task, at(u.dir, u.sites[i].Connection.DataDir), u.partyName(i))
}

// sayPersonal says what the sites have made of the released version for themselves.
func (u *up) sayPersonal(task string, made map[string]site.PersonalStatus) {
	for _, member := range slices.Sorted(maps.Keys(made)) {
		fmt.Fprintf(stdout, "Personal: %s, %s\n", member, personalText(made[member]))
	}
	i := u.siteWith(func(f siteFile) bool { return made[f.Member].Used })
	if i >= 0 {
		fmt.Fprintf(stdout, "          The rows have chosen, so that the better number is a little too good. The model that %s uses:\n", u.partyName(i))
		u.sayGetOwn(task, i)
	}
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
