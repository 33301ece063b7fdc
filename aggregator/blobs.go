package aggregator

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// keep writes an accepted update to disk if the task asks for it.
func (t *task) keep(s *staged) error {
	if t.cfg.KeepUpdates == KeepNone || s.delta == nil {
		return nil
	}
	t.kept[s.content] = true
	if s.onDisk {
		return nil
	}
	return t.a.store.PutBlob(s.content, s.delta.Blob, false)
}

// durable puts the model, and the updates that are to stay, on disk. It returns
// the content id of the model, which is hashed once.
func (t *task) durable(c round.Commit, next *model.Model) (model.Hash, error) {
	if next == t.base { // it is there
		return c.Base, nil
	}
	crash.At("model.before-fsync")
	id, err := t.a.store.AddBlob(next.Blob, true)
	crash.At("model.after-dirsync")
	if err != nil || t.cfg.KeepUpdates != KeepAll {
		return id, err
	}
	ids := make([][32]byte, len(c.Accepted))
	for i, acc := range c.Accepted {
		ids[i] = acc.Content
	}
	return id, t.a.store.SyncBlobs(ids...)
}

// retire removes what is not to be kept any longer after a commit: the round's
// updates, and model versions beyond the retention.
func (t *task) retire(c round.Commit) error {
	t.versions = append(t.versions, c.Base)
	for content := range t.kept {
		if t.cfg.KeepUpdates == KeepAll {
			t.stay(content)
		} else if err := t.remove(content); err != nil {
			return err
		}
	}
	clear(t.kept)
	if t.cfg.KeepModels < 0 {
		return nil
	}
	first := 0
	if t.cfg.KeepUpdates == KeepAll {
		first = 1 // version 0: replay begins there
	}
	for len(t.versions)-first > t.cfg.KeepModels {
		old := t.versions[first]
		t.versions = slices.Delete(t.versions, first, first+1)
		if err := t.remove(old); err != nil {
			return err
		}
	}
	return nil
}

// stay notes an update that is kept for good.
func (t *task) stay(content model.Hash) { t.stays[beginning(content)] = true }

// beginning is enough of a content id: who meets another's keeps a blob too many.
func beginning(content model.Hash) uint64 { return binary.BigEndian.Uint64(content[:]) }

// remove removes a blob, unless any task of this directory has a use for the
// very same bytes: they are a model that it keeps (one of zeros, and an update
// that changes nothing), an update of another task's open round, or one that
// stays; or a task that is not configured now names them.
func (t *task) remove(content model.Hash) error {
	if t.a.absent[beginning(content)] {
		return nil
	}
	for _, o := range t.a.order {
		if content == o.state.Base || slices.Contains(o.versions, content) || o != t && o.kept[content] || o.stays[beginning(content)] {
			return nil
		}
	}
	return t.a.store.RemoveBlob(content)
}

// sweepAfter is how old a blob is that no record names when it goes.
const sweepAfter = time.Hour

// sweep removes what a crash has left between a blob and the transaction that
// was to name it. What a task needs that is not configured now stays: it may be
// configured again.
func (a *aggregator) sweep() error {
	named := map[[32]byte]bool{}
	for _, t := range a.order {
		named[t.state.Base] = true
		for content := range t.kept {
			named[content] = true
		}
	}
	if err := a.store.View(func(tx *store.Tx) error { return a.named(tx, named) }); err != nil {
		return err
	}
	n, err := a.store.Sweep(func(id [32]byte) bool { return named[id] || a.absent[beginning(id)] }, sweepAfter)
	if n > 0 {
		a.log.Info().Int("blobs", n).Msg("removed what no record names")
	}
	return err
}

// named adds what records name, and notes what tasks name that are not
// configured.
func (a *aggregator) named(tx *store.Tx, named map[[32]byte]bool) error {
	if err := tx.ForEach(store.Records, "", func(key string, raw []byte) error {
		task, _, _, err := store.ParseRecordKey(key)
		if err != nil {
			return err
		}
		r, err := record.Decode(raw)
		if err != nil {
			return fmt.Errorf("record of task %s: %w", task, err)
		}
		name := func(id [32]byte) { named[id] = true }
		if a.tasks[task] == nil {
			name = func(id [32]byte) { a.absent[beginning(id)] = true }
		}
		name(r.Base)
		name(r.Model)
		for _, e := range r.Entries {
			name(e.Content)
		}
		return nil
	}); err != nil {
		return err
	}
	return tx.ForEach(store.Journal, "", func(key string, raw []byte) error {
		task, _, _ := strings.Cut(key, "\x00")
		if a.tasks[task] != nil {
			return nil
		}
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("journal of task %s: %w", task, err)
		}
		a.absent[beginning(e.Content)] = true
		return nil
	})
}

// settings are what sites are told to train with. They are frozen with the
// first attempt of a round, so that no update of a round was made by others.
type settings struct {
	Round uint64          `json:"round"`
	Train json.RawMessage `json:"train"`
	Seed  uint64          `json:"seed"`
}

func (t *task) settingsKey() string { return store.Key(t.cfg.Name, "settings") }

// saveSettings freezes the configured settings when a round gets its first
// order.
func (t *task) saveSettings(tx *store.Tx, s *round.State) error {
	if s.Params == nil || t.settings.Round == s.Round {
		return nil
	}
	t.settings = settings{Round: s.Round, Train: t.cfg.Train, Seed: t.cfg.Seed}
	raw, err := json.Marshal(t.settings)
	if err != nil {
		return err
	}
	return tx.Put(store.Task, t.settingsKey(), raw)
}

// loadSettings takes up those of a round that was open when the process ended.
func (t *task) loadSettings() error {
	t.settings = settings{Train: t.cfg.Train, Seed: t.cfg.Seed}
	return t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.Get(store.Task, t.settingsKey())
		if err != nil || raw == nil {
			return err
		}
		var s settings
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		t.compare(s)
		if t.state.Params != nil && s.Round == t.state.Round {
			t.settings = s
		}
		return nil
	})
}

// compare tells which settings are not those of the last round that was ordered: an
// open round keeps its own, the next one has those of the configuration.
func (t *task) compare(last settings) {
	if last.Seed != t.cfg.Seed {
		t.log.Warn().Uint64("last", last.Seed).Uint64("configured", t.cfg.Seed).Uint64("round", last.Round).
			Msg("seed: the configuration has another one than that round was ordered with; it counts from the next round on")
	}
	var train bytes.Buffer // as it is on disk
	if err := json.Compact(&train, t.cfg.Train); err == nil && !bytes.Equal(last.Train, train.Bytes()) {
		t.log.Warn().RawJSON("last", last.Train).RawJSON("configured", train.Bytes()).Uint64("round", last.Round).
			Msg("train: the configuration has other settings than that round was ordered with; they count from the next round on")
	}
}
