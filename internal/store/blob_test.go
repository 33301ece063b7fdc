package store_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

func blobID(s string) [32]byte { return model.ContentOf([]byte(s)) }

func blobFile(dir string, id [32]byte) string {
	h := hex.EncodeToString(id[:])
	return filepath.Join(dir, "blobs", h[:2], h)
}

func TestBlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, sync := range []bool{true, false} {
		data := []byte("model " + map[bool]string{true: "synced", false: "not"}[sync])
		id := [32]byte(model.ContentOf(data))
		if _, err := s.Blob(id); !errors.Is(err, store.ErrMissing) || s.HasBlob(id) {
			t.Errorf("before: %v", err)
		}
		for range 2 { // twice is fine
			if err := s.PutBlob(id, data, sync); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Blob(id); !bytes.Equal(got, data) || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if err := s.SyncBlobs(id); err != nil {
			t.Error(err)
		}
		if err := s.RemoveBlob(id); err != nil {
			t.Error(err)
		}
		if s.HasBlob(id) {
			t.Error("still there after RemoveBlob")
		}
		if err := s.SyncBlobs(id); !errors.Is(err, store.ErrMissing) {
			t.Errorf("SyncBlobs of a removed blob: %v", err)
		}
	}
}

func TestBlobWithOtherBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	id := blobID("weights")
	if err := s.PutBlob(id, []byte("weights"), true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blobFile(dir, id), []byte("Weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(id); !errors.Is(err, store.ErrCorrupt) || s.HasBlob(id) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if err := s.PutBlob(id, []byte("weights"), true); err != nil || !s.HasBlob(id) {
		t.Errorf("a torn blob was not replaced: %v", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{"named", "unnamed", "young"} {
		if err := s.PutBlob(blobID(name), []byte(name), false); err != nil {
			t.Fatal(err)
		}
		if name != "young" {
			if err := os.Chtimes(blobFile(dir, blobID(name)), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	n, err := s.Sweep(func(id [32]byte) bool { return id == blobID("named") }, time.Hour)
	if n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	for name, want := range map[string]bool{"named": true, "unnamed": false, "young": true} {
		if s.HasBlob(blobID(name)) != want {
			t.Errorf("%s: present %v, want %v", name, !want, want)
		}
	}
}

func TestLeftoversInTmpGoAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "tmp", "left")
	if err := os.WriteFile(left, []byte("half a model"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

// A large blob that is synced at once is written past the page cache, all but what is
// left of a page: its bytes are the same ones, in a new file and over an old one.
func TestLargeBlobs(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rng := rand.NewChaCha8([32]byte{1})
	for _, n := range []int{1<<20 - 1, 1 << 20, 1<<20 + 1, 2<<20 - 4096, 3<<20 + 4097} {
		for off := range 2 { // the second one over the first, from memory that does not lie on whole pages
			b := make([]byte, n+off)[off:]
			_, _ = rng.Read(b)
			leaves, err := s.AddBlob(b, true, nil)
			if err != nil {
				t.Fatal(err)
			}
			id := leaves.ID(n)
			if got, err := s.Blob(id); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%d bytes are read back as others: %v", n, err)
			}
			if err := s.RemoveBlob(id); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What a model of 10 million parameters takes to be durable.
func BenchmarkAddBlob(b *testing.B) {
	for _, durable := range []bool{true, false} {
		b.Run(fmt.Sprintf("durable=%t", durable), func(b *testing.B) {
			s, err := store.Open(b.TempDir(), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			data := make([]byte, 40_000_000)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for i := range b.N {
				binary.LittleEndian.PutUint64(data, uint64(i))
				if _, err := s.AddBlob(data, durable, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
