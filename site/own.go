package site

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// own names the file of the tensors that a site keeps for itself (S-56).
type own struct {
	Content model.Hash   `json:"content"`
	Schema  model.Schema `json:"schema"`
}

// begins reports that the site has no tensors of its own in a task that others have trained
// for: it is new, or has lost them. The first round may be one of statistics.
func (j *job) begins(base *model.Model) bool {
	first := uint64(1)
	if base.Schema.Index(model.ZMeanName) >= 0 {
		first = 2
	}
	return !j.Locals.IsZero() && j.left().Own == nil && j.Round > first
}

// settleIn puts the site's own tensors into a base, in the places of those that it came
// with. At first, and where one has another form now, those of the base stay.
func (j *job) settleIn(base *model.Model) error {
	if j.Locals.IsZero() {
		return nil
	}
	is := j.left().Own
	if is == nil {
		return nil
	}
	j.kept() // the base, as it came, has its file
	blob, err := j.rest(is.Content)
	if err != nil && !isGone(err) {
		return err
	}
	mine := &model.Model{Schema: is.Schema, Blob: blob}
	if err == nil {
		err = mine.Check()
	}
	if err != nil {
		return fmt.Errorf("the tensors that this site keeps for itself cannot be read: %w; without its data_dir the site begins with those of the model", err)
	}
	for _, spec := range j.Locals.Own(base.Schema) {
		i := mine.Schema.Index(spec.Name)
		if i >= 0 && (model.Schema{mine.Schema[i]}).Equal(model.Schema{spec}) {
			copy(base.Bytes(spec.Name), mine.Bytes(spec.Name))
		}
	}
	return nil
}

// take notes the tensors of a trained model that stay here.
func (r *result) take(j *job, local *model.Model) {
	s := j.Locals.Own(local.Schema)
	if len(s) == 0 {
		return
	}
	r.own = &model.Model{Schema: s}
	for _, spec := range s {
		r.own.Blob = append(r.own.Blob, local.Bytes(spec.Name)...)
	}
}

// keepOwn writes the tensors that stay here. They become the site's in the transaction
// that has their update.
func (s *site) keepOwn(t *task, r *result) error {
	if r.own == nil {
		return nil
	}
	id, err := s.durable(r.own.Blob)
	if err != nil {
		return err
	}
	f := t.left()
	f.Own = &own{Content: id, Schema: r.own.Schema}
	s.setFeedback(t, f)
	return nil
}

// Own reads the tensors that a site keeps for itself in a task (S-56) from its data
// directory, in which no site runs, and the node that the directory is of. The model is nil
// where there are none.
func Own(dir, task string) (node string, m *model.Model, err error) {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	node, f, err := privateOf(s, task)
	if err != nil || f.Own == nil {
		return node, nil, err
	}
	blob, err := s.Blob(f.Own.Content)
	if err != nil {
		return node, nil, err
	}
	m = &model.Model{Schema: f.Own.Schema, Blob: blob}
	return node, m, m.Check()
}

// privateOf reads what a data directory has of a task that never leaves it, and whose it is.
func privateOf(s *store.Store, task string) (node string, f private, err error) {
	err = s.View(func(tx *store.Tx) error {
		name, err := tx.Get(store.Meta, nodeKey)
		if err != nil {
			return err
		}
		node = string(name)
		f, err = leftOf(tx, task)
		return err
	})
	return node, f, err
}
