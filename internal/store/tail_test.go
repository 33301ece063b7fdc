package store_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
)

// Records are found from their end without reading those before: the last ones by
// number and by bytes, the place of the last one, the places of all, and the
// tasks that have any.
func TestRecordsFromTheirEnd(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if err := s.Update(func(tx *store.Tx) error {
		for round := range uint64(9) {
			for _, task := range []string{"a", "a-b", "b"} {
				if err := tx.PutRecord(task, round, 1, bytes.Repeat([]byte("r"), 100)); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.View(func(tx *store.Tx) error {
		for _, c := range []struct{ n, size, want int }{{3, 1e6, 3}, {100, 1e6, 9}, {100, 350, 3}, {100, 1, 1}, {0, 1e6, 0}} {
			if got, err := tx.LastRecords("a", c.n, c.size); err != nil || len(got) != c.want {
				t.Errorf("at most %d, of %d bytes: %d records, %v", c.n, c.size, len(got), err)
			}
		}
		for task, want := range map[string]bool{"a": true, "b": true, "a-": false, "": false, "c": false} {
			round, attempt, found, err := tx.LastRecordPlace(task)
			if err != nil || found != want || found && (round != 8 || attempt != 1) {
				t.Errorf("last of %q: %d, %d, %v, %v", task, round, attempt, found, err)
			}
		}
		n := 0
		err := tx.RecordPlaces("a-b", func(round uint64, attempt uint32) error {
			if round != uint64(n) || attempt != 1 {
				t.Errorf("place %d: %d, %d", n, round, attempt)
			}
			n++
			return nil
		})
		tasks, taskErr := tx.Tasks()
		if n != 9 || !slices.Equal(tasks, []string{"a", "a-b", "b"}) {
			t.Errorf("%d places, tasks %q", n, tasks)
		}
		return errors.Join(err, taskErr)
	}); err != nil {
		t.Fatal(err)
	}
}
