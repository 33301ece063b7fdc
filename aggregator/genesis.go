package aggregator

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// genesis makes record 0: version 0 of the model.
func (t *task) genesis() error {
	if t.cfg.Begun {
		return errors.New("model: its file is not there, and the task has not begun in this data directory")
	}
	id := t.cfg.Init.ContentID()
	if err := t.a.store.PutBlob(id, t.cfg.Init.Blob, true); err != nil {
		return err
	}
	if first, found, err := t.keeping.first(); found || err != nil { // a crash before the first state was saved
		if err == nil && first.Model != first.ContentOf(t.cfg.Init.Blob) {
			err = fmt.Errorf("model: %s is not %s, which the task in this data directory began with", id, first.Model)
		}
		return errors.Join(err, t.loadRecords(nil))
	}
	about, err := t.describe()
	if err != nil {
		return err
	}
	now := t.a.nowMS()
	r, err := t.sealed(record.Record{
		Verdict: record.Committed, Work: workInit, Model: id, Epoch: 0, OrderHash: record.Hash(about),
		OpenedMS: now, ClosedMS: now, CommittedMS: now, Reason: "init",
	}, model.Hash{})
	if err != nil {
		return err
	}
	schema := t.schema
	if err := t.a.store.Update(func(tx *store.Tx) error {
		if err := tx.Put(store.Task, t.schemaKey(), schema[:]); err != nil {
			return err
		}
		return t.keeping.write(tx, r)
	}); err != nil {
		return err
	}
	t.keeping.exportDescription(about)
	t.recorded(r)
	return t.tellRecords()
}

// describe returns the task's description, which record 0 names (RC-16).
func (t *task) describe() ([]byte, error) {
	return record.Describe(t.topics.Node(), t.cfg.Name, t.cfg.Init.Schema).Encode()
}

// described holds the configured model against the description that record 0
// names: rules are no part of a schema's hash. Older tasks name none.
func (t *task) described(r record.Record) error {
	if r.OrderHash.IsZero() {
		return nil
	}
	about, err := t.describe()
	if err != nil {
		return err
	}
	if record.Hash(about) != r.OrderHash {
		return errors.New("model: the rules of its tensors are not those which the task in this data directory began with; other rules are a new task")
	}
	t.keeping.exportDescription(about)
	if id := r.ContentOf(t.cfg.Init.Blob); r.Work == workInit && r.Round == 0 && id != r.Model && !t.cfg.Begun {
		t.log.Warn().Stringer("began_with", r.Model).Stringer("configured", id).Msg("model: the configuration has other values than those that this task began with, " +
			"which have no effect any more: other first values are a new task")
	}
	return nil
}

func (t *task) schemaKey() string { return store.Key(t.cfg.Name, "schema") }

// checkSchema holds the configured model against the one that the task began
// with: the blobs on disk say nothing of shapes.
func (t *task) checkSchema() error {
	return t.a.store.View(func(tx *store.Tx) error {
		had, err := tx.Get(store.Task, t.schemaKey())
		if err != nil || had == nil || bytes.Equal(had, t.schema[:]) {
			return err
		}
		return fmt.Errorf("model: the schema %x is not %x, which the task in this data directory began with; a new schema is a new task",
			t.schema[:8], had[:min(len(had), 8)])
	})
}

// loadRecords takes up where the records end.
func (t *task) loadRecords(journal []entry) error {
	open := map[model.Hash]bool{}
	for _, e := range journal {
		open[e.Content] = true
	}
	first, last, err := t.keeping.load(open)
	if err != nil {
		return err
	}
	if last.Owner != t.topics.Node() {
		return fmt.Errorf("the records in this data directory are of the owner %q, not of %q", last.Owner, t.topics.Node())
	}
	t.last, t.plain = summarize(last.Record), last.IDs == ""
	return errors.Join(t.described(first), t.setHead(last))
}

// loadState reads what strategy and server optimiser have left with the newest
// version.
func (t *task) loadState() (err error) {
	v := t.keeping.versions
	if len(v) == 0 || v[len(v)-1].state.IsZero() {
		return nil
	}
	t.sum.stateID = v[len(v)-1].state
	if t.sum.state, err = t.a.store.Blob(t.sum.stateID); err != nil {
		return fmt.Errorf("state of strategy and optimiser %s: %w", t.sum.stateID, err)
	}
	return nil
}

// loadBase reads the open round's base model from its blob.
func (t *task) loadBase() error {
	blob, err := t.a.store.Blob(t.state.Base)
	if err != nil {
		return fmt.Errorf("base model %s: %w", t.state.Base, err)
	}
	t.base = &model.Model{Schema: t.cfg.Init.Schema, Blob: blob}
	return t.base.Check()
}
