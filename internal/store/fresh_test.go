package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
	"github.com/fedmq/fedmq/model"
)

// withBlob is a transaction with a blob in it.
func withBlob(t *testing.T, s *store.Store, data []byte) [32]byte {
	t.Helper()
	id := [32]byte(model.ContentOf(data))
	if err := s.Update(func(tx *store.Tx) error { return tx.PutBlob(id, data) }); err != nil {
		t.Fatal(err)
	}
	return id
}

// A blob of a transaction outlives a loss of power, whatever had become of its file.
func TestFreshBlobsAfterPowerLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		disk := storetest.New()
		s := openOn(t, dir, disk)
		blobs := map[[32]byte][]byte{}
		for i := range 4 {
			data := bytes.Repeat(fmt.Appendf(nil, "blob %d of %d ", i, seed), 1+rng.IntN(9))
			id := withBlob(t, s, data)
			blobs[id] = data
			var err error
			switch rng.IntN(3) {
			case 0: // it dies before the file
			case 1:
				err = s.PutBlob(id, data, false)
			default: // the whole way
				err = errors.Join(s.PutBlob(id, data, false), s.SyncBlobs(id), s.Update(func(tx *store.Tx) error { return tx.DropBlob(id) }))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk.Crash(rng)
		for range 2 { // and once more after the start that made the files
			s = openOn(t, dir, disk)
			for id, want := range blobs {
				if got, err := s.Blob(id); err != nil || !bytes.Equal(got, want) {
					t.Errorf("seed %d: %q, %v", seed, got, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			disk.Crash(rng)
		}
	}
}

func TestFreshBlobsAreSmall(t *testing.T) {
	t.Parallel()
	s := openOn(t, t.TempDir(), nil)
	withBlob(t, s, make([]byte, store.Small))
	if err := s.Update(func(tx *store.Tx) error { return tx.PutBlob([32]byte{}, make([]byte, store.Small+1)) }); err == nil {
		t.Error("a large one went with a transaction")
	}
}

// Bytes under another name are no blob.
func TestFreshBlobOfAnotherName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openOn(t, dir, nil)
	if err := errors.Join(s.Update(func(tx *store.Tx) error { return tx.PutBlob([32]byte{1}, []byte("x")) }), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opened: %v", err)
	}
}
