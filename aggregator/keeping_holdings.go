package aggregator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// remove removes a blob that by needs no more, unless any task of the directory
// has a use for the very same bytes: they are a model that it keeps (one of
// zeros, and an update that changes nothing), an update of another task's open
// round, or one that stays.
func (h *holdings) remove(by *keeping, content model.Hash) error {
	needed := false
	if err := h.store.View(func(tx *store.Tx) (err error) {
		needed, err = h.needed(tx, by, content)
		return err
	}); err != nil || needed {
		return err
	}
	by.fresh.forget(content)
	return h.store.RemoveBlob(content)
}

// needed reports a use of a blob other than as an update of by's open round.
func (h *holdings) needed(tx *store.Tx, by *keeping, content model.Hash) (bool, error) {
	if h.foreign[content] {
		return true, nil
	}
	for _, k := range h.tasks {
		if k != by && k.onDisk[content] || slices.ContainsFunc(k.versions, func(v version) bool { return v.content == content || v.state == content }) {
			return true, nil
		}
	}
	for _, task := range h.names {
		if held, err := tx.Get(store.Held, updateKey(task, content)); err != nil || held != nil {
			return true, err
		}
	}
	return false, nil
}

// sweepAfter is how old a blob is that nobody has a use for when it goes.
const sweepAfter = time.Hour

// sweep removes what a crash has left between a blob and the transaction that
// was to name it, or between one that dropped it and its removal. What a task
// needs that is not configured now stays: it may be configured again. It returns
// how many blobs are gone.
func (h *holdings) sweep() (n int, err error) {
	if err := h.findForeign(); err != nil {
		return 0, err
	}
	err = h.store.View(func(tx *store.Tx) error {
		var failed error
		n, err = h.store.Sweep(func(id [32]byte) bool {
			needed, err := h.needed(tx, nil, id)
			if err != nil {
				failed = err
			}
			return needed || err != nil
		}, sweepAfter)
		if err == nil {
			err = failed
		}
		return err
	})
	return n, err
}

// findForeign notes what tasks name that are not configured.
func (h *holdings) findForeign() error {
	h.foreign = map[model.Hash]bool{}
	if err := h.store.View(func(tx *store.Tx) (err error) {
		if h.names, err = tx.Tasks(); err != nil {
			return err
		}
		return h.foreignJournals(tx)
	}); err != nil {
		return err
	}
	for _, name := range h.names {
		if h.configured(name) {
			continue
		}
		d := digest{store: h.store, task: name}
		if err := d.catchUp(nil, h.foreign); err != nil {
			return fmt.Errorf("record of task %s: %w", name, err)
		}
		versions, err := d.versionsOnDisk()
		if err != nil {
			return err
		}
		for _, v := range versions {
			h.foreign[v.content], h.foreign[v.state] = true, true
		}
	}
	return nil
}

func (h *holdings) configured(task string) bool {
	return slices.ContainsFunc(h.tasks, func(k *keeping) bool { return k.task == task })
}

func (h *holdings) foreignJournals(tx *store.Tx) error {
	return tx.ForEach(store.Journal, "", func(key string, raw []byte) error {
		task, _, _ := strings.Cut(key, "\x00")
		if h.configured(task) {
			return nil
		}
		var e struct {
			Content model.Hash `json:"content"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("journal of task %s: %w", task, err)
		}
		h.foreign[e.Content] = true
		return nil
	})
}
