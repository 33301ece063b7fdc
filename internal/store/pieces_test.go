package store_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
	"github.com/fedmq/fedmq/model"
)

// left lists what is in tmp.
func left(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestOpenBlob(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if _, err := s.OpenBlob(blobID("x")); !errors.Is(err, store.ErrMissing) {
		t.Fatalf("before: %v", err)
	}
	leaves, err := s.AddBlob([]byte("weights of a model"), true, nil)
	id := leaves.ID(18)
	if err != nil || id != blobID("weights of a model") {
		t.Fatalf("%x, %v", id, err)
	}
	r, err := s.OpenBlob(id)
	if err != nil || r.Size() != 18 {
		t.Fatal(err)
	}
	b := make([]byte, 2)
	if n, err := r.ReadAt(b, 8); n != 2 || string(b) != "of" || err != nil {
		t.Errorf("%d %q %v", n, b, err)
	}
	if err := s.RemoveBlob(id); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(b, 0); err != nil || string(b) != "we" {
		t.Errorf("after the removal: %q, %v", b, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Pieces in any order and again become a blob, or nothing.
func TestPartial(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	data := bytes.Repeat([]byte("0123456789"), 100)
	id := [32]byte(model.ContentOf(data))
	partial := func(from, to int) *store.Partial {
		t.Helper()
		p, err := s.NewPartial(int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for i := to - 1; i >= from; i-- {
			if _, err := p.WriteAt(data[100*i:100*i+100], int64(100*i)); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	for name, p := range map[string]*store.Partial{"last piece missing": partial(0, 9), "empty": partial(0, 0)} {
		if _, err := p.Commit(id, false); !errors.Is(err, store.ErrCorrupt) || s.HasBlob(id) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := partial(0, 5).Discard(); err != nil {
		t.Error(err)
	}
	if n := left(t, dir); len(n) != 0 {
		t.Errorf("left in tmp: %v", n)
	}
	p := partial(3, 7)
	for _, i := range []int{9, 0, 8, 1, 2, 7, 0} {
		if _, err := p.WriteAt(data[100*i:100*i+100], int64(100*i)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := p.Commit(id, true); err != nil || !bytes.Equal(b, data) {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if got, err := s.Blob(id); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := left(t, dir); len(n) != 0 {
		t.Errorf("left in tmp: %v", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("a piece beyond the size was taken")
		}
	}()
	_, _ = partial(0, 1).WriteAt(data[:2], 999)
}

// What Commit has made durable survives a power loss; what it has not is whole,
// missing, or known to be torn.
func TestPartialAfterPowerLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	torn := 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		disk := storetest.New()
		s := openOn(t, dir, disk)
		data := make([]byte, 40+rng.IntN(100))
		for i := range data {
			data[i] = byte(rng.IntN(256))
		}
		id, sync := model.ContentOf(data), rng.IntN(2) == 0
		p, err := s.NewPartial(int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []int{20, 0} {
			if _, err := p.WriteAt(data[off:], int64(off)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Commit(id, sync); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk.Crash(rng)
		s = openOn(t, dir, disk)
		_, err = s.Blob(id)
		switch {
		case err != nil && sync:
			t.Errorf("seed %d: a durable blob is gone: %v", seed, err)
		case errors.Is(err, store.ErrCorrupt):
			torn++
		case err != nil && !errors.Is(err, store.ErrMissing):
			t.Errorf("seed %d: %v", seed, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if torn == 0 {
		t.Error("nothing was torn: the test disk loses too little")
	}
}

// A failure of the disk is ErrDisk and final, wherever it strikes.
func TestPartialDiskFailure(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"create", "write", "sync", "rename", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			disk := storetest.New()
			s := openOn(t, t.TempDir(), disk)
			disk.Fail(func(o, _ string) error {
				if o == op {
					return syscall.ENOSPC
				}
				return nil
			})
			p, err := s.NewPartial(3)
			if err == nil {
				if _, err = p.WriteAt([]byte("abc"), 0); err == nil {
					_, err = p.Commit(blobID("abc"), true)
				}
			}
			if !errors.Is(err, store.ErrDisk) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v", err)
			}
			if _, err := s.NewPartial(1); !errors.Is(err, store.ErrDisk) {
				t.Errorf("after the failure: %v", err)
			}
		})
	}
}

// Looking at a blob takes no memory for all of it, and putting one together takes
// it once, for what Commit returns.
func TestPiecesTakeNoMemory(t *testing.T) {
	const size = 64 << 20
	s := open(t, t.TempDir())
	piece := make([]byte, 128<<10)
	leaves := model.NewLeaves(size / model.Leaf)[:0]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := s.NewPartial(size)
	if err != nil {
		t.Fatal(err)
	}
	for off := int64(0); off < size; off += int64(len(piece)) {
		piece[0] = byte(off >> 17)
		leaves = leaves.Append(piece)
		if _, err := p.WriteAt(piece, off); err != nil {
			t.Fatal(err)
		}
	}
	id := leaves.ID(size)
	if _, err := p.Commit(id, false); err != nil || !s.HasBlob(id) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > size+2<<20 {
		t.Errorf("%d bytes allocated for a blob of %d", n, size)
	}
}
