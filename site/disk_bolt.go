package site

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// boltDisk is the disk of a data directory.
type boltDisk struct {
	s     *store.Store
	marks map[string]*mark // by task, of this life
}

const (
	nodeKey  = "node"
	diskKey  = "disk"
	modelKey = "model"
	bytesKey = "bytes"
	entryKey = "entry"
	leftKey  = "left"

	controlKey = "control"
)

func roundKey(task, name string, round uint64) string {
	return store.Key(task, name+string(binary.BigEndian.AppendUint64(nil, round)))
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

// inUse names the blobs that something needs: the models of all tasks, what their updates
// have left over, and the updates offered in their outboxes.
func (d boltDisk) inUse() (map[model.Hash]bool, error) {
	used := map[model.Hash]bool{}
	err := d.s.View(func(tx *store.Tx) error {
		return errors.Join(modelsInUse(tx, used), updatesInUse(tx, used))
	})
	return used, err
}

func modelsInUse(tx *store.Tx, used map[model.Hash]bool) error {
	return tx.ForEach(store.Task, "", func(key string, val []byte) error {
		switch _, name, _ := strings.Cut(key, "\x00"); name {
		case modelKey:
		case controlKey:
			used[model.Hash(val)] = true
			return nil
		case leftKey:
			var f private
			if err := json.Unmarshal(val, &f); err != nil {
				return fmt.Errorf("site: what updates of a task have left over: %w", err)
			}
			for _, id := range f.files() {
				used[id] = true
			}
			return nil
		default:
			return nil // the bytes of a small model
		}
		var l layout
		if err := json.Unmarshal(val, &l); err != nil {
			return fmt.Errorf("site: model of a task: %w", err)
		}
		if !l.InState {
			used[l.Content] = true
		}
		return nil
	})
}

func updatesInUse(tx *store.Tx, used map[model.Hash]bool) error {
	return tx.ForEach(store.Round, "", func(key string, val []byte) error {
		if _, name, _ := strings.Cut(key, "\x00"); !strings.HasPrefix(name, entryKey) {
			return nil // the state of a task
		}
		var e member.Entry
		if err := json.Unmarshal(val, &e); err != nil {
			return fmt.Errorf("site: outbox of a task: %w", err)
		}
		if e.Blob != (wire.BlobKey{}) {
			used[e.Content] = true
		}
		return nil
	})
}

// Remove removes blobs that nothing names any more.
func (d boltDisk) Remove(ids ...model.Hash) error {
	if len(ids) == 0 {
		return nil
	}
	used, err := d.inUse()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if used[id] {
			continue
		}
		if err := d.s.RemoveBlob(id); err != nil {
			return err
		}
	}
	return nil
}

// mark names a transaction of a task, and counts what was jotted down since.
type mark struct{ at, jots uint64 }
