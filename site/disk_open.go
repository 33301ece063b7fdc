package site

import (
	"errors"

	"github.com/fedmq/fedmq/internal/store"
)

// openDisk opens the data directory of a node and removes models that no task
// keeps. A file that is removed while a job reads it is of a job that nobody waits for any
// more, so it may be written over.
func openDisk(dir, node string) (boltDisk, error) {
	s, err := store.Open(dir, store.Options{Overwrite: true})
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
