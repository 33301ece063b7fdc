package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

// runsName is where a folder keeps the runs before the last one: runs/001 and so
// on, each with aggregator, broker, sites, and the models of its tasks.
const runsName = "runs"

// move is a directory, or a file, and its place in a run that is put aside.
type move struct{ from, to string }

// leaves are what a run leaves in the folder.
func (u *up) leaves() (list []move) {
	list = append(list, move{at(u.dir, u.agg.Connection.DataDir), "aggregator"}, move{u.brokerDir(), "broker"})
	for i, f := range u.sites {
		list = append(list, move{at(u.dir, f.Connection.DataDir), filepath.Join("sites", u.partyName(i))})
	}
	return list
}

// movable refuses to put aside what is not the folder's, or what the new run begins with,
// and a run that could not write.
func (u *up) movable() error {
	if err := u.checkPlaces(); err != nil {
		return usageError{err}
	}
	runs := filepath.Join(u.dir, runsName)
	for _, m := range u.leaves() {
		if !inside(u.dir, m.from) || filepath.Clean(m.from) == runs || inside(runs, m.from) {
			return usageError{fmt.Errorf("data_dir: %s is not inside %s, or in its folder %s, where former runs are kept: want it moved by hand", m.from, u.dir, runsName)}
		}
	}
	return nil
}

// files are what a run leaves beside its directories.
func (u *up) files() (names []string) {
	for _, t := range u.agg.Tasks {
		names = append(names, t.Name+".safetensors")
	}
	names = append(names, "aggregator.log")
	for i := range u.sites {
		names = append(names, u.partyName(i)+".log")
	}
	return names
}

// putAside moves the former run to runs/NNN, and says where to; "" where there
// was none. What a kill cuts short, the next start of up goes on with.
func (u *up) putAside() (moved string, err error) {
	for _, m := range u.leaves() {
		if locked(m.from) {
			return "", usageError{fmt.Errorf("data_dir: another process works in %s; end it first", m.from)}
		}
	}
	if absent(at(u.dir, u.agg.Connection.DataDir)) {
		return "", nil
	}
	name, err := nextRun(filepath.Join(u.dir, runsName))
	if err != nil {
		return "", err
	}
	half := filepath.Join(u.dir, runsName, "."+name)
	if err := os.MkdirAll(half, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(u.dir, runsName, name), u.goOnAside()
}

// goOnAside ends a putting aside that has begun.
func (u *up) goOnAside() error {
	halves, err := filepath.Glob(filepath.Join(u.dir, runsName, ".[0-9]*"))
	if err != nil || len(halves) == 0 {
		return err
	}
	half := halves[0]
	for _, m := range u.leaves() {
		if err := moveEntries(m.from, filepath.Join(half, m.to)); err != nil {
			return err
		}
	}
	for _, name := range u.files() {
		if err := os.Rename(filepath.Join(u.dir, name), filepath.Join(half, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(half, filepath.Join(filepath.Dir(half), strings.TrimPrefix(filepath.Base(half), ".")))
}

// moveEntries moves what is in a directory, but for what trainers that run have
// there.
func moveEntries(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), trainerFiles) {
			continue
		}
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	_ = os.Remove(from) // if it is empty
	return nil
}

// locked reports that a process works in a data directory.
func locked(dir string) bool {
	a, err := store.OpenArchive(dir)
	if err == nil {
		err = a.Close()
	}
	return errors.Is(err, store.ErrLocked)
}

// nextRun is the name of the next run that is put aside.
func nextRun(dir string) (string, error) {
	names, err := runNames(dir)
	if err != nil {
		return "", err
	}
	last := 0
	if len(names) > 0 {
		last, _ = strconv.Atoi(names[len(names)-1]) // digits
	}
	return fmt.Sprintf("%03d", last+1), nil
}

// runNames lists the runs that were put aside, oldest first.
func runNames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 32); err == nil && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	return names, nil
}

// noteData keeps which data the sites have.
func (u *up) noteData(sites []site.Config) {
	u.data = map[string]map[string]string{}
	for _, cfg := range sites {
		for _, t := range cfg.Tasks {
			if u.data[t.Name] == nil {
				u.data[t.Name] = map[string]string{}
			}
			u.data[t.Name][cfg.Member] = trainer.SourceOf(t.Trainer).SHA256
		}
	}
}

// sitesOf fills in what the sites of a task have.
func (u *up) sitesOf(s *runSettings) { s.Sites, s.Data = u.siteSettings(s.Task), u.data[s.Task] }

// siteSettings are those of the sites that have a task, as their files say.
func (u *up) siteSettings(task string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i, f := range u.sites {
		text, err := readText(u.names[i])
		if err != nil {
			continue // it was read a moment ago
		}
		for k, t := range f.Tasks {
			if t.Name == task {
				if about, err := plainTask(text, k); err == nil {
					out[f.Member] = about
				}
			}
		}
	}
	return out
}

// sayBegun says in the first line which tasks have ended, or go on, and what is
// set otherwise since.
func (u *up) sayBegun(cfg aggregator.Config, begun map[string]bool) error {
	text, err := readText(filepath.Join(u.dir, aggregatorName))
	if err != nil {
		return err
	}
	for i, t := range cfg.Tasks {
		ended, ok := begun[t.Name]
		if !ok {
			continue
		}
		now, err := taskSettings(text, i, t.Name)
		if err != nil {
			return err
		}
		u.sitesOf(&now)
		line, err := begunLine(cfg.DataDir, now, ended)
		if err != nil {
			return err
		}
		if ended {
			line += " To begin anew, and keep this run:  fedmq up --again " + u.dir
		}
		fmt.Fprintln(stdout, line)
	}
	return nil
}

func begunLine(dataDir string, now runSettings, ended bool) (string, error) {
	recs := newRecordFiles(filepath.Join(dataDir, "records", now.Task), nil)
	recs.look()
	rounds, last := madeText(recs.recs), int64(0)
	for _, r := range recs.recs {
		last = max(last, r.ClosedMS)
	}
	line, effect := fmt.Sprintf("Task %s goes on, after %s.", now.Task, rounds), ""
	if ended {
		line, effect = fmt.Sprintf("Task %s has ended, after %s, at %s UTC.", now.Task, rounds, utc(last)), ", and without effect"
	}
	had, err := readSettings(dataDir, now.Task)
	switch {
	case err != nil:
		return "", err
	case len(had) == 0:
		return line + " With which settings is not recorded.", nil
	}
	diff := differences(had[len(had)-1], now)
	own := ""
	if ended {
		diff, own = personalDifferences(diff, now)
	}
	if fixed := fixedSurvey(diff); len(fixed) > 0 && !ended {
		line += " Part of the task since it began, and without effect: " + strings.Join(fixed, "; ") + " (fedmq up --again begins anew)."
		if diff = slices.DeleteFunc(diff, func(s string) bool { return slices.Contains(fixed, s) }); len(diff) == 0 {
			return line, nil
		}
	}
	switch {
	case len(diff) > 0:
		line += " Changed since" + effect + ": " + strings.Join(diff, "; ") + "."
	case own == "":
		line += " No setting has changed since."
	}
	return line + own, nil
}

// fixedSurvey are the differences in what a task of statistics keeps as it was when it began.
func fixedSurvey(diff []string) (list []string) {
	for _, s := range diff {
		if strings.HasPrefix(s, "statistics.") && !strings.HasPrefix(s, "statistics.every:") {
			list = append(list, s)
		}
	}
	return list
}
