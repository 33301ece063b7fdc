package store

import (
	"bytes"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
)

// What is checked of a task's records at the start: the last ones, by number and
// by bytes. Older ones are checked when they are read.
const (
	checkedRecords = 100
	checkedBytes   = 4 << 20
)

// guard runs fn and turns a panic or a memory fault inside it (bbolt reads its
// pages through a memory map and trusts them) into ErrCorrupt.
func guard(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s: pages are broken: %v", ErrCorrupt, path, r)
		}
	}()
	return fn()
}

// check reads every value but those of Records, of which it reads the last, and
// Held. A broken one is fatal, but at the end of a task's
// journal: that one is cut and reported, because its receipt may not have
// left.
func (s *Store) check() error {
	var cut []string
	err := s.View(func(tx *Tx) error {
		for _, b := range slices.Sorted(maps.Keys(bucketTypes)) {
			keys, err := s.checkBucket(tx, b)
			if err != nil {
				return err
			}
			cut = append(cut, keys...)
		}
		return nil
	})
	if err != nil || len(cut) == 0 {
		return err
	}
	for _, key := range cut {
		s.findings = append(s.findings, fmt.Sprintf("%s: broken last value of the journal cut (key %q)", s.path, key))
	}
	return s.Update(func(tx *Tx) error {
		for _, key := range cut {
			if err := tx.Delete(Journal, key); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkBucket checks all of b and returns the journal keys to cut.
func (s *Store) checkBucket(tx *Tx, b Bucket) (cut []string, err error) {
	bk := tx.tx.Bucket([]byte(b))
	if bk == nil {
		return nil, fmt.Errorf("%w: %s has no bucket %s", ErrCorrupt, s.path, b)
	}
	switch b {
	case Records:
		return nil, s.checkRecords(tx)
	case Held:
		return nil, nil
	}
	c := bk.Cursor()
	for k, raw := c.First(); k != nil; k, raw = c.Next() {
		_, bad := tx.open(b, k, raw)
		if bad == nil {
			continue
		}
		key := bytes.Clone(k)
		task, _, ok := bytes.Cut(key, []byte{0})
		next, _ := c.Next()
		last := next == nil || !bytes.HasPrefix(next, append(task, 0))
		if b != Journal || !ok || !last {
			return nil, bad
		}
		cut = append(cut, string(key))
		if next == nil {
			return cut, nil
		}
		c.Seek(key) // stand on the broken key again, the loop goes on from it
	}
	return cut, nil
}

// checkRecords checks the last records of every task. It does not walk over the
// others: each would be a page of memory.
func (s *Store) checkRecords(tx *Tx) error {
	tasks, err := tx.Tasks()
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	for _, task := range tasks {
		if _, err := tx.LastRecords(task, checkedRecords, checkedBytes); err != nil {
			return err
		}
	}
	return nil
}
