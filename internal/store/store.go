// Package store keeps what fedmq must not lose: the state of an aggregator or
// a site, its records and journal, its outbox, its model and update blobs, and
// the retained messages of the embedded broker.
//
// Open a directory with [Open]. State lives in one bbolt file, state.db, and
// changes in one write transaction per decision ([Store.Update]); blobs are
// files named by the SHA-256 of their bytes. Every value carries a type, a
// version and a CRC-32C that also covers its bucket and key, and everything is
// checked when the directory is opened.
//
// The package never retries a write that failed to reach the disk ([ErrDisk]
// is for ever), never mends a broken record, and never logs: what it found and
// cut at the start is returned by [Store.Findings].
package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Errors of this package. They are wrapped with the file, bucket and key or
// the operation; test with errors.Is.
var (
	// ErrLocked: another process (or another Store) has the directory open.
	ErrLocked = errors.New("store: in use by another process")
	// ErrDisk: a write did not reach the disk (full, read-only, I/O error).
	// After a failed fsync the page cache cannot be trusted, so the caller
	// stops the process; every later write of the same Store fails too.
	ErrDisk = errors.New("store: disk failed")
	// ErrCorrupt: bytes were read back that are not those written.
	ErrCorrupt = errors.New("store: corrupt")
	// ErrMissing: there is no such blob.
	ErrMissing = errors.New("store: missing")
	// ErrVersion: the directory was written by a newer fedmq.
	ErrVersion = errors.New("store: written by a newer version")
)

// Bucket names one table of state.db.
type Bucket string

// The buckets of state.db. Keys of all but Meta and Fresh start with the task's name
// and a zero byte, see [Key].
const (
	Meta    Bucket = "meta"    // schema version, epoch, highest roster
	Task    Bucket = "task"    // settings a task was created with
	Round   Bucket = "round"   // state of the round machine, commands included
	Journal Bucket = "journal" // verdicts of the open round, in order of acceptance
	Records Bucket = "record"  // exact JSON bytes by (task, round, attempt)
	Members Bucket = "members" // members by (task, index)
	Command Bucket = "command" // ids of commands done
	SecAgg  Bucket = "secagg"  // state of secure aggregation
	Budget  Bucket = "budget"  // privacy budget spent
	Outbox  Bucket = "outbox"  // a site's envelopes, from before their first send until they are settled
	Fresh   Bucket = "fresh"   // small blobs whose files are not known to be durable, see [Tx.PutBlob]
	Held    Bucket = "held"    // blobs that a task's records have a use for; checked as it is read
)

// bucketTypes gives every bucket the type byte of its values.
var bucketTypes = map[Bucket]byte{
	Meta: 1, Task: 2, Round: 3, Journal: 4, Records: 5,
	Members: 6, Command: 7, SecAgg: 8, Budget: 9, Outbox: 10, Held: 12, Fresh: 13,
}

const (
	stateFile     = "state.db"
	schemaKey     = "schema"
	schemaVersion = 2 // 1: members within the state of the round machine, which its driver moves
	lockWait      = 500 * time.Millisecond
)

// Options of [Open]. The zero value is usable.
type Options struct {
	// Disk holds the blobs; nil is the operating system's file system below
	// the opened directory. state.db always uses real files.
	Disk Disk
	// Overwrite has the file of a blob that is removed be written over by the next one of
	// its size: for who needs nothing of a blob that is removed while it is read.
	Overwrite bool
}

// Store is an open directory. Its methods are safe for concurrent use; write
// transactions run one at a time.
type Store struct {
	path     string
	db       *bolt.DB
	disk     Disk
	findings []string
	failed   atomic.Bool
	commit   func(*bolt.Tx) error

	overwrite bool

	mu       sync.Mutex
	dirsSafe map[string]bool  // blob directories whose own entry is durable
	asides   map[string]File  // that are open
	aside    []byte           // where one is put together
	written  map[[32]byte]int // blobs whose files may become spare ones, and their sizes
	spares   []spare          // the oldest first
}

// Open opens dir, makes it where it does not exist (directories 0700, files
// 0600), takes its lock and checks its content. It fails with [ErrLocked] when
// another process has it, with [ErrCorrupt] naming file, bucket and key when a
// value is broken, and with [ErrVersion] for a directory of a newer fedmq. A
// broken value at the very end of a task's journal is cut instead and
// reported by [Store.Findings].
func Open(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: make %s: %w", dir, err)
	}
	path := filepath.Join(dir, stateFile)
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		path: path, db: db, disk: o.Disk,
		commit: (*bolt.Tx).Commit, dirsSafe: map[string]bool{}, asides: map[string]File{}, written: map[[32]byte]int{}, overwrite: o.Overwrite,
	}
	if s.disk == nil {
		s.disk = osDisk{root: dir}
	}
	if err := s.start(); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// start makes the buckets, checks every value, empties tmp and makes files of blobs.
func (s *Store) start() error {
	if err := guard(s.path, s.checkSchema); err != nil {
		return err
	}
	if err := guard(s.path, s.check); err != nil {
		return err
	}
	if err := s.prepareBlobs(); err != nil {
		return err
	}
	return s.settleFresh()
}

// Close ends the use of the directory and releases its lock. It waits for
// transactions under way.
func (s *Store) Close() error {
	s.dropSpares()
	if err := errors.Join(s.closeAsides(), s.db.Close()); err != nil {
		return fmt.Errorf("store: close %s: %w", s.path, err)
	}
	return nil
}

// Findings says what Open cut or removed, one sentence each, for the caller's
// log. It is empty for a directory in order.
func (s *Store) Findings() []string { return s.findings }

// Update runs fn in a write transaction and makes it durable: when Update
// returns nil, all of it is on the disk; on any error, nothing of it is. An
// error of the disk is [ErrDisk]; fn's own error is returned as it is. fn must
// not call methods of the Store.
func (s *Store) Update(fn func(*Tx) error) error {
	if s.failed.Load() {
		return fmt.Errorf("%w: %s: an earlier write failed", ErrDisk, s.path)
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("store: begin on %s: %w", s.path, err)
	}
	defer func() { _ = tx.Rollback() }() // no effect after a commit
	if err := fn(&Tx{s: s, tx: tx}); err != nil {
		return err
	}
	if err := s.commit(tx); err != nil {
		s.failed.Store(true)
		return fmt.Errorf("%w: commit to %s: %w", ErrDisk, s.path, err)
	}
	return nil
}

// View runs fn in a read transaction: it sees one consistent state, and later
// writes do not wait for it.
func (s *Store) View(fn func(*Tx) error) error {
	return s.db.View(func(tx *bolt.Tx) error { return fn(&Tx{s: s, tx: tx}) })
}

// openBolt opens a bbolt file with a bounded wait for its lock. Damage that
// makes bbolt panic or fault is an error here.
func openBolt(path string) (db *bolt.DB, err error) {
	gerr := guard(path, func() error {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, FreelistType: bolt.FreelistMapType})
		return err
	})
	var pathErr *fs.PathError
	var errno syscall.Errno
	switch {
	case gerr == nil:
	case errors.Is(gerr, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s is locked: is fedmq already running with this data directory?", ErrLocked, path)
	case errors.As(gerr, &pathErr), errors.As(gerr, &errno):
		return nil, fmt.Errorf("store: open %s: %w", path, gerr)
	default: // too short, no magic number, wrong checksum
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, gerr)
	}
	if err := checkSize(path, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// checkSize refuses a file shorter than its own pages: reading the missing
// ones would be a bus error.
func checkSize(path string, db *bolt.DB) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return db.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: %s has %d bytes of %d: truncated", ErrCorrupt, path, info.Size(), tx.Size())
		}
		return nil
	})
}

// checkSchema makes what is missing in a new file and refuses a newer layout.
func (s *Store) checkSchema() error {
	want := []byte{schemaVersion}
	var have []byte
	err := s.View(func(tx *Tx) (err error) {
		if tx.tx.Bucket([]byte(Meta)) == nil {
			return nil
		}
		have, err = tx.Get(Meta, schemaKey)
		return err
	})
	if err != nil {
		return err
	}
	if len(have) == 1 && have[0] > schemaVersion {
		return fmt.Errorf("%w: %s has layout %d, this fedmq knows up to %d", ErrVersion, s.path, have[0], schemaVersion)
	}
	if bytes.Equal(have, want) && s.complete() {
		return nil
	}
	return s.Update(func(tx *Tx) error {
		for b := range bucketTypes {
			if _, err := tx.tx.CreateBucketIfNotExists([]byte(b)); err != nil {
				return fmt.Errorf("store: bucket %s: %w", b, err)
			}
		}
		return tx.Put(Meta, schemaKey, want)
	})
}

// complete reports whether every bucket is there: an older fedmq of the same
// layout knew fewer.
func (s *Store) complete() bool {
	err := s.View(func(tx *Tx) error {
		for b := range bucketTypes {
			if tx.tx.Bucket([]byte(b)) == nil {
				return ErrMissing
			}
		}
		return nil
	})
	return err == nil
}
