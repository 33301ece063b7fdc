package aggregator

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
)

// loadOrigin reads the task's origin, or draws it: when the task begins, and for
// one whose disk is of a version that had none.
func (t *task) loadOrigin() error {
	key, known := store.Key(t.cfg.Name, "origin"), false
	if err := t.a.store.View(func(tx *store.Tx) error {
		had, err := tx.Get(store.Task, key)
		if known = had != nil; err != nil || !known {
			return err
		}
		if copy(t.origin[:], had) != len(t.origin) || len(had) != len(t.origin) {
			return fmt.Errorf("origin on disk has %d bytes, want %d", len(had), len(t.origin))
		}
		return nil
	}); err != nil || known {
		return err
	}
	t.a.cfg.Rand(t.origin[:])
	return t.a.store.Update(func(tx *store.Tx) error { return tx.Put(store.Task, key, t.origin[:]) })
}
