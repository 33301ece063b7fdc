package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// PutModel writes the blob unsynced: it is fetched again if a power loss takes
// it.
func (d boltDisk) PutModel(task string, id model.ContentID, m *model.Model) error {
	if err := d.s.PutBlob(id, m.Blob, false); err != nil {
		return err
	}
	return d.use(task, layout{Content: id, Schema: m.Schema})
}

func (d boltDisk) Receive(size int64) (incoming, error) { return d.s.NewPartial(size) }

func (d boltDisk) KeepModel(task string, id model.ContentID, s model.Schema, in incoming) error {
	p, ok := in.(*store.Partial)
	if !ok || p.Size() != int64(s.Bytes()) {
		return errors.Join(fmt.Errorf("%w: not the size of the schema", store.ErrCorrupt), in.Discard())
	}
	b, err := p.Commit(id, false)
	if err != nil {
		return err
	}
	if err := d.use(task, layout{Content: id, Schema: s}); err != nil {
		return err
	}
	d.fresh.put(id, b)
	return nil
}

// fresh is the model that was put together last, until its job takes it: it was
// read and hashed a moment ago. One is kept, whatever the number of tasks.
type fresh struct {
	mu   sync.Mutex
	id   model.ContentID
	blob []byte
}

func (f *fresh) put(id model.ContentID, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id, f.blob = id, b
}

// take returns the bytes if they are id's, once.
func (f *fresh) take(id model.ContentID) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.id != id {
		return nil
	}
	b := f.blob
	f.id, f.blob = model.ContentID{}, nil
	return b
}

// use makes a stored blob the model of a task, in place of the one before.
func (d boltDisk) use(task string, l layout) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("site: model of task %s: %w", task, err)
	}
	var old layout
	err = d.s.Update(func(tx *store.Tx) (err error) {
		if old, err = d.layout(tx, task); err != nil {
			return err
		}
		return tx.Put(store.Task, store.Key(task, modelKey), b)
	})
	if err != nil || old.Content.IsZero() {
		return err
	}
	return d.release(old.Content)
}

func (d boltDisk) Model(task string) (*model.Model, model.ContentID, error) {
	var l layout
	if err := d.s.View(func(tx *store.Tx) (err error) { l, err = d.layout(tx, task); return err }); err != nil {
		return nil, l.Content, err
	}
	blob := d.fresh.take(l.Content)
	if blob == nil {
		var err error
		if blob, err = d.s.Blob(l.Content); err != nil {
			return nil, l.Content, err
		}
	}
	schema, err := model.NewSchema(l.Schema...)
	if err != nil {
		return nil, l.Content, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	m := &model.Model{Schema: schema, Blob: blob}
	return m, l.Content, m.Check()
}
