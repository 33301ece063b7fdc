package aggregator

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/internal/store"
)

func exportName(rnd uint64, attempt uint32) string { return fmt.Sprintf("%06d-%d.json", rnd, attempt) }

// export writes a record's exact bytes to records/<task>/<round>-<attempt>.json
// for people and their tools; state.db holds the record, so a failure is only
// told.
func (k *keeping) export(rnd uint64, attempt uint32, raw []byte) {
	k.exportFile(filepath.Join(k.task, exportName(rnd, attempt)), raw)
}

// exportDescription writes records/<task>.json, without which the blobs say
// nothing of shapes.
func (k *keeping) exportDescription(about []byte) { k.exportFile(k.task+".json", about) }

// exportFile writes a file below records/, whole or not at all.
func (k *keeping) exportFile(name string, b []byte) {
	name = filepath.Join(k.dir, name)
	if had, err := os.ReadFile(name); err == nil && bytes.Equal(had, b) {
		return
	}
	tmp := name + ".tmp"
	err := os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = os.WriteFile(tmp, b, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		k.failures++
		k.log.Warn().Err(err).Str("file", name).Msg("record not exported; it is safe in state.db")
	}
}

// exportMissing exports the records that have no file, if there are fewer files
// than records: to look through the places of many is slow. What stands in a file
// is compared for the last records alone.
func (k *keeping) exportMissing() error {
	files, err := os.ReadDir(filepath.Join(k.dir, k.task))
	if err != nil {
		return nil //nolint:nilerr // told as the last records were exported
	}
	there := make(map[string]bool, len(files))
	for _, f := range files {
		if filepath.Ext(f.Name()) == ".json" {
			there[f.Name()] = true
		}
	}
	if len(there) >= k.count {
		return nil
	}
	return k.store.View(func(tx *store.Tx) error {
		return tx.RecordPlaces(k.task, func(rnd uint64, attempt uint32) error {
			if there[exportName(rnd, attempt)] {
				return nil
			}
			raw, err := tx.Record(k.task, rnd, attempt)
			if err == nil {
				k.export(rnd, attempt, raw)
			}
			return err
		})
	})
}
