package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
	"github.com/fedmq/fedmq/model"
)

func openOn(t *testing.T, dir string, disk store.Disk) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// After a power loss every blob put with sync is whole, and one put without is
// whole, missing, or known to be torn: never other bytes.
func TestBlobsAfterPowerLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // state.db is real, nothing is written to it here
	outcomes := map[string]int{}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		disk := storetest.New()
		s := openOn(t, dir, disk)
		durable := map[[32]byte]bool{}
		for i := range 1 + rng.IntN(12) {
			data := fmt.Appendf(nil, "blob %d of %d %s", i, seed, strings.Repeat("w", rng.IntN(100)))
			id := [32]byte(model.ContentOf(data))
			sync := rng.IntN(2) == 0
			if err := s.PutBlob(id, data, sync); err != nil {
				t.Fatal(err)
			}
			if !sync && rng.IntN(3) == 0 { // made durable later
				if err := s.SyncBlobs(id); err != nil {
					t.Fatal(err)
				}
				sync = true
			}
			durable[id] = sync
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk.Crash(rng)

		s = openOn(t, dir, disk)
		for id, safe := range durable {
			_, err := s.Blob(id)
			switch {
			case err == nil:
				outcomes["whole"]++
			case safe:
				t.Errorf("seed %d: a durable blob is gone: %v", seed, err)
			case errors.Is(err, store.ErrMissing):
				outcomes["missing"]++
			case errors.Is(err, store.ErrCorrupt):
				outcomes["torn"]++
			default:
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []string{"whole", "missing", "torn"} {
		if outcomes[o] == 0 {
			t.Errorf("no blob was %s: the test disk loses too little (%v)", o, outcomes)
		}
	}
}

// A failure of the disk is ErrDisk, and no later write is tried.
func TestDiskFailureIsFinal(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"mkdir", "create", "write", "sync", "rename", "syncdir"} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
			t.Run(op+" "+cause.Error(), func(t *testing.T) {
				t.Parallel()
				disk := storetest.New()
				s := openOn(t, t.TempDir(), disk)
				disk.Fail(func(o, _ string) error {
					if o == op {
						return cause
					}
					return nil
				})
				err := s.PutBlob(blobID("x"), []byte("x"), true)
				if !errors.Is(err, store.ErrDisk) || !errors.Is(err, cause) {
					t.Fatalf("got %v", err)
				}
				disk.Fail(nil)
				n := len(disk.Ops())
				if err := s.PutBlob(blobID("y"), []byte("y"), true); !errors.Is(err, store.ErrDisk) || len(disk.Ops()) != n {
					t.Errorf("a second write was tried: %v", err)
				}
				if err := s.Update(func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrDisk) {
					t.Errorf("a transaction after the failure: %v", err)
				}
			})
		}
	}
}

func TestNoSyncSkipsBothSyncs(t *testing.T) {
	t.Parallel()
	disk := storetest.New()
	s := openOn(t, t.TempDir(), disk)
	n := len(disk.Ops())
	if err := s.PutBlob(blobID("x"), []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	for _, op := range disk.Ops()[n:] {
		if strings.HasPrefix(op, "sync") {
			t.Errorf("%s", op)
		}
	}
}

// Opening is refused, or the values read are those written: no flipped bit in
// a value or key, and no truncation, goes unnoticed. bbolt's own page headers
// are left out here: it may fault on them in ways the race detector reports.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	master := t.TempDir()
	s := open(t, master)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(
			tx.PutState("quality", []byte("state of the round")),
			tx.PutRecord("quality", 1, 1, []byte(`{"round":1,"model":"abc"}`)),
			tx.AppendJournal("quality", []byte("first verdict")),
			tx.AppendJournal("quality", []byte("second verdict")))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(master, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"state of the round", `{"round":1`, "first verdict", "second verdict"} {
		for at := range indexAll(string(raw), what) {
			for i := at - 6; i < at+len(what); i++ {
				for bit := range 8 {
					checkFlip(t, raw, i, bit, what)
				}
			}
		}
	}
}

func indexAll(s, sub string) map[int]bool {
	at := map[int]bool{}
	for i := 0; ; i++ {
		j := strings.Index(s[i:], sub)
		if j < 0 {
			return at
		}
		i += j
		at[i] = true
	}
}

// checkFlip opens a copy with one bit flipped. A page no longer in use may
// hold the bytes too: then everything reads as written.
func checkFlip(t *testing.T, raw []byte, i, bit int, what string) {
	t.Helper()
	dir := t.TempDir()
	broken := append([]byte{}, raw...)
	broken[i] ^= 1 << bit
	path := filepath.Join(dir, "state.db")
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "bucket") || !strings.Contains(err.Error(), "key") {
			t.Errorf("%q byte %d: refused without naming file, bucket and key: %v", what, i, err)
		}
		return
	}
	defer func() { _ = s.Close() }()
	_ = s.View(func(tx *store.Tx) error {
		state, err1 := tx.State("quality")
		rec, err2 := tx.Record("quality", 1, 1)
		j, err3 := tx.Journal("quality")
		if err := errors.Join(err1, err2, err3); err != nil || string(state) != "state of the round" || string(rec) != `{"round":1,"model":"abc"}` {
			t.Errorf("%q byte %d bit %d: read %q %q %v", what, i, bit, state, rec, err)
		}
		cut := len(s.Findings()) == 1
		if len(j) < 1 || string(j[0]) != "first verdict" || (len(j) == 2) == cut || (cut && what != "second verdict") {
			t.Errorf("%q byte %d bit %d: journal %q, findings %v", what, i, bit, j, s.Findings())
		}
		return nil
	})
}

func TestTruncatedState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	update(t, s, func(tx *store.Tx) error { return tx.PutState("q", make([]byte, 100_000)) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(raw); n += 4000 {
		other := t.TempDir()
		if err := os.WriteFile(filepath.Join(other, "state.db"), raw[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(other, store.Options{})
		if err == nil { // bytes beyond the last page in use do not matter
			err = s.View(func(tx *store.Tx) error {
				v, err := tx.State("q")
				if len(v) != 100_000 {
					t.Errorf("cut at %d of %d: opened, and the state has %d bytes", n, len(raw), len(v))
				}
				return err
			})
			_ = s.Close()
		} else if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("cut at %d: %v", n, err)
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// A value found under another key is broken: the sum covers the key.
func TestSwappedValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	update(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutRecord("q", 1, 1, []byte("record of round one")), tx.PutRecord("q", 2, 1, []byte("record of round two")))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Index(string(raw), "record of round one")-6, strings.Index(string(raw), "record of round two")-6
	n := 6 + len("record of round one")
	one := string(raw[a : a+n])
	copy(raw[a:], raw[b:b+n])
	copy(raw[b:], one)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestNotAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), []byte(strings.Repeat("something else ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestNewerLayoutIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	update(t, s, func(tx *store.Tx) error { return tx.Put(store.Meta, "schema", []byte{200}) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir, store.Options{}); !errors.Is(err, store.ErrVersion) {
		t.Errorf("got %v", err)
	}
}

// Old records are checked when they are read, not at every start.
func TestOldRecordIsCheckedWhenRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	update(t, s, func(tx *store.Tx) error {
		for r := uint64(1); r <= 150; r++ {
			if err := tx.PutRecord("q", r, 1, fmt.Appendf(nil, "record %03d", r)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	for round, wantOpen := range map[string]bool{"record 010": true, "record 149": false} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		other := t.TempDir()
		broken := strings.ReplaceAll(string(raw), round, strings.ToUpper(round))
		if err := os.WriteFile(filepath.Join(other, "state.db"), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(other, store.Options{})
		if (err == nil) != wantOpen {
			t.Errorf("%s broken: open says %v", round, err)
		}
		if err != nil {
			continue
		}
		_ = s.View(func(tx *store.Tx) error {
			if _, err := tx.Record("q", 10, 1); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("read of a broken record: %v", err)
			}
			return nil
		})
		_ = s.Close()
	}
}

func TestUnnamedOldDirectoryIsNotSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, name := range []string{"note.txt", strings.Repeat("z", 64), strings.Repeat("a", 66)} {
		sub := filepath.Join(dir, "blobs", "aa")
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sub, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(func([32]byte) bool { return false }, -time.Hour); n != 0 || err != nil {
		t.Errorf("swept %d files that are no blobs, %v", n, err)
	}
}
