package aggregator

import (
	"errors"
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// fresh is the small blobs that become durable with a record, in its transaction: a file
// that is made, synced, renamed and synced in its directory would be most of what a small
// round waits for. Their files come behind the order, for people and their tools.
type fresh struct {
	coming   []blob       // for the next transaction
	fileless []blob       // in the state, their files are not written yet
	unsynced []model.Hash // have a file that a power loss may take: they stay in the state
	done     []model.Hash // leave the state with the next transaction
}

type blob struct {
	id    model.Hash
	bytes []byte
}

// mostUnsynced is how many stay in the state before their files are synced.
const mostUnsynced = 16

// write puts what comes into a transaction, and takes out what is done.
func (f *fresh) write(tx *store.Tx) error {
	for _, id := range f.done {
		if err := tx.DropBlob(id); err != nil {
			return err
		}
	}
	for _, b := range f.coming {
		if err := tx.PutBlob(b.id, b.bytes); err != nil {
			return err
		}
	}
	return nil
}

// took follows the transaction.
func (f *fresh) took() {
	f.fileless = append(f.fileless, f.coming...)
	f.coming, f.done = nil, nil
}

// forget says that a blob is removed, and its file with it.
func (f *fresh) forget(id model.Hash) {
	n := len(f.fileless) + len(f.unsynced)
	f.fileless = slices.DeleteFunc(f.fileless, func(b blob) bool { return b.id == id })
	f.unsynced = slices.DeleteFunc(f.unsynced, func(u model.Hash) bool { return u == id })
	if len(f.fileless)+len(f.unsynced) < n {
		f.done = append(f.done, id)
	}
}

// follow writes the files, and syncs them when there are many of them.
func (f *fresh) follow(st *store.Store) error {
	for _, b := range f.fileless {
		crash.At("follow.before-file")
		if err := st.PutBlob(b.id, b.bytes, false); err != nil {
			return err
		}
		crash.At("follow.after-file")
		f.unsynced = append(f.unsynced, b.id)
	}
	f.fileless = nil
	if len(f.unsynced) < mostUnsynced {
		return nil
	}
	return f.sync(st)
}

// rest leaves nothing in the state, at the end of a driver that has not failed.
func (f *fresh) rest(st *store.Store) error {
	f.coming = nil // of a record that never was
	if err := errors.Join(f.follow(st), f.sync(st)); err != nil || len(f.done) == 0 {
		return err
	}
	if err := st.Update(f.write); err != nil {
		return err
	}
	f.took()
	return nil
}

// sync makes the files durable. One that somebody has removed is no concern of ours.
func (f *fresh) sync(st *store.Store) error {
	for _, id := range f.unsynced {
		if err := st.SyncBlobs(id); err != nil && !errors.Is(err, store.ErrMissing) {
			return err
		}
	}
	f.done, f.unsynced = append(f.done, f.unsynced...), nil
	return nil
}
