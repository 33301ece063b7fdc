package aggregator

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// olderTask writes the directory of a task of an older fedmq, whose content ids are plain
// SHA-256: a genesis, and a first round that is committed and has left a state. begun is
// whether the state of the task was saved, or a crash came before.
func olderTask(t *testing.T, cfg Config, begun bool) (last record.Record) {
	t.Helper()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte) model.Hash {
		id := model.HashOf(b)
		if err := st.PutBlob(id, b, true); err != nil {
			t.Fatal(err)
		}
		return id
	}
	init := cfg.Tasks[0].Init
	about, err := record.Describe("acme", "quality", init.Schema).Encode()
	if err != nil {
		t.Fatal(err)
	}
	list := []record.Record{{Work: workInit, OrderHash: record.Hash(about), Model: put(init.Blob)}}
	if begun {
		next := init.Clone()
		next.Blob[0] = 1
		list = append(list, record.Record{
			Round: 1, Attempt: 1, Epoch: 1, Work: "train", Base: list[0].Model, Model: put(next.Blob), Version: 1, State: put([]byte(olderState)),
			Strategy: record.Strategy{Name: "fedavg", Cap: 1 << 20, Weights: "samples"},
		})
	}
	prev := model.Hash{}
	err = st.Update(func(tx *store.Tx) error {
		for _, r := range list {
			r.Owner, r.Task, r.Verdict, r.Prev = "acme", "quality", record.Committed, prev
			s, err := r.Seal(nil)
			if err := errors.Join(err, tx.PutRecord("quality", r.Round, r.Attempt, s.Bytes)); err != nil {
				return err
			}
			last, prev = s.Record, s.Hash
		}
		if !begun {
			return nil
		}
		return tx.PutState("quality", []byte(`{"epoch":1,"round":2,"phase":"idle","base":"`+last.Model.String()+`","version":1,"record":"`+prev.String()+`","valid_from":1}`))
	})
	if err := errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
	return last
}

// olderState is what an optimiser has kept, a byte, and a strategy, which is nothing (F-17).
const olderState = "\x08momentum\x01\x00\x00\x00\x00\x00\x00\x00m\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// A task of an older fedmq goes on: its model and state have the ids of now, the chain
// says so in an adoption, and what was there keeps its name. Another start does nothing.
func TestOlderIDs(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"after a round": true, "after a crash before the first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := keptConfig(t)
			before := olderTask(t, cfg, begun)
			for range 2 {
				a, _, err := started(t, cfg)
				if err != nil {
					t.Fatal(err)
				}
				checkRenamed(t, a.order[0], before)
			}
			files, err := filepath.Glob(filepath.Join(cfg.DataDir, "records", "quality", "*.json"))
			if want := int(before.Round) + 2; err != nil || len(files) != want {
				t.Errorf("%d records, %v, want %d", len(files), err, want)
			}
		})
	}
}

func checkRenamed(t *testing.T, task *task, before record.Record) {
	t.Helper()
	base := model.ContentOf(task.base.Blob)
	if task.state.Base != base || task.state.Round != before.Round+2 || task.state.Phase != round.Idle || before.Model != model.HashOf(task.base.Blob) {
		t.Errorf("%+v, base %v", task.state, base)
	}
	r, err := record.Decode(readFile(t, filepath.Join(task.keeping.dir, "quality", exportName(before.Round+1, 0))))
	if err != nil || r.IDs != record.IDsTree || r.Verdict != record.Adopted || r.Base != before.Model || r.Model != base {
		t.Errorf("%+v, %v", r, err)
	}
	if before.State.IsZero() != r.State.IsZero() || !r.State.IsZero() && (r.State != model.ContentOf([]byte(olderState)) || string(task.sum.state) != olderState) {
		t.Errorf("state %v, %q", r.State, task.sum.state)
	}
	if _, err := task.a.store.PlainBlob(before.Model); err != nil {
		t.Errorf("the blob of before: %v", err)
	}
}

// A model of before that is torn is no reason to begin anew: the task says which.
func TestOlderIDsTorn(t *testing.T) {
	t.Parallel()
	cfg := keptConfig(t)
	before := olderTask(t, cfg, true)
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.PutBlob(before.Model, []byte("torn"), true); err != nil {
		t.Fatal(err)
	}
	if _, err := newAggregator(keptAs(cfg), st); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}
