package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// openDisk opens the data directory of a node and removes models that no task
// keeps.
func openDisk(dir, node string) (boltDisk, error) {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return boltDisk{}, err
	}
	d := boltDisk{s, map[string]*mark{}}
	err = d.claim(dir, node)
	if err == nil {
		err = d.redo()
	}
	if err == nil {
		err = d.sweep()
	}
	if err != nil {
		return boltDisk{}, errors.Join(err, s.Close())
	}
	return d, nil
}

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

// sweepAfter is how old an unnamed blob is when it goes.
const sweepAfter = time.Hour

func (d boltDisk) sweep() error {
	used, err := d.inUse()
	if err != nil {
		return err
	}
	_, err = d.s.Sweep(func(id [32]byte) bool { return used[id] }, sweepAfter)
	return err
}

func (d boltDisk) Load(task string) (s saved, err error) {
	var l layout
	err = d.s.View(func(tx *store.Tx) (err error) {
		if err = loadState(tx, task, &s.State); err != nil {
			return err
		}
		if l, err = d.layout(tx, task); err != nil {
			return err
		}
		s.Entries, err = loadEntries(tx, task)
		return err
	})
	if err == nil && !l.Content.IsZero() && d.has(task, l) {
		s.Model = member.Stored{Content: l.Content, Schema: l.Schema.Hash()}
		if l.Cut != nil {
			s.Cut = *l.Cut
		}
	}
	return s, err
}

func loadState(tx *store.Tx, task string, st *member.State) error {
	b, err := tx.State(task)
	if err != nil || b == nil {
		return err
	}
	if err := json.Unmarshal(b, st); err != nil {
		return fmt.Errorf("site: state of task %s: %w", task, err)
	}
	return nil
}

func loadEntries(tx *store.Tx, task string) (list []member.Entry, err error) {
	err = tx.ForEach(store.Round, store.Key(task, entryKey), func(_ string, val []byte) error {
		var e member.Entry
		if err := json.Unmarshal(val, &e); err != nil {
			return fmt.Errorf("site: outbox of task %s: %w", task, err)
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

func (d boltDisk) Save(task string, c change) error {
	gone := slices.Clone(c.Gone)
	var m *mark
	crash.At("outbox.before-fsync")
	err := d.s.Update(func(tx *store.Tx) (err error) {
		for _, round := range c.Drop {
			if gone, err = d.dropEntry(tx, task, round, gone); err != nil {
				return err
			}
		}
		if c.Model != nil {
			if gone, err = d.use(tx, task, c.Model, gone); err != nil {
				return err
			}
		}
		if c.Entry != nil {
			if gone, err = d.putEntry(tx, task, c.Entry, c.Envelope, gone); err != nil {
				return err
			}
		}
		if m, err = remark(tx, task); err != nil {
			return err
		}
		return saveState(tx, task, c.State)
	})
	if err != nil {
		return err
	}
	d.marks[task] = m
	crash.At("outbox.after-tx")
	if len(c.Drop) > 0 {
		crash.At("outbox.dropped")
	}
	return d.release(gone...)
}

// dropEntry removes an entry, and adds what it kept beside its envelope to gone.
func (d boltDisk) dropEntry(tx *store.Tx, task string, round uint64, gone []model.Hash) ([]model.Hash, error) {
	gone, err := d.offered(tx, task, round, gone)
	if err != nil {
		return gone, err
	}
	return gone, errors.Join(tx.Delete(store.Round, roundKey(task, entryKey, round)), tx.Delete(store.Outbox, roundKey(task, "", round)))
}

func saveState(tx *store.Tx, task string, st *member.State) error {
	if st == nil {
		return nil
	}
	b, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("site: state of task %s: %w", task, err)
	}
	return tx.PutState(task, b)
}

func (d boltDisk) Close() error { return d.s.Close() }
