package site

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// inState is up to which size a model's bytes are a value of state.db, written in
// the transaction that names them. To make, rename and remove a file in each round
// costs a small site more than all its other work.
const inState = 128 << 10

// PutModel writes a blob unsynced: it is fetched again if a power loss takes it.
func (d boltDisk) PutModel(task string, id model.Hash, m *model.Model) error {
	l := layout{Content: id, Schema: m.Schema}
	if l.InState = len(m.Blob) <= inState; l.InState {
		return d.use(task, l, m.Blob)
	}
	if err := d.s.PutBlob(id, m.Blob, false); err != nil {
		return err
	}
	return d.use(task, l, nil)
}

func (d boltDisk) Receive(size int64) (incoming, error) { return d.s.NewPartial(size) }

func (d boltDisk) KeepModel(task string, id model.Hash, s model.Schema, cut wire.Blob, in incoming) error {
	p, ok := in.(*store.Partial)
	if !ok || p.Size() != int64(s.Bytes()) {
		return errors.Join(fmt.Errorf("%w: not the size of the schema", store.ErrCorrupt), in.Discard())
	}
	b, err := p.Commit(id, false)
	if err != nil {
		return err
	}
	if err := d.use(task, layout{Content: id, Schema: s, Cut: &cut}, nil); err != nil {
		return err
	}
	d.fresh.put(id, b)
	return nil
}

// use makes a model that of a task, in place of the one before: a stored blob, or
// the bytes given.
func (d boltDisk) use(task string, l layout, inState []byte) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("site: model of task %s: %w", task, err)
	}
	var old layout
	err = d.s.Update(func(tx *store.Tx) (err error) {
		if old, err = d.layout(tx, task); err != nil {
			return err
		}
		if l.InState {
			err = tx.Put(store.Task, store.Key(task, bytesKey), inState)
		} else if old.InState {
			err = tx.Delete(store.Task, store.Key(task, bytesKey))
		}
		return errors.Join(err, tx.Put(store.Task, store.Key(task, modelKey), b))
	})
	if err != nil || old.Content.IsZero() || old.InState {
		return err
	}
	return d.release(old.Content)
}

// bytesOf reads a task's model, and holds it against its name.
func (d boltDisk) bytesOf(task string, l layout) (b []byte, err error) {
	if !l.InState {
		return d.s.Blob(l.Content)
	}
	err = d.s.View(func(tx *store.Tx) (err error) { b, err = tx.Get(store.Task, store.Key(task, bytesKey)); return err })
	if err == nil && model.HashOf(b) != l.Content {
		err = fmt.Errorf("%w: model of task %s", store.ErrCorrupt, task)
	}
	return b, err
}

// has reports whether a task's model can be read whole.
func (d boltDisk) has(task string, l layout) bool {
	if !l.InState {
		return d.s.HasBlob(l.Content)
	}
	_, err := d.bytesOf(task, l)
	return err == nil
}

func (d boltDisk) Model(task string) (*model.Model, model.Hash, error) {
	var l layout
	if err := d.s.View(func(tx *store.Tx) (err error) { l, err = d.layout(tx, task); return err }); err != nil {
		return nil, l.Content, err
	}
	blob := d.fresh.take(l.Content)
	if blob == nil {
		var err error
		if blob, err = d.bytesOf(task, l); err != nil {
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
