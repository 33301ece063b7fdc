package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fedmq/fedmq/record"
)

// recordFiles reads records as they appear in a directory, in order.
type recordFiles struct {
	dir  string
	each func(record.Record)
	seen map[string]bool
	recs []record.Record
	err  error
}

func newRecordFiles(dir string, each func(record.Record)) *recordFiles {
	return &recordFiles{dir: dir, each: each, seen: map[string]bool{}}
}

// run looks every 100 ms until ctx ends.
func (f *recordFiles) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		f.look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// rest reads what is left after run and returns all records.
func (f *recordFiles) rest() ([]record.Record, error) {
	f.look()
	return f.recs, f.err
}

func (f *recordFiles) look() {
	entries, err := os.ReadDir(f.dir) // by their names
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.err = err
		}
		return
	}
	for _, e := range entries {
		if f.seen[e.Name()] || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(f.dir, e.Name()))
		if err != nil {
			f.err = err
			return
		}
		r, err := record.Decode(raw)
		if err != nil {
			f.err = err
			return
		}
		f.seen[e.Name()] = true
		f.recs = append(f.recs, r)
		if f.each != nil {
			f.each(r)
		}
	}
}
