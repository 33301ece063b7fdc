package site

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Write renames a written file, and syncs neither (S-22).
func (d boltDisk) Write(id model.Hash, blob []byte) error { return d.s.PutBlob(id, blob, false) }

func (d boltDisk) Sync(id model.Hash) error {
	if err := d.s.SyncBlobs(id); !errors.Is(err, store.ErrMissing) {
		return err
	}
	return nil
}

// putEntry puts an entry into the outbox. What the one before it has beside its
// envelope is added to gone.
func (d boltDisk) putEntry(tx *store.Tx, task string, e *member.Entry, envelope []byte, gone []model.Hash) ([]model.Hash, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return gone, fmt.Errorf("site: outbox of task %s: %w", task, err)
	}
	if gone, err = d.offered(tx, task, e.Round, gone); err != nil {
		return gone, err
	}
	return gone, errors.Join(
		tx.Put(store.Round, roundKey(task, entryKey, e.Round), b),
		tx.Put(store.Outbox, roundKey(task, "", e.Round), envelope))
}

func (d boltDisk) Envelope(task string, round uint64) (b []byte, err error) {
	err = d.s.View(func(tx *store.Tx) error {
		b, err = tx.Get(store.Outbox, roundKey(task, "", round))
		if err == nil && b == nil {
			err = fmt.Errorf("site: task %s: no envelope of round %d in the outbox", task, round)
		}
		return err
	})
	return b, err
}

// offered adds what the entry of a round keeps beside its envelope to list.
func (d boltDisk) offered(tx *store.Tx, task string, round uint64, list []model.Hash) ([]model.Hash, error) {
	b, err := tx.Get(store.Round, roundKey(task, entryKey, round))
	if err != nil || b == nil {
		return list, err
	}
	var e member.Entry
	if err := json.Unmarshal(b, &e); err != nil {
		return list, fmt.Errorf("site: outbox of task %s: %w", task, err)
	}
	if e.Blob == (wire.BlobKey{}) {
		return list, nil
	}
	return append(list, e.Content), nil
}

func (d boltDisk) Update(id model.Hash) ([]byte, error) { return d.s.Blob(id) }

func (d boltDisk) Part(id model.Hash, b []byte, off int64) error {
	r, err := d.s.OpenBlob(id)
	if err != nil {
		return err
	}
	if _, err := r.ReadAt(b, off); err != nil {
		return fmt.Errorf("%w: blob %v: %w", store.ErrCorrupt, id, errors.Join(err, r.Close()))
	}
	return r.Close()
}
