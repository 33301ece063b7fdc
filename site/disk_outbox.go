package site

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// PutUpdate syncs: what is offered can be sent after a power loss (S-22).
func (d boltDisk) PutUpdate(blob []byte) (model.Hash, error) { return d.s.AddBlob(blob, true) }

func (d boltDisk) PutEntry(task string, e member.Entry, envelope []byte) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("site: outbox of task %s: %w", task, err)
	}
	var gone []model.Hash
	crash.At("outbox.before-fsync")
	err = d.s.Update(func(tx *store.Tx) error {
		var err error
		if gone, err = d.offered(tx, task, e.Round, gone); err != nil {
			return err
		}
		if err := tx.Put(store.Round, roundKey(task, entryKey, e.Round), b); err != nil {
			return err
		}
		return tx.Put(store.Outbox, roundKey(task, "", e.Round), envelope)
	})
	if err != nil {
		return err
	}
	crash.At("outbox.after-tx")
	return d.release(gone...)
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
