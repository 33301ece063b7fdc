package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// asideDir has small files that are written over in place, and never synced: what the
// end of the process does not take, and a power loss may.
const asideDir = "aside"

// asideHeader is in front of the value: how long it is.
const asideHeader = 4

// WriteAside writes the pieces of a value, which are not kept, into an aside, over what it
// had, in one call. It stays open, so that nothing is made, renamed or removed. A failure
// is [ErrDisk].
func (s *Store) WriteAside(name string, val ...[]byte) error {
	if s.failed.Load() {
		return fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name = path.Join(asideDir, name)
	f := s.asides[name]
	if f == nil {
		var err error
		if f, err = s.disk.Create(name); err != nil {
			return s.diskError("create "+name, err)
		}
		s.asides[name] = f
	}
	s.aside = append(s.aside[:0], make([]byte, asideHeader)...)
	s.aside = appendSealed(s.aside, Outbox, []byte(asideDir), val...)
	binary.LittleEndian.PutUint32(s.aside, uint32(len(s.aside)-asideHeader)) // of messages
	if _, err := f.WriteAt(s.aside, 0); err != nil {
		return s.diskError("write "+name, err)
	}
	return nil
}

// TakeAsides calls fn with what the asides of an earlier life have, and removes them when
// it has returned nil. It is to be called before the first is written. One that is not
// whole is a finding.
func (s *Store) TakeAsides(fn func(vals [][]byte) error) error {
	if err := s.disk.MkdirAll(asideDir); err != nil {
		return s.diskError("make "+asideDir, err)
	}
	list, err := s.disk.List(asideDir)
	if err != nil {
		return s.diskError("list "+asideDir, err)
	}
	var vals [][]byte
	for _, e := range list {
		name := path.Join(asideDir, e.Name)
		b, err := s.disk.ReadFile(name)
		if err != nil {
			return fmt.Errorf("store: read %s: %w", name, err)
		}
		val, err := openAside(b)
		if err != nil {
			s.findings = append(s.findings, fmt.Sprintf("%s is not whole and is left out: %v", name, err))
			continue
		}
		vals = append(vals, val)
	}
	if err := fn(vals); err != nil {
		return err
	}
	for _, e := range list {
		if err := s.disk.Remove(path.Join(asideDir, e.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.diskError("remove "+e.Name, err)
		}
	}
	return nil
}

// openAside is the value of an aside. What was there before may be longer.
func openAside(b []byte) ([]byte, error) {
	if len(b) < asideHeader || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-asideHeader) {
		return nil, errShort
	}
	n := binary.LittleEndian.Uint32(b)
	return unseal(Outbox, []byte(asideDir), b[asideHeader:asideHeader+n])
}

// closeAsides closes their files.
func (s *Store) closeAsides() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.asides {
		errs = append(errs, f.Close())
	}
	clear(s.asides)
	return errors.Join(errs...)
}
