package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/fedmq/fedmq/record"
)

// taskRun is a task in one data directory of an aggregator: one run of it.
type taskRun struct {
	Name     string // of the run: as it was given, or its number
	Dir      string // data directory of the aggregator
	Task     string
	Records  []record.Record
	Settings []runSettings // oldest first
}

// dataDirOf finds the data directory of an aggregator: dir itself, that of a run
// that was put aside, or that which the configuration in dir names.
func dataDirOf(dir string) (string, error) {
	for _, d := range []string{dir, filepath.Join(dir, "aggregator")} {
		if !absent(filepath.Join(d, "records")) || !absent(filepath.Join(d, "state.db")) {
			return d, nil
		}
	}
	var f aggregatorFile
	err := loadYAML(filepath.Join(dir, aggregatorName), &f)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil // which says what is missing
	}
	return at(dir, f.Connection.DataDir), err
}

// runsIn lists the runs of a folder of fedmq up: those that were put aside, and the
// last one.
func runsIn(dir string) (names, dirs []string, err error) {
	names, err = runNames(filepath.Join(dir, runsName))
	if err != nil {
		return nil, nil, err
	}
	for _, n := range names {
		dirs = append(dirs, filepath.Join(dir, runsName, n, "aggregator"))
	}
	last, err := dataDirOf(dir)
	if err != nil {
		return nil, nil, err
	}
	if !absent(filepath.Join(last, "records")) {
		names, dirs = append(names, "last"), append(dirs, last)
	}
	return names, dirs, nil
}

// readRuns reads the tasks of a data directory, without checking them.
func readRuns(name, dir, only string) (list []*taskRun, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "records"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() || only != "" && e.Name() != only {
			continue
		}
		r := &taskRun{Name: name, Dir: dir, Task: e.Name()}
		recs := newRecordFiles(filepath.Join(dir, "records", e.Name()), nil)
		if r.Records, err = recs.rest(); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		if r.Settings, err = readSettings(dir, r.Task); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// settings are those of the last rounds.
func (r *taskRun) settings() runSettings {
	if len(r.Settings) == 0 {
		return runSettings{Task: r.Task}
	}
	return r.Settings[len(r.Settings)-1]
}

// runPoint is one measured model of a run.
type runPoint struct {
	Trained int    // rounds of training behind it
	Version uint64 // of the model
	Record  *record.Record
}

// measured are the records with metrics, by the model that they measure: the one
// that their round began with.
func (r *taskRun) measured() (list []runPoint) {
	trained, version := 0, uint64(0)
	for i := range r.Records {
		rec := &r.Records[i]
		if rec.Verdict == record.Abandoned {
			continue
		}
		if i == 0 && rec.Round > 0 { // the records before are not there
			version = rec.Round - 1
		}
		if rec.Verdict == record.Committed && len(rec.Metrics) > 0 {
			list = append(list, runPoint{trained, version, rec})
		}
		version = rec.Round
		if rec.Trained() {
			trained++
		}
	}
	return list
}

// bestIn is the version that did best, as the last round says; nil: none was
// measured.
func bestIn(recs []record.Record) *record.Best {
	for i := len(recs) - 1; i >= 0; i-- {
		if recs[i].Verdict == record.Committed {
			return recs[i].Best
		}
	}
	return nil
}

// best is the version that did best, with the record that has measured it.
func (r *taskRun) best() (p runPoint, ok bool) {
	b := bestIn(r.Records)
	if b == nil {
		return p, false
	}
	points := r.measured()
	i := slices.IndexFunc(points, func(p runPoint) bool { return p.Record.Round == b.Round })
	if i < 0 {
		return p, false
	}
	return points[i], true
}

// rounds counts those of training.
func (r *taskRun) rounds() (n int) {
	for _, rec := range r.Records {
		if rec.Trained() {
			n++
		}
	}
	return n
}

// metric is the one that is shown first, "" for none.
func (r *taskRun) metric() string {
	points := r.measured()
	if len(points) == 0 {
		return ""
	}
	last := points[len(points)-1].Record
	return cmp.Or(last.Shown, slices.Sorted(maps.Keys(last.Metrics))[0]) // records of before there was a metric shown first
}

// score is a metric of the last model that was measured.
func (r *taskRun) score(metric string) (last float64, ok bool) {
	for _, p := range r.measured() {
		if m, has := p.Record.Metrics[metric]; has && finite(float64(m.Value)) {
			last, ok = float64(m.Value), true
		}
	}
	return last, ok
}

// began is in milliseconds, 0 where there is nothing.
func (r *taskRun) began() int64 {
	if len(r.Records) == 0 {
		return 0
	}
	return r.Records[0].OpenedMS
}
