package aggregator

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// catchUp reads the digest, and adds the records that it does not have: all of a
// directory that an older fedmq has written, else none. It checks that they
// follow each other if c is not nil. open are the updates of the open round,
// which do not stay.
func (d *digest) catchUp(c *record.Chain, open map[model.Hash]bool) error {
	all := false
	if err := d.store.View(func(tx *store.Tx) (err error) {
		all, err = d.read(tx)
		return err
	}); err != nil || all {
		return err
	}
	if err := d.store.Update(func(tx *store.Tx) error { return d.resume(tx, c) }); err != nil {
		return err
	}
	for all = false; !all; {
		if err := d.store.Update(func(tx *store.Tx) (err error) {
			all, err = d.addMore(tx, c, open)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// read takes the digest from the disk, and reports whether it is of all records.
func (d *digest) read(tx *store.Tx) (all bool, err error) {
	var v digested
	if err := errors.Join(get(tx, d.endKey(), &v), get(tx, d.curveKey(), &d.curve.drawn)); err != nil {
		return false, fmt.Errorf("digest on disk: %w", err)
	}
	d.end, d.count, d.curve.last = v.End, v.Count, v.Last
	rnd, attempt, known, err := tx.LastRecordPlace(d.task)
	return d.end == place{known, rnd, attempt}, err
}

// resume goes on after the last record in the digest; of one that is not there
// it knows nothing.
func (d *digest) resume(tx *store.Tx, c *record.Chain) error {
	if d.end.Known {
		raw, err := tx.Record(d.task, d.end.Round, d.end.Attempt)
		if err != nil {
			return err
		}
		if raw != nil && c != nil {
			_, err = c.Resume(raw)
		}
		if raw != nil {
			return err
		}
	}
	d.end, d.count, d.curve = place{}, 0, curve{}
	return errors.Join(tx.Clear(store.Held, store.Key(d.task, "")), tx.Delete(store.Task, d.curveKey()))
}

// addMore adds the next records, not all in one transaction, and reports whether
// these were the last ones.
func (d *digest) addMore(tx *store.Tx, c *record.Chain, open map[model.Hash]bool) (all bool, err error) {
	size := 0
	err = tx.RecordsOf(d.task, d.end.Round, func(rnd uint64, attempt uint32, raw []byte) error {
		if !d.end.before(rnd, attempt) {
			return nil
		}
		if size >= startBytes {
			return errEnough
		}
		size += len(raw)
		next := record.Decode
		if c != nil {
			next = c.Next
		}
		r, err := next(raw)
		if err != nil {
			return err
		}
		return d.addFound(tx, r, open)
	})
	if errors.Is(err, errEnough) {
		return false, nil
	}
	return err == nil, err
}

// addFound adds a record whose blobs may be gone by now.
func (d *digest) addFound(tx *store.Tx, r record.Record, open map[model.Hash]bool) error {
	ids := []model.Hash{r.Strategy.Root}
	for _, e := range r.Entries {
		ids = append(ids, e.Content)
	}
	for _, id := range ids {
		if !id.IsZero() && !open[id] && d.store.FindBlob(id) {
			if err := d.hold(tx, id); err != nil {
				return err
			}
		}
	}
	if err := d.add(tx, r); err != nil {
		return err
	}
	if r.Verdict != record.Abandoned && !d.store.FindBlob(r.Model) {
		return d.dropVersion(tx, r.Version)
	}
	return nil
}
