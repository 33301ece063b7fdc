package virtual

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/record"
)

// A data directory of layout 1 has the members within the state. They move, and
// a round that was open goes on.
func TestFormerLayout(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		for i, m := range slices.Backward(three) {
			w.join(m, walker{takes: time.Duration(1+i*20) * time.Second})
			time.Sleep(time.Second) // the indices are not in path order
		}
		w.client("watch", own("round")).awaitView("one update of round 2", 5*time.Minute, func(v view) bool { return v.Round == 2 && v.Accepted == 1 })
		w.end(aggregatorName)
		before := w.members()
		w.former()
		w.aggregate(w.task())
		w.finished(10 * time.Minute)
		w.endAll()
		after := w.members()
		for i, m := range three {
			if before[2-i].Path != m || after[2-i].Path != m || len(after) != 3 || after[i].Counter < before[i].Counter {
				t.Errorf("members %+v became %+v", before, after)
			}
		}
		if recs := w.history(); len(recs) != 5 || counted(recs[2]) != 3 || recs[2].Verdict != record.Committed {
			t.Error(w.story())
		}
	})
}

// members reads those on the aggregator's disk, by index.
func (w *world) members() (list []round.Member) {
	w.t.Helper()
	w.onDisk(func(tx *store.Tx) error {
		return tx.MembersOf(taskName, func(_ uint32, raw []byte) error {
			var m round.Member
			err := json.Unmarshal(raw, &m)
			list = append(list, m)
			return err
		})
	})
	return list
}

// former makes the aggregator's directory one of layout 1.
func (w *world) former() {
	w.t.Helper()
	list := w.members()
	w.onDisk(func(tx *store.Tx) error {
		raw, err := tx.State(taskName)
		check(w.t, err)
		var st map[string]json.RawMessage
		check(w.t, json.Unmarshal(raw, &st))
		st["members"], err = json.Marshal(list)
		check(w.t, err)
		raw, err = json.Marshal(st)
		check(w.t, err)
		check(w.t, tx.PutState(taskName, raw))
		check(w.t, tx.Clear(store.Members, ""))
		return tx.Put(store.Meta, "schema", []byte{1})
	})
}

// onDisk opens the aggregator's directory after its end.
func (w *world) onDisk(do func(*store.Tx) error) {
	w.t.Helper()
	st, err := store.Open(filepath.Join(w.dir, aggregatorName), store.Options{})
	check(w.t, err)
	check(w.t, st.Update(do))
	check(w.t, st.Close())
}
