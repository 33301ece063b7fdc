package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Archive is a directory's state.db opened for reading its records, and the states of
// its tasks, alone. It changes nothing and mends nothing. While it is open nobody can [Open] the
// directory: read what is wanted and close it.
type Archive struct {
	path string
	db   *bolt.DB
}

// OpenArchive opens dir/state.db for reading. Errors wrap fs.ErrNotExist when
// there is none, [ErrLocked] while another process writes it, [ErrCorrupt] when
// it is damaged.
func OpenArchive(dir string) (*Archive, error) {
	path := filepath.Join(dir, stateFile)
	var db *bolt.DB
	err := guard(path, func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: lockWait})
		return err
	})
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s is locked", ErrLocked, path)
	case errors.As(err, &pathErr):
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	if err := checkSize(path, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Archive{path: path, db: db}, nil
}

// Close ends the reading.
func (a *Archive) Close() error {
	if err := a.db.Close(); err != nil {
		return fmt.Errorf("store: close %s: %w", a.path, err)
	}
	return nil
}

// Records calls fn for every record of every task, by task, round and attempt.
// Errors other than fn's wrap [ErrCorrupt].
func (a *Archive) Records(fn func(task string, round uint64, attempt uint32, raw []byte) error) error {
	return a.view(func(tx *Tx) error {
		return tx.ForEach(Records, "", func(key string, raw []byte) error {
			task, round, attempt, err := ParseRecordKey(key)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", ErrCorrupt, a.path, err)
			}
			return fn(task, round, attempt, raw)
		})
	})
}

// Record returns one record, nil when there is none.
func (a *Archive) Record(task string, round uint64, attempt uint32) (raw []byte, err error) {
	err = a.view(func(tx *Tx) error {
		raw, err = tx.Record(task, round, attempt)
		return err
	})
	return raw, err
}

// State returns the state of a task, nil when there is none.
func (a *Archive) State(task string) (raw []byte, err error) {
	err = a.view(func(tx *Tx) error {
		raw, err = tx.State(task)
		return err
	})
	return raw, err
}

func (a *Archive) view(fn func(*Tx) error) error {
	return guard(a.path, func() error {
		return a.db.View(func(tx *bolt.Tx) error {
			if tx.Bucket([]byte(Records)) == nil {
				return nil // made, and never used
			}
			return fn(&Tx{s: &Store{path: a.path}, tx: tx})
		})
	})
}
