package aggregator

import (
	"errors"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// newKeeping is a task's, beside those of the same data directory.
func newKeeping(st *store.Store, dir string, all *holdings, cfg Task, log zerolog.Logger) *keeping {
	k := &keeping{
		digest: digest{store: st, task: cfg.Name}, log: log, dir: filepath.Join(dir, "records"),
		updates: cfg.KeepUpdates, models: cfg.KeepModels, all: all, onDisk: map[model.Hash]bool{},
	}
	all.tasks = append(all.tasks, k)
	return k
}

// load takes up where the records end, and returns the first of them and the
// last. open are the updates of the open round.
func (k *keeping) load(open map[model.Hash]bool) (first record.Record, last record.Sealed, err error) {
	first, found, err := k.first()
	if err != nil {
		return first, last, err
	}
	if !found {
		return first, last, errors.New("there is a state, but no record")
	}
	var tail [][]byte
	if err := k.store.View(func(tx *store.Tx) (err error) {
		tail, err = tx.LastRecords(k.task, startRecords, startBytes)
		return err
	}); err != nil {
		return first, last, err
	}
	if last, err = k.followed(tail); err != nil {
		return first, last, err
	}
	if err = k.catchUp(new(record.Chain), open); err != nil {
		return first, last, err
	}
	k.tip = last.Hash
	return first, last, errors.Join(k.loadVersions(), k.exportMissing())
}

// first is where the task's chain begins, if it has begun.
func (k *keeping) first() (r record.Record, found bool, err error) {
	err = k.store.View(func(tx *store.Tx) error {
		return tx.RecordsOf(k.task, 0, func(_ uint64, _ uint32, raw []byte) error {
			var c record.Chain
			if r, err = c.Next(raw); err != nil {
				return err
			}
			found = true
			return errEnough
		})
	})
	if found {
		err = nil
	}
	return r, found, err
}

// followed checks that the last records follow each other, and that their files
// are those; it returns the last one. Those before were checked when they were
// written, and fedmq verify checks all.
func (k *keeping) followed(tail [][]byte) (last record.Sealed, err error) {
	var c record.Chain
	next := c.Resume
	for _, raw := range tail {
		if last.Record, err = next(raw); err != nil {
			return last, err
		}
		k.export(last.Round, last.Attempt, raw)
		last.Bytes, next = raw, c.Next
	}
	last.Hash = c.Tip()
	return last, nil
}

// took follows a record that has become durable.
func (k *keeping) took(r record.Sealed) {
	k.tip, k.gone = r.Hash, nil
	k.fresh.took()
	if r.Verdict != record.Abandoned {
		k.versions = append(k.versions, version{r.Model, r.Version, r.State})
	}
}
