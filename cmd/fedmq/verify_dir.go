package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// place is where a record stands in a task.
type place struct {
	round   uint64
	attempt uint32
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.round, o.round), cmp.Compare(p.attempt, o.attempt))
}

// file is the name of a record's file below records/<task>.
func (p place) file() string { return fmt.Sprintf("%06d-%d.json", p.round, p.attempt) }

var recordFile = regexp.MustCompile(`^([0-9]{6,20})-([0-9]{1,10})\.json$`)

// parsePlace undoes file.
func parsePlace(name string) (p place, ok bool) {
	m := recordFile.FindStringSubmatch(name)
	if m == nil {
		return p, false
	}
	round, err1 := strconv.ParseUint(m[1], 10, 64)
	attempt, err2 := strconv.ParseUint(m[2], 10, 32)
	p = place{round, uint32(attempt)}
	return p, err1 == nil && err2 == nil && p.file() == name
}

// verifier reads a data directory and writes nothing.
type verifier struct {
	dir   string
	keys  record.Keys
	state map[string]map[place][32]byte // hashes of the records in state.db; nil: not readable
	notes []string

	without func(record.Record) []string // whom rounds are to be made again without; nil: nobody
}

// open looks at what there is and returns the tasks to check, sorted.
func (v *verifier) open(only string) ([]string, error) {
	found := map[string]bool{}
	entries, err := os.ReadDir(filepath.Join(v.dir, "records"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok || e.IsDir() {
			found[name] = true
		}
	}
	if err := v.readState(); err != nil {
		return nil, err
	}
	for name := range v.state {
		found[name] = true
	}
	tasks := slices.Sorted(maps.Keys(found))
	switch {
	case len(tasks) == 0:
		return nil, usageError{v.nothing()}
	case only != "" && !found[only]:
		return nil, usageError{fmt.Errorf("no task %q in %s, there is: %s", only, v.dir, strings.Join(tasks, ", "))}
	case only != "":
		return []string{only}, nil
	}
	return tasks, nil
}

// nothing says where the records may be instead.
func (v *verifier) nothing() error {
	err := fmt.Errorf("no records in %s; want the data directory of an aggregator (data_dir), or a copy of its records/ and blobs/", v.dir)
	if _, statErr := os.Stat(filepath.Join(v.dir, "aggregator", "records")); statErr == nil {
		err = fmt.Errorf("%w: did you mean %s?", err, filepath.Join(v.dir, "aggregator"))
	}
	return err
}

// readState takes the hashes of the records in state.db, where it is there and
// nobody writes it.
func (v *verifier) readState() error {
	a, err := store.OpenArchive(v.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.note("there is no state.db: that the last record is the last, and is unchanged, follows from its signature or its hash alone")
		return nil
	case errors.Is(err, store.ErrLocked):
		v.note("state.db is in use, an aggregator runs here: the records are not compared with it")
		return nil
	case errors.Is(err, fs.ErrPermission):
		v.note("state.db cannot be read: %v", err)
		return nil
	case err != nil:
		return err
	}
	v.state = map[string]map[place][32]byte{}
	err = a.Records(func(task string, round uint64, attempt uint32, raw []byte) error {
		if v.state[task] == nil {
			v.state[task] = map[place][32]byte{}
		}
		v.state[task][place{round, attempt}] = record.Hash(raw)
		return nil
	})
	return errors.Join(err, a.Close())
}

// fromState reads one record from state.db.
func (v *verifier) fromState(task string, p place) ([]byte, error) {
	a, err := store.OpenArchive(v.dir)
	if err != nil {
		return nil, err
	}
	raw, err := a.Record(task, p.round, p.attempt)
	return raw, errors.Join(err, a.Close())
}

// places lists the records of a task, oldest first: those with a file, and
// those that only state.db has.
func (v *verifier) places(task string) (all []place, noFile map[place]bool, err error) {
	entries, err := os.ReadDir(filepath.Join(v.dir, "records", task))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	noFile = map[place]bool{}
	for p := range v.state[task] {
		noFile[p] = true
	}
	for _, e := range entries {
		p, ok := parsePlace(e.Name())
		if !ok {
			if !strings.HasSuffix(e.Name(), ".tmp") {
				v.note("%s is no record", filepath.Join("records", task, e.Name()))
			}
			continue
		}
		all = append(all, p)
		delete(noFile, p)
	}
	all = slices.AppendSeq(all, maps.Keys(noFile))
	slices.SortFunc(all, place.compare)
	return all, noFile, nil
}

// limited reads a file of at most n bytes, or as much as shows that it has
// more.
func limited(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, n+1))
}

// blob reads the bytes stored under a content id.
func (v *verifier) blob(id model.Hash) ([]byte, error) {
	return os.ReadFile(v.blobPath(id))
}

func (v *verifier) blobPath(id model.Hash) string {
	h := id.String()
	return filepath.Join(v.dir, "blobs", h[:2], h)
}

// blobAt reads a piece of them.
func (v *verifier) blobAt(id model.Hash, p []byte, off int64) error {
	f, err := os.Open(v.blobPath(id))
	if err != nil {
		return err
	}
	_, err = io.ReadFull(io.NewSectionReader(f, off, int64(len(p))), p)
	return errors.Join(err, f.Close())
}

func (v *verifier) note(format string, args ...any) {
	v.notes = append(v.notes, fmt.Sprintf(format, args...))
}
