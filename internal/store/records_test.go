package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenArchive(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without state.db: %v", err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(tx *Tx) error {
		return errors.Join(tx.PutState("a", []byte("state")), tx.PutRecord("b", 1, 2, []byte("third")), tx.PutRecord("a", 1, 1, []byte("second")), tx.PutRecord("a", 0, 0, []byte("first")))
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenArchive(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("while it is written: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	a, err := OpenArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Records(func(task string, _ uint64, _ uint32, raw []byte) error {
		got = append(got, task+" "+string(raw))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0] != "a first" || got[1] != "a second" || got[2] != "b third" {
		t.Errorf("records %q", got)
	}
	if raw, err := a.Record("b", 1, 2); string(raw) != "third" || err != nil {
		t.Errorf("%q, %v", raw, err)
	}
	if raw, err := a.Record("b", 1, 1); raw != nil || err != nil {
		t.Errorf("a record that is not there: %q, %v", raw, err)
	}
	if raw, err := a.State("a"); string(raw) != "state" || err != nil {
		t.Errorf("%q, %v", raw, err)
	}
	if raw, err := a.State("b"); raw != nil || err != nil {
		t.Errorf("a state that is not there: %q, %v", raw, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "state.db")); err != nil || string(after) != string(before) {
		t.Errorf("reading has changed the file: %v", err)
	}
}

// A damaged file is an error, not a panic, wherever the damage is.
func TestArchiveDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Update(func(tx *Tx) error { return tx.PutRecord("a", 0, 0, []byte("first")) }), s.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func() error {
		a, err := OpenArchive(dir)
		if err != nil {
			return err
		}
		return errors.Join(a.Records(func(string, uint64, uint32, []byte) error { return nil }), a.Close())
	}
	for name, bad := range map[string][]byte{
		"cut":   good[:len(good)/2],
		"zeros": make([]byte, len(good)),
		"text":  []byte("no database"),
	} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := read(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	at := len(good) - 1
	for at >= 5 && string(good[at-5:at]) != "first" {
		at--
	}
	good[at-1] ^= 1
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte of a record: %v", err)
	}
}
