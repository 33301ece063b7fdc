package store

import (
	"crypto/sha256"
	"errors"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// A commit that fails is ErrDisk, leaves nothing behind, and is the last.
func TestCommitFailureIsFinal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.commit = func(*bolt.Tx) error { return syscall.EIO }
	put := func(tx *Tx) error { return tx.PutState("q", []byte("x")) }
	if err := s.Update(put); !errors.Is(err, ErrDisk) || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	s.commit = (*bolt.Tx).Commit
	if err := s.Update(put); !errors.Is(err, ErrDisk) {
		t.Errorf("a second transaction was tried: %v", err)
	}
	if err := s.PutBlob(sha256.Sum256(nil), nil, true); !errors.Is(err, ErrDisk) {
		t.Errorf("a blob was written: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_ = s.View(func(tx *Tx) error {
		if v, err := tx.State("q"); v != nil || err != nil {
			t.Errorf("state %q, %v", v, err)
		}
		return nil
	})
}
