package store

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// Small is up to how many bytes a blob may come with a transaction. Larger ones cost less
// as a file that is written and synced before it.
const Small = 128 << 10

// PutBlob has a small blob become durable with the transaction, under its content id. Its
// file is for others, and follows with [Store.PutBlob], unsynced. The blob stays in the
// state until [Tx.DropBlob]; [Open] makes its file where it is not there or not whole.
func (tx *Tx) PutBlob(id [32]byte, data []byte) error {
	if len(data) > Small {
		return fmt.Errorf("store: blob %x has %d bytes, %d go with a transaction", id, len(data), Small)
	}
	return tx.Put(Fresh, string(id[:]), data)
}

// DropBlob takes a blob out of the state: its file is synced, or nothing needs it.
func (tx *Tx) DropBlob(id [32]byte) error { return tx.Delete(Fresh, string(id[:])) }

// settleFresh makes durable files of the blobs that an earlier life left in the state.
func (s *Store) settleFresh() error {
	left := map[[32]byte][]byte{}
	err := s.View(func(tx *Tx) error {
		return tx.ForEach(Fresh, "", func(key string, data []byte) error {
			id := [32]byte(model.ContentOf(data))
			if key != string(id[:]) {
				return fmt.Errorf("%w: %s has other bytes than its key %x says", ErrCorrupt, Fresh, key)
			}
			left[id] = data
			return nil
		})
	})
	if err != nil || len(left) == 0 {
		return err
	}
	for id, data := range left {
		if s.HasBlob(id) {
			err = s.SyncBlobs(id)
		} else {
			err = s.PutBlob(id, data, true)
		}
		if err != nil {
			return err
		}
	}
	return s.Update(func(tx *Tx) (err error) {
		for id := range left {
			err = errors.Join(err, tx.DropBlob(id))
		}
		return err
	})
}
