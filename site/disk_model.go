package site

import (
	"bytes"
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

// layoutOf is how a model is kept, with its bytes where they are in the state. One that
// came in parts is a file, of which the next one takes what it has in common (TR-71).
func layoutOf(id model.Hash, m *model.Model, cut *wire.Blob) *keptModel {
	k := &keptModel{layout: layout{Content: id, Schema: m.Schema, Cut: cut}}
	if k.InState = cut == nil && len(m.Blob) <= inState; k.InState {
		k.bytes = bytes.Clone(m.Blob) // an update takes their place
	}
	return k
}

// Receive is for models that are too large to be put together in memory.
func (d boltDisk) Receive(size int64) (incoming, error) {
	p, err := d.s.NewPartial(size)
	return partial{p}, err
}

// partial is a model that comes into a file.
type partial struct{ *store.Partial }

func (p partial) Commit(id model.Hash) ([]byte, bool, error) {
	b, err := p.Partial.Commit(id, false)
	return b, true, err
}

// use makes a model that of a task, in place of the one before, which is added to gone.
func (d boltDisk) use(tx *store.Tx, task string, k *keptModel, gone []model.Hash) ([]model.Hash, error) {
	b, err := json.Marshal(k.layout)
	if err != nil {
		return gone, fmt.Errorf("site: model of task %s: %w", task, err)
	}
	old, err := d.layout(tx, task)
	if err != nil {
		return gone, err
	}
	if k.InState {
		err = tx.Put(store.Task, store.Key(task, bytesKey), k.bytes)
	} else if old.InState {
		err = tx.Delete(store.Task, store.Key(task, bytesKey))
	}
	if !old.Content.IsZero() && !old.InState {
		gone = append(gone, old.Content)
	}
	return gone, errors.Join(err, tx.Put(store.Task, store.Key(task, modelKey), b))
}

// bytesOf reads a task's model, and holds it against its name.
func (d boltDisk) bytesOf(task string, l layout) (b []byte, err error) {
	if !l.InState {
		return d.s.Blob(l.Content)
	}
	err = d.s.View(func(tx *store.Tx) (err error) { b, err = tx.Get(store.Task, store.Key(task, bytesKey)); return err })
	if err == nil && model.ContentOf(b) != l.Content {
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
	blob, err := d.bytesOf(task, l)
	if err != nil {
		return nil, l.Content, err
	}
	schema, err := model.NewSchema(l.Schema...)
	if err != nil {
		return nil, l.Content, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	m := &model.Model{Schema: schema, Blob: blob}
	return m, l.Content, m.Check()
}
