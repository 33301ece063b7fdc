package aggregator

import (
	"errors"
	"fmt"

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
	fresh
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

// holdings knows who has a use for a blob: the tasks of a data directory share
// them, and the same bytes may be a model of one and an update of another.
type holdings struct {
	store   *store.Store
	tasks   []*keeping          // that are configured
	names   []string            // of all tasks that the directory has
	foreign map[model.Hash]bool // models and updates of open rounds of tasks that are not configured
}

// write puts a record and what follows from it into a transaction.
func (k *keeping) write(tx *store.Tx, r record.Sealed) error {
	if err := errors.Join(tx.PutRecord(k.task, r.Round, r.Attempt, r.Bytes), k.fresh.write(tx)); err != nil {
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
		if err := k.hold(tx, r.Strategy.Root); err != nil {
			return err
		}
		for content := range k.onDisk {
			if err := k.hold(tx, content); err != nil {
				return err
			}
		}
	}
	return k.add(tx, r.Record)
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
