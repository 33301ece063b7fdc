package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/site"
)

// begin loads the aggregator's configuration, holds the sites against it, and goes on
// with the run in the folder, or puts it aside if that is asked for.
func (u *up) begin(sites []site.Config) (aggregator.Config, error) {
	cfg, err := loadAggregator(filepath.Join(u.dir, aggregatorName))
	if err == nil && u.again { // what cannot begin moves nothing
		err = u.checkContracts(cfg, contractsOf(cfg.Tasks), sites)
	}
	switch {
	case err != nil:
		return cfg, usageError{err}
	case u.again:
		return u.anew()
	}
	return cfg, u.goOn(cfg, sites)
}

// anew puts the former run aside, and loads the configuration as if it had never been.
func (u *up) anew() (cfg aggregator.Config, err error) {
	aside, err := u.putAside()
	if err != nil {
		return cfg, err
	}
	if aside != "" {
		fmt.Fprintf(stdout, "The former run is in %s.\n", aside)
	}
	path := filepath.Join(u.dir, aggregatorName)
	if cfg, err = loadAggregator(path); err != nil {
		return cfg, usageError{err}
	}
	return cfg, noteTasks(cfg, nil, path, u.sitesOf)
}

// goOn says what has begun in the folder and what has ended, and that the sites mean the
// same by it.
func (u *up) goOn(cfg aggregator.Config, sites []site.Config) error {
	begun, err := aggregator.Ended(cfg)
	switch {
	case errors.Is(err, store.ErrLocked):
		return err
	case err != nil:
		return usageError{fmt.Errorf("%w. To begin anew, and keep this run:  fedmq up --again %s", err, u.dir)}
	}
	if err := u.sayBegun(cfg, begun); err != nil {
		return err
	}
	contracts, err := begunContracts(cfg)
	if err != nil {
		return err
	}
	if err := u.checkContracts(cfg, contracts, sites); err != nil {
		return usageError{err}
	}
	return noteTasks(cfg, begun, filepath.Join(u.dir, aggregatorName), u.sitesOf)
}

// checkPlaces reports what the new run would miss: places to write to, and first models.
func (u *up) checkPlaces() error {
	if err := u.agg.Connection.checkPlaces(u.dir); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(u.dir, aggregatorName), err)
	}
	for i, f := range u.sites {
		if err := f.Connection.checkPlaces(u.dir); err != nil {
			return fmt.Errorf("%s: %w", u.names[i], err)
		}
	}
	for k, t := range u.agg.Tasks {
		if t.Model.File != "" && u.leftBehind(at(u.dir, t.Model.File)) {
			return fmt.Errorf("%s: tasks[%d] (%s): model: file: %s is of the former run, and would be put aside with it: want it under another name",
				filepath.Join(u.dir, aggregatorName), k, t.Name, t.Model.File)
		}
	}
	return nil
}

// leftBehind reports that a file goes with a run that is put aside.
func (u *up) leftBehind(path string) bool {
	return slices.ContainsFunc(u.leaves(), func(m move) bool { return inside(m.from, path) }) ||
		slices.ContainsFunc(u.files(), func(name string) bool { return filepath.Clean(path) == filepath.Join(u.dir, name) })
}
