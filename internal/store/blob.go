package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"time"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/model"
)

const (
	blobDir = "blobs"
	tmpDir  = "tmp"
)

// blobName is the file of a blob: blobs/ab/<64 hex digits>.
func blobName(id [32]byte) (dir, name string) {
	h := hex.EncodeToString(id[:])
	dir = path.Join(blobDir, h[:2])
	return dir, path.Join(dir, h)
}

// prepareBlobs makes the directories and removes what a crash left in tmp.
func (s *Store) prepareBlobs() error {
	for _, dir := range []string{blobDir, tmpDir} {
		if err := s.disk.MkdirAll(dir); err != nil {
			return s.diskError("make "+dir, err)
		}
	}
	if err := s.disk.SyncDir("."); err != nil {
		return s.diskError("sync the data directory", err)
	}
	left, err := s.disk.List(tmpDir)
	if err != nil {
		return s.diskError("list "+tmpDir, err)
	}
	for _, e := range left {
		if err := s.disk.Remove(path.Join(tmpDir, e.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.diskError("remove "+e.Name, err)
		}
	}
	return nil
}

// PutBlob stores data, whose content id the caller knows from a pass over it, as a
// content-addressed file:
// written under a random name, synced, renamed, and its directory synced, so
// that after a nil return a transaction may count on it. sync = false skips
// both syncs: after a power loss the blob may be missing or torn, which
// [Store.Blob] tells; [Store.SyncBlobs] makes up for it later. A failure is
// [ErrDisk]. Nothing is hashed: under another id the blob is corrupt when it is read.
func (s *Store) PutBlob(id [32]byte, data []byte, sync bool) error {
	tmp, err := s.writeBlob(data, sync)
	if err != nil {
		return err
	}
	return s.nameBlob(tmp, id, len(data), sync)
}

// AddBlob is [Store.PutBlob] for data that is not hashed yet: that is done while the disk
// writes and syncs. It returns the data's leaves, which give the content id and more, and
// gives them to hashed, while the disk goes on; nil for nobody.
func (s *Store) AddBlob(data []byte, durable bool, hashed func(model.Leaves)) (model.Leaves, error) {
	var tmp string
	var err error
	var writing sync.WaitGroup
	writing.Go(func() { tmp, err = s.writeBlob(data, durable) })
	leaves := model.LeavesOf(data)
	if hashed != nil {
		hashed(leaves)
	}
	writing.Wait()
	if err != nil {
		return nil, err
	}
	return leaves, s.nameBlob(tmp, leaves.ID(len(data)), len(data), durable)
}

// writeBlob writes data as a file of tmp.
func (s *Store) writeBlob(data []byte, sync bool) (tmp string, err error) {
	if s.failed.Load() {
		return "", fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	tmp, err = s.writeFile(data, sync)
	if err != nil {
		_ = s.disk.Remove(tmp) // what cannot be removed goes at the next start
		return "", s.diskError("write a blob as "+tmp, err)
	}
	return tmp, nil
}

// nameBlob gives a written file the name of its blob of size bytes, durable with sync.
func (s *Store) nameBlob(tmp string, id [32]byte, size int, sync bool) error {
	dir, name := blobName(id)
	if err := s.blobDir(dir, sync); err != nil {
		return err
	}
	if err := s.disk.Rename(tmp, name); err != nil {
		return s.diskError("rename to "+name, err)
	}
	crash.At("blob.after-rename")
	s.named(id, size)
	if !sync {
		return nil
	}
	if err := s.disk.SyncDir(dir); err != nil {
		return s.diskError("sync "+dir, err)
	}
	crash.At("blob.after-dirsync")
	return nil
}

// SyncBlobs makes blobs durable that were put without sync. A blob that is
// gone is [ErrMissing].
func (s *Store) SyncBlobs(ids ...[32]byte) error {
	dirs := map[string]bool{}
	for _, id := range ids {
		dir, name := blobName(id)
		if err := s.disk.SyncFile(name); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: blob %x", ErrMissing, id)
		} else if err != nil {
			return s.diskError("sync "+name, err)
		}
		dirs[dir] = true
	}
	for dir := range dirs {
		if err := s.blobDir(dir, true); err != nil {
			return err
		}
		if err := s.disk.SyncDir(dir); err != nil {
			return s.diskError("sync "+dir, err)
		}
	}
	return nil
}

// blobDir makes one of the 256 directories; with sync its own name is durable
// too (asked for once in the life of the Store).
func (s *Store) blobDir(dir string, sync bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	safe, made := s.dirsSafe[dir]
	if !made {
		if err := s.disk.MkdirAll(dir); err != nil {
			return s.diskError("make "+dir, err)
		}
		s.dirsSafe[dir] = false
	}
	if sync && !safe {
		if err := s.disk.SyncDir(blobDir); err != nil {
			return s.diskError("sync "+blobDir, err)
		}
		s.dirsSafe[dir] = true
	}
	return nil
}

// writeFile writes a file of tmp.
func (s *Store) writeFile(data []byte, sync bool) (name string, err error) {
	name, f, err := s.blank(len(data))
	if err != nil {
		return name, err
	}
	n := 0
	if sync {
		n = writeDirect(f, data)
	}
	_, err = f.WriteAt(data[n:], int64(n))
	if err == nil && sync {
		crash.At("blob.before-fsync")
		err = f.Sync()
		crash.At("blob.after-fsync")
	}
	return name, errors.Join(err, f.Close())
}

// Blob returns the bytes of a blob, their content id checked: [ErrMissing] when it
// is not there, [ErrCorrupt] when its bytes are others.
func (s *Store) Blob(id [32]byte) ([]byte, error) {
	return s.readBlob(id, func(b []byte) [32]byte { return model.ContentOf(b) })
}

func (s *Store) readBlob(id [32]byte, nameOf func([]byte) [32]byte) ([]byte, error) {
	_, name := blobName(id)
	data, err := s.disk.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: blob %x", ErrMissing, id)
	case err != nil:
		return nil, fmt.Errorf("store: read blob %x: %w", id, err)
	case nameOf(data) != id:
		return nil, fmt.Errorf("%w: blob %s has other bytes than its name says", ErrCorrupt, name)
	}
	return data, nil
}

// PlainBlob is [Store.Blob] of a name that an older fedmq gave, which is the SHA-256 of
// all bytes.
func (s *Store) PlainBlob(id [32]byte) ([]byte, error) {
	return s.readBlob(id, func(b []byte) [32]byte { return model.HashOf(b) })
}

// HasBlob reports whether a blob is there with the bytes its name says. It
// reads it through, piece by piece.
func (s *Store) HasBlob(id [32]byte) bool {
	r, err := s.OpenBlob(id)
	if err != nil {
		return false
	}
	got, err := contentOf(r, r.Size())
	return errors.Join(err, r.Close()) == nil && got == id
}

// FindBlob reports whether a blob is there, whatever its bytes are.
func (s *Store) FindBlob(id [32]byte) bool {
	r, err := s.OpenBlob(id)
	return err == nil && r.Close() == nil
}

// RemoveBlob deletes a blob; one that is not there is no error.
func (s *Store) RemoveBlob(id [32]byte) error {
	_, name := blobName(id)
	kept, err := s.keepSpare(id, name)
	if !kept && err == nil {
		err = s.disk.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.diskError("remove "+name, err)
	}
	return nil
}

// Sweep removes the blobs that keep does not name and that were written longer
// ago than olderThan (an hour: a blob is stored before the transaction that
// names it). It returns how many. Run it once after Open, when everything that
// names blobs has been read.
func (s *Store) Sweep(keep func(id [32]byte) bool, olderThan time.Duration) (int, error) {
	now := time.Now()
	dirs, err := s.disk.List(blobDir)
	if err != nil {
		return 0, s.diskError("list "+blobDir, err)
	}
	n := 0
	for _, d := range dirs {
		dir := path.Join(blobDir, d.Name)
		files, err := s.disk.List(dir)
		if err != nil {
			return n, s.diskError("list "+dir, err)
		}
		for _, f := range files {
			var id [32]byte
			b, err := hex.DecodeString(f.Name)
			if err != nil || copy(id[:], b) != len(id) || len(b) != len(id) {
				continue // not ours
			}
			if keep(id) || now.Sub(f.ModTime) < olderThan {
				continue
			}
			if err := s.RemoveBlob(id); err != nil {
				return n, err
			}
			n++
			crash.At("sweep.mid")
		}
	}
	return n, nil
}

// diskError marks the store failed: no later write is tried.
func (s *Store) diskError(what string, err error) error {
	s.failed.Store(true)
	return fmt.Errorf("%w: %s: %w", ErrDisk, what, err)
}
