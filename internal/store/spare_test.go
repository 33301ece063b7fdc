package store_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
	"github.com/fedmq/fedmq/model"
)

func overwriting(t *testing.T, dir string, disk store.Disk) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{Disk: disk, Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The file of a blob that is removed is written over by the next one of its size, and by
// no other; at most four wait for that, and none stays behind.
func TestRemovedFilesAreWrittenOver(t *testing.T) {
	t.Parallel()
	disk := storetest.New()
	s := overwriting(t, t.TempDir(), disk)
	made := func(op string) (n int) {
		for _, o := range disk.Ops() {
			if strings.HasPrefix(o, op+" ") {
				n++
			}
		}
		return n
	}
	put := func(data string) {
		t.Helper()
		if err := s.PutBlob(blobID(data), []byte(data), true); err != nil || !s.HasBlob(blobID(data)) {
			t.Fatalf("%q: %v", data, err)
		}
	}
	remove := func(data string) {
		t.Helper()
		if err := s.RemoveBlob(blobID(data)); err != nil || s.FindBlob(blobID(data)) {
			t.Fatalf("%q is not removed: %v", data, err)
		}
	}
	for i, step := range []struct {
		put, remove  string
		made, reused int
	}{
		{put: "model 1", remove: "model 1", made: 1},
		{put: "model 2", made: 1, reused: 1},
		{put: "another size", remove: "another size", made: 2, reused: 1},
		{put: "model 3", remove: "model 2", made: 3, reused: 1},
		{put: "longer 1", remove: "longer 1", made: 4, reused: 1},
		{put: "longest 1", remove: "longest 1", made: 5, reused: 1},
		{remove: "model 3", made: 5, reused: 1}, // the fifth, so the oldest goes
		{put: "ANOTHER SIZE", made: 6, reused: 1},
		{put: "model 4", made: 6, reused: 2},
		{put: "model 5", remove: "model 5", made: 6, reused: 3},
	} {
		if step.put != "" {
			put(step.put)
		}
		if step.remove != "" {
			remove(step.remove)
		}
		if made("create") != step.made || made("reopen") != step.reused {
			t.Errorf("step %d: %d files made and %d written over, want %d and %d", i, made("create"), made("reopen"), step.made, step.reused)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := disk.List("tmp"); len(left) > 0 || err != nil {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

// A blob that was durable stays whole after a power loss when files of others are
// written over, and no blob ever has the bytes of the one whose file it took.
func TestOverwrittenAfterPowerLoss(t *testing.T) {
	t.Parallel()
	dir, torn := t.TempDir(), 0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		disk := storetest.New()
		s := overwriting(t, dir, disk)
		safe, all := map[string]bool{}, []string{}
		for range 12 {
			data := strings.Repeat(string(rune('a'+len(all))), 64)
			sync := rng.IntN(2) == 0
			if err := s.PutBlob(blobID(data), []byte(data), sync); err != nil {
				t.Fatal(err)
			}
			safe[data], all = sync, append(all, data)
			if len(safe) > 1 {
				gone := all[rng.IntN(len(all))]
				if err := s.RemoveBlob(blobID(gone)); err != nil {
					t.Fatal(err)
				}
				delete(safe, gone)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk.Crash(rng)
		s = overwriting(t, dir, disk)
		for _, data := range all {
			got, err := s.Blob(blobID(data))
			switch {
			case err == nil && model.ContentOf(got) == model.ContentOf([]byte(data)):
			case safe[data]:
				t.Errorf("seed %d: a durable blob is gone: %v", seed, err)
			case errors.Is(err, store.ErrCorrupt):
				torn++
			case !errors.Is(err, store.ErrMissing):
				t.Errorf("seed %d: %q, %v", seed, got, err)
			}
		}
		if left, err := disk.List("tmp"); slices.ContainsFunc(left, func(e store.Entry) bool { return !e.Dir }) || err != nil {
			t.Errorf("seed %d: left in tmp: %v, %v", seed, left, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if torn == 0 {
		t.Error("no blob was torn: the test disk loses too little")
	}
}
