package aggregator

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// What a start reads of a task's records: the last ones, by number and by
// bytes. The digest knows what follows from those before.
const (
	startRecords = 100
	startBytes   = 4 << 20
)

// keeping is what a task keeps on disk: its records, the digest of them, the
// models and updates that they name, and the files for people. Its methods that
// take a transaction change nothing but the disk; took follows them in memory.
type keeping struct {
	digest
	log     zerolog.Logger
	dir     string // for the exported records of all tasks
	updates Keep
	models  int // newest former versions that are kept; -1: all
	all     *holdings

	tip      model.Hash          // hash of the last record
	versions []version           // of the model that are on disk, oldest first; the last one is the base
	gone     []uint64            // numbers of versions that are on disk no more
	onDisk   map[model.Hash]bool // updates of the open round that are
	failures uint64              // files that could not be exported
}

// newKeeping is a task's, beside those of the same directory.
func (a *aggregator) newKeeping(cfg Task, log zerolog.Logger) *keeping {
	k := &keeping{
		digest: digest{store: a.store, task: cfg.Name}, log: log, dir: filepath.Join(a.cfg.DataDir, "records"),
		updates: cfg.KeepUpdates, models: cfg.KeepModels, all: &a.holdings, onDisk: map[model.Hash]bool{},
	}
	a.holdings.tasks = append(a.holdings.tasks, k)
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

// write puts a record and what follows from it into a transaction.
func (k *keeping) write(tx *store.Tx, r record.Sealed) error {
	if err := tx.PutRecord(k.task, r.Round, r.Attempt, r.Bytes); err != nil {
		return err
	}
	for _, number := range k.gone {
		if err := k.dropVersion(tx, number); err != nil {
			return err
		}
	}
	if k.updates == KeepAll {
		for _, e := range r.Entries {
			if err := k.hold(tx, e.Content); err != nil {
				return err
			}
		}
		for content := range k.onDisk {
			if err := k.hold(tx, content); err != nil {
				return err
			}
		}
	}
	return k.add(tx, r.Record)
}

// took follows a record that has become durable.
func (k *keeping) took(r record.Sealed) {
	k.tip, k.gone = r.Hash, nil
	if r.Verdict != record.Abandoned {
		k.versions = append(k.versions, version{r.Model, r.Version, r.State})
	}
	k.export(r.Round, r.Attempt, r.Bytes)
}

// read returns the records of a round in order, those of its attempts first.
func (k *keeping) read(rnd uint64, fn func(record.Record)) error {
	err := k.store.View(func(tx *store.Tx) error {
		return tx.RecordsOf(k.task, rnd, func(at uint64, _ uint32, raw []byte) error {
			if at != rnd {
				return errEnough
			}
			r, err := record.Decode(raw)
			if err != nil {
				return fmt.Errorf("record of round %d: %w", rnd, err)
			}
			fn(r)
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough ends a walk over records.
var errEnough = errors.New("enough")
