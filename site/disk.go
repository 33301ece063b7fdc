package site

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// disk is what a site keeps. Errors that wrap store.ErrMissing or
// store.ErrCorrupt say that a model is to be fetched again; all others end the
// site.
type disk interface {
	// Identity returns what SetIdentity has saved, zero at the first start.
	Identity() (wire.Nonce, error)
	SetIdentity(id wire.Nonce) error
	// Load returns what was saved of a task, zero at the first start.
	Load(task string) (saved, error)
	// Save makes the state durable (nil: unchanged) and drops outbox entries,
	// in one transaction.
	Save(task string, st *member.State, drop []uint64) error
	// PutUpdate makes the bytes of an update durable that will be offered, and
	// returns their content id. The entry that names them follows.
	PutUpdate(blob []byte) (model.Hash, error)
	// PutEntry makes an entry and its envelope durable.
	PutEntry(task string, e member.Entry, envelope []byte) error
	// Envelope returns the bytes of an entry.
	Envelope(task string, round uint64) ([]byte, error)
	// Update returns the bytes of an offered update, whole and checked.
	Update(id model.Hash) ([]byte, error)
	// Part reads len(b) bytes of an offered update from off on, unchecked.
	Part(id model.Hash, b []byte, off int64) error
	// PutModel keeps a model in place of the one before.
	PutModel(task string, id model.Hash, m *model.Model) error
	// Receive makes room for a model that comes in parts.
	Receive(size int64) (incoming, error)
	// KeepModel is PutModel of what was received. Other bytes than id names are
	// store.ErrCorrupt; in is used up in any case.
	KeepModel(task string, id model.Hash, s model.Schema, in incoming) error
	// Model returns the model kept, and its content id, checked.
	Model(task string) (*model.Model, model.Hash, error)
	Close() error
}

// incoming is a model whose parts are on their way.
type incoming interface {
	WriteAt(b []byte, off int64) (int, error)
	Discard() error
}

// isGone reports whether a model or an update must be made or fetched again,
// rather than the disk be given up.
func isGone(err error) bool {
	return !errors.Is(err, store.ErrDisk)
}

// saved is a task as it stood.
type saved struct {
	State   member.State
	Entries []member.Entry
	Model   member.Stored
}

// boltDisk is the disk of a data directory.
type boltDisk struct {
	s     *store.Store
	fresh *fresh
}

// openDisk opens the data directory of a node and removes models that no task
// keeps.
func openDisk(dir, node string) (boltDisk, error) {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return boltDisk{}, err
	}
	d := boltDisk{s, &fresh{}}
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

func (d boltDisk) Identity() (id wire.Nonce, err error) {
	err = d.s.View(func(tx *store.Tx) error {
		b, err := tx.Get(store.Meta, diskKey)
		if err != nil || b == nil {
			return err
		}
		if copy(id[:], b) != len(id) || len(b) != len(id) {
			return fmt.Errorf("site: identity of %d bytes, want %d", len(b), len(id))
		}
		return nil
	})
	return id, err
}

func (d boltDisk) SetIdentity(id wire.Nonce) error {
	return d.s.Update(func(tx *store.Tx) error { return tx.Put(store.Meta, diskKey, id[:]) })
}

func (d boltDisk) sweep() error {
	kept, err := d.kept()
	if err != nil {
		return err
	}
	_, err = d.s.Sweep(func(id [32]byte) bool { return kept[id] }, sweepAfter)
	return err
}

// kept names the blobs in use: the models of all tasks and the updates offered
// in their outboxes.
func (d boltDisk) kept() (map[model.Hash]bool, error) {
	kept := map[model.Hash]bool{}
	err := d.s.View(func(tx *store.Tx) error {
		err := tx.ForEach(store.Task, "", func(key string, val []byte) error {
			if _, name, _ := strings.Cut(key, "\x00"); name != modelKey {
				return nil // the bytes of a small model
			}
			var l layout
			if err := json.Unmarshal(val, &l); err != nil {
				return fmt.Errorf("site: model of a task: %w", err)
			}
			if !l.InState {
				kept[l.Content] = true
			}
			return nil
		})
		return errors.Join(err, tx.ForEach(store.Round, "", func(key string, val []byte) error {
			if _, name, _ := strings.Cut(key, "\x00"); !strings.HasPrefix(name, entryKey) {
				return nil // the state of a task
			}
			var e member.Entry
			if err := json.Unmarshal(val, &e); err != nil {
				return fmt.Errorf("site: outbox of a task: %w", err)
			}
			if e.Blob != (wire.BlobKey{}) {
				kept[e.Content] = true
			}
			return nil
		}))
	})
	return kept, err
}

// release removes blobs that nothing names any more.
func (d boltDisk) release(ids ...model.Hash) error {
	if len(ids) == 0 {
		return nil
	}
	kept, err := d.kept()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if kept[id] {
			continue
		}
		if err := d.s.RemoveBlob(id); err != nil {
			return err
		}
	}
	return nil
}

// layout names a stored model: where its bytes are and how to read them.
type layout struct {
	Content model.Hash   `json:"content"`
	Schema  model.Schema `json:"schema"`
	InState bool         `json:"in_state,omitempty"` // under bytesKey; else they are a blob
}

const (
	nodeKey  = "node"
	diskKey  = "disk"
	modelKey = "model"
	bytesKey = "bytes"
	entryKey = "entry"
)

func roundKey(task, name string, round uint64) string {
	return store.Key(task, name+string(binary.BigEndian.AppendUint64(nil, round)))
}

func (d boltDisk) Load(task string) (s saved, err error) {
	var l layout
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
		if l, err = d.layout(tx, task); err != nil {
			return err
		}
		if !l.Content.IsZero() {
			s.Model = member.Stored{Content: l.Content, Schema: l.Schema.Hash()}
		}
		return tx.ForEach(store.Round, store.Key(task, entryKey), func(_ string, val []byte) error {
			var e member.Entry
			if err := json.Unmarshal(val, &e); err != nil {
				return fmt.Errorf("site: outbox of task %s: %w", task, err)
			}
			s.Entries = append(s.Entries, e)
			return nil
		})
	})
	if err == nil && s.Model != (member.Stored{}) && !d.has(task, l) {
		s.Model = member.Stored{}
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

func (d boltDisk) Save(task string, st *member.State, drop []uint64) error {
	var gone []model.Hash
	err := d.s.Update(func(tx *store.Tx) error {
		for _, round := range drop {
			var err error
			if gone, err = d.offered(tx, task, round, gone); err != nil {
				return err
			}
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
	if err != nil {
		return err
	}
	return d.release(gone...)
}

func (d boltDisk) Close() error { return d.s.Close() }
