package site

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

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
		if s.Left, err = leftOf(tx, task); err != nil {
			return err
		}
		if s.Control, err = controlOf(tx, task); err != nil {
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
		if c.Control != nil {
			if gone, err = d.steer(tx, task, *c.Control, gone); err != nil {
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
		if err = saveLeft(tx, task, c.Feedback); err != nil {
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
	return d.Remove(gone...)
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

func leftOf(tx *store.Tx, task string) (f private, err error) {
	b, err := tx.Get(store.Task, store.Key(task, leftKey))
	if err != nil || b == nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("site: what updates of task %s have left over: %w", task, err)
	}
	return f, nil
}

func saveLeft(tx *store.Tx, task string, f *private) error {
	if f == nil {
		return nil
	}
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("site: what updates of task %s have left over: %w", task, err)
	}
	return tx.Put(store.Task, store.Key(task, leftKey), b)
}

func (d boltDisk) Close() error { return d.s.Close() }

const markKey = "mark"

// markOf is the mark of a task's last transaction, 0: there is none.
func (d boltDisk) markOf(task string) (at uint64, err error) {
	err = d.s.View(func(tx *store.Tx) error {
		b, err := tx.Get(store.Task, store.Key(task, markKey))
		if len(b) == 8 {
			at = binary.LittleEndian.Uint64(b)
		}
		return err
	})
	return at, err
}

// remark gives a transaction its mark: what was jotted down before is in it.
func remark(tx *store.Tx, task string) (*mark, error) {
	m := &mark{at: rand.Uint64() | 1} //nolint:gosec // it need not be a secret
	return m, tx.Put(store.Task, store.Key(task, markKey), binary.LittleEndian.AppendUint64(nil, m.at))
}
