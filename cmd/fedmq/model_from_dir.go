package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
)

// fromDir writes a version that lies in the data directory of an aggregator, and says which
// ones are there.
func (c *modelGetCmd) fromDir() error {
	dir, err := dataDirOf(c.Dir)
	if err != nil {
		return usageError{err}
	}
	v := &verifier{dir: dir}
	if err := v.readState(); err != nil {
		return err
	}
	recs, err := v.records(c.Task)
	if err != nil {
		return err
	}
	recs = slices.DeleteFunc(recs, func(r record.Record) bool { return r.Verdict == record.Abandoned })
	schema := v.schema(c.Task)
	if len(recs) == 0 || schema == nil {
		return usageError{fmt.Errorf("%s: no task %q with a description; fedmq verify %s says which tasks there are", dir, c.Task, dir)}
	}
	at := endsWith(recs)
	if c.Own != "" {
		at = ownVersion(c.Own, c.Task, recs)
	}
	if c.Round != nil {
		if at = slices.IndexFunc(recs, func(r record.Record) bool { return r.Round == *c.Round }); at < 0 {
			return usageError{fmt.Errorf("--round: %d, and the task has versions up to %d", *c.Round, recs[len(recs)-1].Round)}
		}
	}
	blob, err := v.blob(recs[at].Model)
	if err != nil {
		return fmt.Errorf("version %d is not kept (keep_models); kept are %s", recs[at].Version, v.kept(recs))
	}
	m := &model.Model{Schema: schema, Blob: blob}
	if len(blob) != schema.Bytes() || m.ContentID() != recs[at].Model {
		return fmt.Errorf("version %d: its file is not what the record says; fedmq verify %s tells", recs[at].Version, dir)
	}
	st, err := roundState(v.dir, c.Task)
	if err != nil {
		return fmt.Errorf("what the inputs mean is in the task's state: %w", err)
	}
	if err := c.write(aboutAt(st, recs, at), m, recs[at].Epoch, contractText(st)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(beside(c.Output), "kept are %s\n", v.kept(recs))
	return err
}

// ownVersion is the place of the version that goes with what a site has of its own: that which it
// has trained for itself, or the last one, as its tensors are what its last training left.
func ownVersion(dir, task string, recs []record.Record) int {
	if !absent(filepath.Join(dir, "state.db")) {
		mine, err := site.Personal(dir, task) // the error is met again
		if i := slices.IndexFunc(recs, func(r record.Record) bool { return r.Model == mine.Base }); err == nil && mine.Model != nil && i >= 0 {
			return i
		}
	}
	return len(recs) - 1
}

// kept lists the versions whose models are there, and which one is the best.
func (v *verifier) kept(recs []record.Record) string {
	var here []uint64
	for _, r := range recs {
		if _, err := os.Stat(v.blobPath(r.Model)); err == nil {
			here = append(here, r.Version)
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Sprintf("not known (%v)", err)
		}
	}
	var parts []string
	for i := 0; i < len(here); {
		j := i
		for j+1 < len(here) && here[j+1] == here[j]+1 {
			j++
		}
		text := strconv.FormatUint(here[i], 10)
		if j > i {
			text += "-" + strconv.FormatUint(here[j], 10)
		}
		parts, i = append(parts, text), j+1
	}
	if len(parts) == 0 {
		return "none"
	}
	text := "versions " + strings.Join(parts, ", ")
	if b := bestIn(recs); b != nil {
		text += fmt.Sprintf("; the best is %d by %s (%.4g)", b.Version, b.Metric, b.Value)
	}
	return text
}
