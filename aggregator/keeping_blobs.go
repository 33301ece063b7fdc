package aggregator

import (
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// keep writes an accepted update to disk, unless it is of numbers alone.
func (k *keeping) keep(s *staged) error {
	if s.raw == nil {
		return nil
	}
	k.onDisk[s.content] = true
	if s.onDisk {
		return nil
	}
	return k.store.PutBlob(s.content, s.raw, false)
}

// durable puts a new model, and the updates that are to stay, on disk; a model that goes in
// one message comes with the record. It returns the leaves of the model, and gives them to
// hashed before the disk has it.
func (k *keeping) durable(c round.Commit, next *model.Model, inline bool, hashed func(model.Leaves)) (leaves model.Leaves, err error) {
	if inline && len(next.Blob) <= store.Small {
		leaves = model.LeavesOf(next.Blob)
		hashed(leaves)
		k.coming = append(k.coming, blob{leaves.ID(len(next.Blob)), next.Blob})
	} else {
		crash.At("model.before-fsync")
		leaves, err = k.store.AddBlob(next.Blob, true, hashed)
		crash.At("model.after-dirsync")
	}
	if err != nil || k.updates != KeepAll {
		return leaves, err
	}
	ids := make([][32]byte, len(c.Accepted))
	for i, acc := range c.Accepted {
		ids[i] = acc.Content
	}
	return leaves, k.store.SyncBlobs(ids...)
}

// durableState puts what strategy and server optimiser keep on disk, and returns
// its content id, none for nothing.
func (k *keeping) durableState(state []byte) (model.Hash, error) {
	if state == nil {
		return model.Hash{}, nil
	}
	if len(state) <= store.Small {
		b := blob{model.ContentOf(state), state}
		k.coming = append(k.coming, b)
		return b.id, nil
	}
	leaves, err := k.store.AddBlob(state, true, nil)
	return leaves.ID(len(state)), err
}

// durableRoot puts the aggregator's own update on disk, for replay with the others; nil:
// there is none.
func (k *keeping) durableRoot(own *model.Model) error {
	if own == nil || k.updates != KeepAll {
		return nil
	}
	return k.store.PutBlob(own.ContentID(), own.Blob, true)
}

// retire removes what is not to be kept any longer after a commit: the round's
// updates, and versions of the model beyond the retention, but for those that are held.
func (k *keeping) retire(held []uint64) error {
	if k.updates != KeepAll {
		for content := range k.onDisk {
			if err := k.all.remove(k, content); err != nil {
				return err
			}
		}
	}
	clear(k.onDisk)
	if k.models < 0 {
		return nil
	}
	for first := k.firstToGo(); len(k.versions)-1-first > k.models; { // the last one is the base
		if slices.Contains(held, k.versions[first].number) {
			first++
			continue
		}
		old := k.versions[first]
		k.versions = slices.Delete(k.versions, first, first+1)
		k.gone = append(k.gone, old.number)
		for _, id := range []model.Hash{old.content, old.state} {
			if id.IsZero() {
				continue
			}
			if err := k.all.remove(k, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostHeld is how many versions heldOf names at most.
const mostHeld = 5

// firstToGo is the place of the oldest version that need not stay: replay of
// updates begins at version 0.
func (k *keeping) firstToGo() int {
	if k.updates == KeepAll {
		return 1
	}
	return 0
}

// loadVersions reads which versions are on disk; of the oldest ones, those that are held
// among them, a crash has removed some.
func (k *keeping) loadVersions() (err error) {
	if k.versions, err = k.versionsOnDisk(); err != nil {
		return err
	}
	for at, found := k.firstToGo(), 0; at < len(k.versions)-1 && found <= mostHeld; {
		if k.store.FindBlob(k.versions[at].content) {
			at, found = at+1, found+1
			continue
		}
		k.gone = append(k.gone, k.versions[at].number)
		k.versions = slices.Delete(k.versions, at, at+1)
	}
	return nil
}
