package site

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// controlOf names the control variates of a task, zero where there are none.
func controlOf(tx *store.Tx, task string) (id model.Hash, err error) {
	b, err := tx.Get(store.Task, store.Key(task, controlKey))
	if err != nil || b == nil {
		return id, err
	}
	if len(b) != len(id) {
		return id, fmt.Errorf("site: control variates of task %s: %d bytes", task, len(b))
	}
	return model.Hash(b), nil
}

// steer makes control variates those of a task. Those before are added to gone.
func (d boltDisk) steer(tx *store.Tx, task string, id model.Hash, gone []model.Hash) ([]model.Hash, error) {
	was, err := controlOf(tx, task)
	if err != nil || was == id {
		return gone, err
	}
	if !was.IsZero() {
		gone = append(gone, was)
	}
	if id.IsZero() {
		return gone, tx.Delete(store.Task, store.Key(task, controlKey))
	}
	return gone, tx.Put(store.Task, store.Key(task, controlKey), id[:])
}
