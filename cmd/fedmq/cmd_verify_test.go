package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// cmdFlip changes one byte of every file below records/ and blobs/ of a data
// directory in turn, and wants the verification to find it and to name the
// round: flip dir [files that are left out...].
func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: flip dir [file...]")
	}
	dir := ts.MkAbs(args[0])
	rounds := roundsOf(ts, dir)
	n := 0
	for _, below := range []string{"records", "blobs"} {
		ts.Check(filepath.WalkDir(filepath.Join(dir, below), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil || slices.Contains(args[1:], filepath.ToSlash(name)) {
				return err
			}
			n++
			flipOne(ts, dir, name, rounds)
			return nil
		}))
	}
	ts.Logf("%d files, one byte each", n)
	if n < 200 {
		ts.Fatalf("%d files are not those of a demo", n)
	}
}

// flipOne changes a byte in the middle of one file, verifies, and puts the file
// back.
func flipOne(ts *testscript.TestScript, dir, name string, rounds map[string][]uint64) {
	path := filepath.Join(dir, name)
	good, err := os.ReadFile(path)
	ts.Check(err)
	bad := slices.Clone(good)
	bad[len(bad)/2] ^= 1
	ts.Check(os.WriteFile(path, bad, 0o600))
	defer func() { ts.Check(os.WriteFile(path, good, 0o600)) }()
	out, err := (&verifyCmd{Dir: dir}).verify(context.Background())
	ts.Check(err)
	d := out.Tasks[0].Difference
	if out.OK || d == nil || out.err() == nil {
		ts.Fatalf("one byte of %s was changed, and nothing is found", name)
	}
	if want := rounds[filepath.Base(name)]; !slices.Contains(want, d.Round) {
		ts.Fatalf("one byte of %s, of the rounds %d, was changed; found: %v", name, want, d)
	}
	if !strings.Contains(out.err().Error(), "round "+strconv.FormatUint(d.Round, 10)) {
		ts.Fatalf("%v names no round", out.err())
	}
}

// roundsOf says which rounds may be named for a file: its own, and for a record
// the next one too, whose prev no longer fits; for a blob the first that names
// it.
func roundsOf(ts *testscript.TestScript, dir string) map[string][]uint64 {
	rounds := map[string][]uint64{"events.json": {0}}
	files, err := filepath.Glob(filepath.Join(dir, "records", "*", "*.json"))
	ts.Check(err)
	for _, path := range files {
		raw, err := os.ReadFile(path)
		ts.Check(err)
		r, err := record.Decode(raw)
		ts.Check(err)
		rounds[filepath.Base(path)] = []uint64{r.Round, r.Round + 1}
		ids := []model.Hash{r.Model, r.State}
		for _, e := range r.Entries {
			ids = append(ids, e.Content)
		}
		for _, id := range ids {
			if _, known := rounds[id.String()]; !known {
				rounds[id.String()] = []uint64{r.Round}
			}
		}
	}
	return rounds
}

// cmdChangebyte changes one bit of one byte of a file: changebyte file offset.
func cmdChangebyte(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: changebyte file offset")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte(ts.ReadFile(args[0]))
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}
