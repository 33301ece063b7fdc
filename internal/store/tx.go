package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Tx is one transaction on state.db, valid only inside the function it was
// passed to. Values returned are copies and stay valid.
type Tx struct {
	s  *Store
	tx *bolt.Tx
}

// Key joins a task's name and a rest to a key of that task. It is also the
// prefix of all the task's keys when rest is empty.
func Key(task, rest string) string { return task + "\x00" + rest }

// RecordKey is the key of a round's record: sorted bytewise, a task's records
// are in order of round and attempt.
func RecordKey(task string, round uint64, attempt uint32) string {
	var k [12]byte
	binary.BigEndian.PutUint64(k[:], round)
	binary.BigEndian.PutUint32(k[8:], attempt)
	return Key(task, string(k[:]))
}

// ParseRecordKey undoes [RecordKey].
func ParseRecordKey(key string) (task string, round uint64, attempt uint32, err error) {
	i := len(key) - 13
	if i < 0 || key[i] != 0 {
		return "", 0, 0, fmt.Errorf("store: %q is no key of a record", key)
	}
	k := []byte(key[i+1:])
	return key[:i], binary.BigEndian.Uint64(k), binary.BigEndian.Uint32(k[8:]), nil
}

func (tx *Tx) bucket(b Bucket) *bolt.Bucket {
	bk := tx.tx.Bucket([]byte(b))
	if bk == nil {
		panic("store: no bucket " + string(b))
	}
	return bk
}

// Put sets the value of key in b. It panics for a bucket that is not one of
// this package's constants, as all methods do.
func (tx *Tx) Put(b Bucket, key string, val []byte) error {
	if err := tx.bucket(b).Put([]byte(key), seal(b, []byte(key), val)); err != nil {
		return fmt.Errorf("store: put %s/%q: %w", b, key, err)
	}
	return nil
}

// Get returns the value of key in b, and nil when there is none (an empty
// value is not nil). It fails with [ErrCorrupt] when the bytes are broken.
func (tx *Tx) Get(b Bucket, key string) ([]byte, error) {
	raw := tx.bucket(b).Get([]byte(key))
	if raw == nil {
		return nil, nil
	}
	return tx.open(b, []byte(key), raw)
}

// Delete removes key from b; a key that is not there is no error.
func (tx *Tx) Delete(b Bucket, key string) error {
	if err := tx.bucket(b).Delete([]byte(key)); err != nil {
		return fmt.Errorf("store: delete %s/%q: %w", b, key, err)
	}
	return nil
}

// ForEach calls fn for every key of b that starts with prefix, in byte order.
// fn must not change b.
func (tx *Tx) ForEach(b Bucket, prefix string, fn func(key string, val []byte) error) error {
	c := tx.bucket(b).Cursor()
	for k, raw := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, raw = c.Next() {
		val, err := tx.open(b, k, raw)
		if err != nil {
			return err
		}
		if err := fn(string(k), val); err != nil {
			return err
		}
	}
	return nil
}

// Append adds val to b after all values appended before, under prefix and the
// bucket's next sequence number (8 bytes, big-endian), which it returns.
func (tx *Tx) Append(b Bucket, prefix string, val []byte) (uint64, error) {
	seq, err := tx.bucket(b).NextSequence()
	if err != nil {
		return 0, fmt.Errorf("store: append to %s: %w", b, err)
	}
	return seq, tx.Put(b, prefix+string(binary.BigEndian.AppendUint64(nil, seq)), val)
}

// Clear removes every key of b that starts with prefix.
func (tx *Tx) Clear(b Bucket, prefix string) error {
	bk := tx.bucket(b)
	var keys [][]byte
	c := bk.Cursor()
	for k, _ := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys { // a cursor is not stable under deletion
		if err := bk.Delete(k); err != nil {
			return fmt.Errorf("store: clear %s/%q: %w", b, prefix, err)
		}
	}
	return nil
}

// AppendJournal adds one verdict to the journal of task.
func (tx *Tx) AppendJournal(task string, val []byte) error {
	_, err := tx.Append(Journal, Key(task, ""), val)
	return err
}

// Journal returns the journal of task in the order of appending.
func (tx *Tx) Journal(task string) ([][]byte, error) {
	var vals [][]byte
	err := tx.ForEach(Journal, Key(task, ""), func(_ string, val []byte) error {
		vals = append(vals, val)
		return nil
	})
	return vals, err
}

// ClearJournal empties the journal of task.
func (tx *Tx) ClearJournal(task string) error { return tx.Clear(Journal, Key(task, "")) }

// PutState sets the state of task: one value, encoded by its machine.
func (tx *Tx) PutState(task string, val []byte) error { return tx.Put(Round, Key(task, ""), val) }

// State returns the state of task, nil when it has none yet.
func (tx *Tx) State(task string) ([]byte, error) { return tx.Get(Round, Key(task, "")) }

// PutMember sets the member of task at an index.
func (tx *Tx) PutMember(task string, index uint32, val []byte) error {
	return tx.Put(Members, Key(task, string(binary.BigEndian.AppendUint32(nil, index))), val)
}

// MembersOf calls fn for the members of task in order of their indices.
func (tx *Tx) MembersOf(task string, fn func(index uint32, val []byte) error) error {
	return tx.ForEach(Members, Key(task, ""), func(key string, val []byte) error {
		index := key[len(task)+1:]
		if len(index) != 4 {
			return fmt.Errorf("%w: %q is no key of a member", ErrCorrupt, key)
		}
		return fn(binary.BigEndian.Uint32([]byte(index)), val)
	})
}

// PutRecord stores the exact JSON bytes of a record. A record is written once:
// other bytes under the same round and attempt are refused.
func (tx *Tx) PutRecord(task string, round uint64, attempt uint32, json []byte) error {
	key := RecordKey(task, round, attempt)
	old, err := tx.Get(Records, key)
	if err != nil {
		return err
	}
	if old != nil && !bytes.Equal(old, json) {
		return fmt.Errorf("store: task %s round %d attempt %d has another record already", task, round, attempt)
	}
	return tx.Put(Records, key, json)
}

// Record returns the bytes of one record, nil when there is none.
func (tx *Tx) Record(task string, round uint64, attempt uint32) ([]byte, error) {
	return tx.Get(Records, RecordKey(task, round, attempt))
}

// RecordsOf calls fn for the records of task in order, from the first of round
// from on.
func (tx *Tx) RecordsOf(task string, from uint64, fn func(round uint64, attempt uint32, json []byte) error) error {
	prefix := []byte(Key(task, ""))
	c := tx.bucket(Records).Cursor()
	for k, raw := c.Seek([]byte(RecordKey(task, from, 0))); k != nil && bytes.HasPrefix(k, prefix); k, raw = c.Next() {
		val, err := tx.open(Records, k, raw)
		if err != nil {
			return err
		}
		_, round, attempt, err := ParseRecordKey(string(k))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err := fn(round, attempt, val); err != nil {
			return err
		}
	}
	return nil
}

// LastRecords returns the last records of task, oldest first: at most n, and
// but for the last one no more than size bytes.
func (tx *Tx) LastRecords(task string, n, size int) ([][]byte, error) {
	prefix := []byte(Key(task, ""))
	c := tx.bucket(Records).Cursor()
	var recs [][]byte
	for k, raw := lastOf(c, task); k != nil && bytes.HasPrefix(k, prefix) && len(recs) < n; k, raw = c.Prev() {
		if size -= len(raw); size < 0 && len(recs) > 0 {
			break
		}
		val, err := tx.open(Records, k, raw)
		if err != nil {
			return nil, err
		}
		recs = append(recs, val)
	}
	slices.Reverse(recs)
	return recs, nil
}

// lastOf steps to the last key before those behind the task's.
func lastOf(c *bolt.Cursor, task string) (k, raw []byte) {
	if after, _ := c.Seek([]byte(task + "\x01")); after == nil {
		return c.Last()
	}
	return c.Prev()
}

// LastRecordPlace is the place of the last record of task, if it has any.
func (tx *Tx) LastRecordPlace(task string) (round uint64, attempt uint32, found bool, err error) {
	k, _ := lastOf(tx.bucket(Records).Cursor(), task)
	if !bytes.HasPrefix(k, []byte(Key(task, ""))) {
		return 0, 0, false, nil
	}
	_, round, attempt, err = ParseRecordKey(string(k))
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return round, attempt, true, err
}

// RecordPlaces calls fn for the places of the records of task, in order. It reads
// none of them.
func (tx *Tx) RecordPlaces(task string, fn func(round uint64, attempt uint32) error) error {
	prefix := []byte(Key(task, ""))
	c := tx.bucket(Records).Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		_, round, attempt, err := ParseRecordKey(string(k))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if err := fn(round, attempt); err != nil {
			return err
		}
	}
	return nil
}

// Tasks are the tasks that have records, sorted.
func (tx *Tx) Tasks() (names []string, err error) {
	c := tx.bucket(Records).Cursor()
	for k, _ := c.First(); k != nil; {
		task, _, _, err := ParseRecordKey(string(k))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		names = append(names, task)
		k, _ = c.Seek([]byte(task + "\x01"))
	}
	return names, nil
}
