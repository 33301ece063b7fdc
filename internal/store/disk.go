package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Disk is the file system blobs live in, as small as they need it. Names are
// slash-separated and relative to its root. What was written is durable only
// after Sync of the file and, for its name, SyncDir of the directory; a test
// disk may lose, truncate or reorder everything else at a crash.
type Disk interface {
	// MkdirAll makes a directory and its parents, mode 0700.
	MkdirAll(dir string) error
	// Create makes a file that does not exist yet, mode 0600.
	Create(name string) (File, error)
	// Reopen opens a file that is to be written over; fs.ErrNotExist when there is none.
	Reopen(name string) (File, error)
	// Rename gives a file a new name, replacing what had it.
	Rename(from, to string) error
	// SyncFile makes the content of an existing file durable.
	SyncFile(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// ReadFile returns a file's bytes; fs.ErrNotExist when there is none.
	ReadFile(name string) ([]byte, error)
	// Open opens a file for reading and tells its size; fs.ErrNotExist when
	// there is none.
	Open(name string) (Source, int64, error)
	// Scratch makes a file that does not exist yet and is gone when it is
	// closed.
	Scratch(name string) (Scratch, error)
	// Remove deletes a file; fs.ErrNotExist when there is none.
	Remove(name string) error
	// List returns the entries of a directory; none when it does not exist.
	List(dir string) ([]Entry, error)
}

// File is a file being written.
type File interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	Sync() error
	Close() error
}

// Source is a file being read, from its begin on and at any offset.
type Source interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// Entry is one entry of a directory.
type Entry struct {
	Name    string
	Dir     bool
	ModTime time.Time
}

// osDisk is the operating system's file system below root.
type osDisk struct{ root string }

func (d osDisk) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

func (d osDisk) MkdirAll(dir string) error { return os.MkdirAll(d.path(dir), 0o700) }

func (d osDisk) Create(name string) (File, error) {
	return os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d osDisk) Reopen(name string) (File, error) { return os.OpenFile(d.path(name), os.O_RDWR, 0) }

func (d osDisk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d osDisk) SyncFile(name string) error { return d.sync(name, os.O_RDWR) }

func (d osDisk) SyncDir(dir string) error { return d.sync(dir, os.O_RDONLY) }

func (d osDisk) sync(name string, flag int) error {
	f, err := os.OpenFile(d.path(name), flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d osDisk) ReadFile(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

func (d osDisk) Open(name string) (Source, int64, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (d osDisk) Scratch(name string) (Scratch, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if os.Remove(f.Name()) == nil {
		return f, nil // it lives on without a name
	}
	return named{f}, nil
}

// named is a scratch file where an open file cannot be removed.
type named struct{ *os.File }

func (n named) Close() error { return errors.Join(n.File.Close(), os.Remove(n.Name())) }

func (d osDisk) Remove(name string) error { return os.Remove(d.path(name)) }

func (d osDisk) List(dir string) ([]Entry, error) {
	des, err := os.ReadDir(d.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	es := make([]Entry, 0, len(des))
	for _, de := range des {
		info, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		es = append(es, Entry{Name: de.Name(), Dir: de.IsDir(), ModTime: info.ModTime()})
	}
	return es, nil
}
