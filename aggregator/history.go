package aggregator

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// workInit is the work of record 0.
const workInit = "init"

// genesis makes record 0: version 0 of the model.
func (t *task) genesis() error {
	if t.cfg.Begun {
		return errors.New("model: its file is not there, and the task has not begun in this data directory")
	}
	id := t.cfg.Init.ContentID()
	if err := t.a.store.PutBlob(id, t.cfg.Init.Blob, true); err != nil {
		return err
	}
	raws, err := t.rawRecords()
	if err != nil {
		return err
	}
	if len(raws) > 0 { // a crash before the first state was saved
		first, err := record.Decode(raws[0])
		if err == nil && first.Model != id {
			err = fmt.Errorf("model: %s is not %s, which the task in this data directory began with", id, first.Model)
		}
		return errors.Join(err, t.chain(raws))
	}
	about, err := t.describe()
	if err != nil {
		return err
	}
	now := t.a.nowMS()
	raw, err := t.encode(record.Record{
		Verdict: record.Committed, Work: workInit, Model: id, Epoch: 0, OrderHash: record.Hash(about),
		OpenedMS: now, ClosedMS: now, CommittedMS: now, Reason: "init",
	})
	if err != nil {
		return err
	}
	schema := t.schema
	if err := t.a.store.Update(func(tx *store.Tx) error {
		if err := tx.Put(store.Task, t.schemaKey(), schema[:]); err != nil {
			return err
		}
		return tx.PutRecord(t.cfg.Name, 0, 0, raw)
	}); err != nil {
		return err
	}
	t.prev = record.Hash(raw)
	t.exportDescription(about)
	t.recorded(0, 0, raw)
	return nil
}

// describe returns the task's description, which record 0 names (RC-16).
func (t *task) describe() ([]byte, error) {
	return record.Describe(t.topics.Node(), t.cfg.Name, t.cfg.Init.Schema).Encode()
}

// described holds the configured model against the description that record 0
// names: rules are no part of a schema's hash. Older tasks name none.
func (t *task) described(first []byte) error {
	r, err := record.Decode(first)
	if err != nil || r.OrderHash.IsZero() {
		return err
	}
	about, err := t.describe()
	if err != nil {
		return err
	}
	if record.Hash(about) != r.OrderHash {
		return errors.New("model: the rules of its tensors are not those which the task in this data directory began with; other rules are a new task")
	}
	t.exportDescription(about)
	if id := t.cfg.Init.ContentID(); r.Work == workInit && r.Round == 0 && id != r.Model && !t.cfg.Begun {
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

// rawRecords reads all records of the task.
func (t *task) rawRecords() (raws [][]byte, err error) {
	err = t.a.store.View(func(tx *store.Tx) error {
		return tx.RecordsOf(t.cfg.Name, 0, func(_ uint64, _ uint32, raw []byte) error {
			raws = append(raws, raw)
			return nil
		})
	})
	return raws, err
}

// loadRecords checks the chain and takes up where it ends.
func (t *task) loadRecords() error {
	raws, err := t.rawRecords()
	if err != nil {
		return err
	}
	return t.chain(raws)
}

func (t *task) chain(raws [][]byte) error {
	if len(raws) == 0 {
		return errors.New("there is a state, but no record")
	}
	var c record.Chain
	var r record.Record
	for _, raw := range raws {
		var err error
		if r, err = c.Next(raw); err != nil {
			return err
		}
		if r.Verdict != record.Abandoned && r.Round > 0 && t.a.store.HasBlob(r.Base) {
			t.versions = append(t.versions, r.Base)
		}
		if t.cfg.KeepUpdates == KeepAll {
			for _, e := range r.Entries {
				t.stay(e.Content)
			}
		}
		t.export(r.Round, r.Attempt, raw)
		t.note(r)
		t.course(r)
	}
	if r.Owner != t.topics.Node() {
		return fmt.Errorf("the records in this data directory are of the owner %q, not of %q", r.Owner, t.topics.Node())
	}
	if err := t.described(raws[0]); err != nil {
		return err
	}
	t.prev = c.Tip()
	head, err := record.HeadOf(raws[len(raws)-1], t.signer())
	if err != nil {
		return err
	}
	t.set(ownHead, t.topics.Record(), head)
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
