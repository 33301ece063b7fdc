package site

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// disk is what a site keeps. Errors that wrap store.ErrMissing or
// store.ErrCorrupt say that a model is to be fetched again; all others end the
// site.
type disk interface {
	// Load returns what was saved of a task, zero at the first start.
	Load(task string) (saved, error)
	// Save makes the state durable (nil: unchanged) and drops outbox entries,
	// in one transaction.
	Save(task string, st *state, drop []uint64) error
	// PutEntry makes an entry and its envelope durable.
	PutEntry(task string, e entry, envelope []byte) error
	// Envelope returns the bytes of an entry.
	Envelope(task string, round uint64) ([]byte, error)
	// PutModel keeps a model in place of the one before.
	PutModel(task string, id model.ContentID, m *model.Model) error
	// Model returns the model kept.
	Model(task string) (*model.Model, error)
	Close() error
}

// saved is a task as it stood.
type saved struct {
	State   state
	Entries []entry
	Model   stored
}

// boltDisk is the disk of a data directory.
type boltDisk struct{ s *store.Store }

// openDisk opens the data directory of a node and removes models that no task
// keeps.
func openDisk(dir, node string) (boltDisk, error) {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return boltDisk{}, err
	}
	d := boltDisk{s}
	err = d.claim(dir, node)
	if err == nil {
		err = d.sweep()
	}
	if err != nil {
		return boltDisk{}, errors.Join(err, s.Close())
	}
	return d, nil
}

// sweepAfter is how old an unnamed blob is when it goes.
const sweepAfter = time.Hour

// claim makes sure that a directory serves one node: what is in its outbox was
// made for that node's topics.
func (d boltDisk) claim(dir, node string) error {
	return d.s.Update(func(tx *store.Tx) error {
		had, err := tx.Get(store.Meta, nodeKey)
		switch {
		case err != nil:
			return err
		case had == nil:
			return tx.Put(store.Meta, nodeKey, []byte(node))
		case string(had) != node:
			return fmt.Errorf("site: data directory %s belongs to %s, not to %s", dir, had, node)
		}
		return nil
	})
}

func (d boltDisk) sweep() error {
	kept, err := d.kept()
	if err != nil {
		return err
	}
	_, err = d.s.Sweep(func(id [32]byte) bool { return kept[id] }, sweepAfter)
	return err
}

// kept names the models of all tasks.
func (d boltDisk) kept() (map[model.ContentID]bool, error) {
	kept := map[model.ContentID]bool{}
	err := d.s.View(func(tx *store.Tx) error {
		return tx.ForEach(store.Task, "", func(_ string, val []byte) error {
			var l layout
			if err := json.Unmarshal(val, &l); err != nil {
				return fmt.Errorf("site: model of a task: %w", err)
			}
			kept[l.Content] = true
			return nil
		})
	})
	return kept, err
}

// layout names a stored model: its blob and how to read it.
type layout struct {
	Content model.ContentID `json:"content"`
	Schema  model.Schema    `json:"schema"`
}

const (
	nodeKey  = "node"
	modelKey = "model"
	entryKey = "entry"
)

func roundKey(task, name string, round uint64) string {
	return store.Key(task, name+string(binary.BigEndian.AppendUint64(nil, round)))
}

func (d boltDisk) Load(task string) (s saved, err error) {
	err = d.s.View(func(tx *store.Tx) error {
		b, err := tx.State(task)
		if err != nil {
			return err
		}
		if b != nil {
			if err := json.Unmarshal(b, &s.State); err != nil {
				return fmt.Errorf("site: state of task %s: %w", task, err)
			}
		}
		l, err := d.layout(tx, task)
		if err != nil {
			return err
		}
		if !l.Content.IsZero() {
			s.Model = stored{Content: l.Content, Schema: l.Schema.Hash()}
		}
		return tx.ForEach(store.Round, store.Key(task, entryKey), func(_ string, val []byte) error {
			var e entry
			if err := json.Unmarshal(val, &e); err != nil {
				return fmt.Errorf("site: outbox of task %s: %w", task, err)
			}
			s.Entries = append(s.Entries, e)
			return nil
		})
	})
	if err == nil && s.Model != (stored{}) && !d.s.HasBlob(s.Model.Content) {
		s.Model = stored{}
	}
	return s, err
}

func (d boltDisk) layout(tx *store.Tx, task string) (l layout, err error) {
	b, err := tx.Get(store.Task, store.Key(task, modelKey))
	if err != nil || b == nil {
		return l, err
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("site: model of task %s: %w", task, err)
	}
	return l, nil
}

func (d boltDisk) Save(task string, st *state, drop []uint64) error {
	return d.s.Update(func(tx *store.Tx) error {
		for _, round := range drop {
			if err := tx.Delete(store.Round, roundKey(task, entryKey, round)); err != nil {
				return err
			}
			if err := tx.DropOutbox(roundKey(task, "", round)); err != nil {
				return err
			}
		}
		if st == nil {
			return nil
		}
		b, err := json.Marshal(st)
		if err != nil {
			return fmt.Errorf("site: state of task %s: %w", task, err)
		}
		return tx.PutState(task, b)
	})
}

func (d boltDisk) PutEntry(task string, e entry, envelope []byte) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("site: outbox of task %s: %w", task, err)
	}
	return d.s.Update(func(tx *store.Tx) error {
		if err := tx.Put(store.Round, roundKey(task, entryKey, e.Round), b); err != nil {
			return err
		}
		return tx.PutOutbox(roundKey(task, "", e.Round), envelope)
	})
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

// PutModel writes the blob unsynced: it is fetched again if a power loss takes
// it.
func (d boltDisk) PutModel(task string, id model.ContentID, m *model.Model) error {
	var old layout
	if err := d.s.View(func(tx *store.Tx) (err error) { old, err = d.layout(tx, task); return err }); err != nil {
		return err
	}
	if err := d.s.PutBlob(id, m.Blob, false); err != nil {
		return err
	}
	b, err := json.Marshal(layout{Content: id, Schema: m.Schema})
	if err != nil {
		return fmt.Errorf("site: model of task %s: %w", task, err)
	}
	if err := d.s.Update(func(tx *store.Tx) error { return tx.Put(store.Task, store.Key(task, modelKey), b) }); err != nil {
		return err
	}
	kept, err := d.kept()
	if err != nil || old.Content.IsZero() || kept[old.Content] {
		return err
	}
	return d.s.RemoveBlob(old.Content)
}

func (d boltDisk) Model(task string) (*model.Model, error) {
	var l layout
	if err := d.s.View(func(tx *store.Tx) (err error) { l, err = d.layout(tx, task); return err }); err != nil {
		return nil, err
	}
	blob, err := d.s.Blob(l.Content)
	if err != nil {
		return nil, err
	}
	schema, err := model.NewSchema(l.Schema...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	m := &model.Model{Schema: schema, Blob: blob}
	return m, m.Check()
}

func (d boltDisk) Close() error { return d.s.Close() }
