package aggregator

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// inState counts the blobs in the state.
func inState(t *testing.T, st *store.Store) (n int) {
	t.Helper()
	if err := st.View(func(tx *store.Tx) error {
		return tx.ForEach(store.Fresh, "", func(string, []byte) error { n++; return nil })
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// Blobs stay in the state until their files are synced, many at once, or removed.
func TestFreshLeavesTheState(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	var f fresh
	var ids []model.Hash
	record := func(list ...string) {
		t.Helper()
		for _, s := range list {
			b := blob{model.ContentOf([]byte(s)), []byte(s)}
			f.coming, ids = append(f.coming, b), append(ids, b.id)
		}
		if err := st.Update(f.write); err != nil {
			t.Fatal(err)
		}
		f.took()
		if err := f.follow(st); err != nil {
			t.Fatal(err)
		}
	}
	for i := range mostUnsynced - 1 {
		record(fmt.Sprint("model ", i))
	}
	if n := inState(t, st); n != mostUnsynced-1 {
		t.Errorf("%d in the state", n)
	}
	f.forget(ids[0])
	f.forget(model.Hash{1})                                                           // an update, which never was there
	if err := errors.Join(st.RemoveBlob(ids[0]), st.RemoveBlob(ids[1])); err != nil { // the second by somebody
		t.Fatal(err)
	}
	record("model", "state") // enough to be synced
	if n := inState(t, st); n != mostUnsynced {
		t.Errorf("%d in the state, and one was removed", n)
	}
	record()
	if n := inState(t, st); n != 0 {
		t.Errorf("%d stay in the state", n)
	}
	record("last")
	if err := f.rest(st); err != nil || inState(t, st) != 0 {
		t.Errorf("at the end: %v, %d in the state", err, inState(t, st))
	}
	for i, id := range ids {
		if st.HasBlob(id) != (i > 1) {
			t.Errorf("file %d is there: %t", i, i <= 1)
		}
	}
}
