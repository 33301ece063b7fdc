package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/store"
)

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func update(t *testing.T, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = s.Update(func(tx *store.Tx) error {
		return errors.Join(
			tx.PutRecord("quality", 1, 1, []byte(`{"round":1}`)),
			tx.PutState("quality", []byte("round 2 is open")),
			tx.ClearJournal("quality"))
	})
	if err != nil {
		fmt.Println(err)
	}
	if err := s.Close(); err != nil {
		fmt.Println(err)
	}

	s, err = store.Open(dir, store.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	_ = s.View(func(tx *store.Tx) error {
		state, err := tx.State("quality")
		fmt.Println(string(state), err)
		return nil
	})
	// Output: round 2 is open <nil>
}

func TestJournalIsPerTaskAndInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 300 { // more than one byte of sequence
		update(t, s, func(tx *store.Tx) error {
			return errors.Join(tx.AppendJournal("a", fmt.Appendf(nil, "a%d", i)), tx.AppendJournal("ab", []byte("ab")))
		})
	}
	update(t, s, func(tx *store.Tx) error { return tx.ClearJournal("ab") })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	err := s.View(func(tx *store.Tx) error {
		a, err := tx.Journal("a")
		if err != nil || len(a) != 300 || string(a[0]) != "a0" || string(a[299]) != "a299" {
			t.Errorf("journal of a: %d values, %v", len(a), err)
		}
		ab, err := tx.Journal("ab")
		if err != nil || len(ab) != 0 {
			t.Errorf("journal of ab: %d values after clear, %v", len(ab), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error { return tx.AppendJournal("a", []byte("after")) })
	_ = s.View(func(tx *store.Tx) error {
		a, _ := tx.Journal("a")
		if string(a[len(a)-1]) != "after" {
			t.Errorf("appended after a restart, but last is %q", a[len(a)-1])
		}
		return nil
	})
}

func TestRecords(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	update(t, s, func(tx *store.Tx) error {
		for _, task := range []string{"q", "q2", "a"} {
			for r := uint64(1); r <= 300; r++ {
				if err := tx.PutRecord(task, r, uint32(r%3), fmt.Appendf(nil, "%s/%d", task, r)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	err := s.View(func(tx *store.Tx) error {
		last, err := tx.LastRecords("q", 3, 1<<20)
		if err != nil {
			return err
		}
		want := [][]byte{[]byte("q/298"), []byte("q/299"), []byte("q/300")}
		if d := cmp.Diff(want, last); d != "" {
			t.Errorf("last records (-want +got):\n%s", d)
		}
		if none, err := tx.LastRecords("b", 3, 1<<20); len(none) != 0 || err != nil {
			t.Errorf("records of a task without any: %q, %v", none, err)
		}
		var rounds []uint64
		err = tx.RecordsOf("q", 299, func(r uint64, a uint32, json []byte) error {
			if a != uint32(r%3) || string(json) != fmt.Sprintf("q/%d", r) {
				t.Errorf("round %d: attempt %d, %s", r, a, json)
			}
			rounds = append(rounds, r)
			return nil
		})
		if d := cmp.Diff([]uint64{299, 300}, rounds); d != "" {
			t.Errorf("rounds (-want +got):\n%s", d)
		}
		if rec, err := tx.Record("q", 7, 1); string(rec) != "q/7" || err != nil {
			t.Errorf("record 7: %s, %v", rec, err)
		}
		if rec, err := tx.Record("q", 7, 2); rec != nil || err != nil {
			t.Errorf("record that is not there: %s, %v", rec, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(tx *store.Tx) error { return tx.PutRecord("q", 300, 0, []byte("other")) }); err == nil {
		t.Error("a record was rewritten")
	}
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	boom := errors.New("boom")
	err := s.Update(func(tx *store.Tx) error {
		if err := tx.PutState("q", []byte("half")); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) || errors.Is(err, store.ErrDisk) {
		t.Fatalf("got %v", err)
	}
	_ = s.View(func(tx *store.Tx) error {
		if v, err := tx.State("q"); v != nil || err != nil {
			t.Errorf("state %q, %v after a failed transaction", v, err)
		}
		return nil
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, k := range []string{"r2", "r1", "r3"} {
		update(t, s, func(tx *store.Tx) error { return tx.Put(store.Outbox, store.Key("q", k), []byte("envelope "+k)) })
	}
	update(t, s, func(tx *store.Tx) error { return tx.Delete(store.Outbox, store.Key("q", "r1")) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	var got []string
	if err := s.View(func(tx *store.Tx) error {
		return tx.ForEach(store.Outbox, "", func(_ string, env []byte) error { got = append(got, string(env)); return nil })
	}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"envelope r2", "envelope r3"}, got); d != "" {
		t.Errorf("outbox (-want +got):\n%s", d)
	}
}

func TestEmptyValueIsNotMissing(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	update(t, s, func(tx *store.Tx) error { return tx.Put(store.Meta, "k", nil) })
	_ = s.View(func(tx *store.Tx) error {
		if v, err := tx.Get(store.Meta, "k"); v == nil || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
		return nil
	})
}

func TestSecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	_, err := store.Open(dir, store.Options{})
	if !errors.Is(err, store.ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir)
	if err := s.PutBlob(blobID("x"), []byte("x"), true); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
