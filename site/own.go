package site

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
)

// own names the file of the tensors that a site keeps for itself (S-56).
type own struct {
	Content model.Hash   `json:"content"`
	Schema  model.Schema `json:"schema"`
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
	id := r.own.ContentID()
	if err := s.disk.Write(id, r.own.Blob); err != nil {
		return err
	}
	if err := s.disk.Sync(id); err != nil {
		return err
	}
	f := t.left()
	f.Own = &own{Content: id, Schema: r.own.Schema}
	s.setFeedback(t, f)
	return nil
}
