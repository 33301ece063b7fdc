package aggregator

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// started is an aggregator that has read its disk, and its store.
func started(t *testing.T, cfg Config) (*aggregator, *store.Store, error) {
	t.Helper()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAggregator(keptAs(cfg), st)
	return a, st, errors.Join(err, st.Close())
}

// change changes state.db behind the aggregator's back.
func change(t *testing.T, cfg Config, fn func(*store.Tx) error) {
	t.Helper()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(st.Update(fn), st.Close()); err != nil {
		t.Fatal(err)
	}
}

func blobFile(cfg Config, id model.Hash) string {
	return filepath.Join(cfg.DataDir, "blobs", id.String()[:2], id.String())
}

// there says which of the blobs are on disk.
func there(cfg Config, ids ...model.Hash) (out []bool) {
	for _, id := range ids {
		_, err := os.Stat(blobFile(cfg, id))
		out = append(out, err == nil)
	}
	return out
}

// putBlob puts a blob on disk that is older than what the sweep spares.
func putBlob(t *testing.T, cfg Config, b string) model.Hash {
	t.Helper()
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id := model.ContentOf([]byte(b))
	err = st.PutBlob(id, []byte(b), false)
	old := time.Now().Add(-2 * sweepAfter)
	if err := errors.Join(err, os.Chtimes(blobFile(cfg, id), old, old), st.Close()); err != nil {
		t.Fatal(err)
	}
	return id
}

// A start takes from the digest what it would find in all records: without one,
// and with one that an older fedmq has not kept up, it is the same.
func TestDigest(t *testing.T) {
	t.Parallel()
	cfg := keptConfig(t)
	longTask(t, cfg, 3, 250)
	look := func() (digested, drawn, []version) {
		a, _, err := started(t, cfg)
		if err != nil {
			t.Fatal(err)
		}
		k := a.order[0].keeping
		return digested{k.end, k.count, k.curve.last}, k.curve.drawn, k.versions
	}
	end, curve, versions := look()
	if end.End != (place{true, 250, 1}) || end.Count != 251 || end.Last.Round != 250 || len(curve.Points) < 48 || len(versions) != 11 || versions[10].number != 250 {
		t.Fatalf("%+v, %d points, versions %v", end, len(curve.Points), versions)
	}
	key := func(rest string) string { return store.Key("quality", rest) }
	for name, forget := range map[string]func(*store.Tx) error{
		"of an older fedmq": func(tx *store.Tx) error {
			return errors.Join(tx.Delete(store.Task, key("digest")), tx.Delete(store.Task, key("curve")), tx.Clear(store.Held, ""))
		},
		"an older fedmq has added records": func(tx *store.Tx) error {
			var d digest
			d.task = "quality"
			for n := range uint64(249) { // the digest of round 1
				if err := tx.Delete(store.Held, d.versionKey(n+2)); err != nil {
					return err
				}
			}
			r, err := tx.Record("quality", 1, 1)
			if err != nil {
				return err
			}
			first, err := record.Decode(r)
			if err != nil {
				return err
			}
			p := pointOf(first)
			return errors.Join(put(tx, key("digest"), digested{place{true, 1, 1}, 2, &p}), put(tx, key("curve"), drawn{Points: []point{p}}))
		},
		"of a record that is not there": func(tx *store.Tx) error {
			return put(tx, key("digest"), digested{place{true, 900, 1}, 7, nil})
		},
	} {
		change(t, cfg, forget)
		e, c, v := look()
		if d := cmp.Diff([]any{end, curve, versions}, []any{e, c, v}, cmp.AllowUnexported(version{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// Updates that stay are known without their records; the start spares them, and
// what a task needs that is not configured now. What nobody names goes.
func TestSweepSparesWhatIsNamed(t *testing.T) {
	t.Parallel()
	cfg := keptConfig(t)
	longTask(t, cfg, 2, 5)
	stays, litter := putBlob(t, cfg, "1 0"), putBlob(t, cfg, "litter")
	// as longTask names it, in round 1
	r, err := record.Decode(readFile(t, filepath.Join(cfg.DataDir, "records", "quality", exportName(1, 1))))
	if err != nil || r.Entries[0].Content != model.ContentOf([]byte("1 0")) || stays != r.Entries[0].Content {
		t.Fatalf("%v, %v", r.Entries, err)
	}
	change(t, cfg, func(tx *store.Tx) error { // a directory of before
		return errors.Join(tx.Clear(store.Task, store.Key("quality", "digest")), tx.Clear(store.Held, ""))
	})
	other := keptAs(cfg)
	other.Tasks[0].Name = "other"
	for _, c := range []Config{other, cfg} { // not configured, then configured
		if _, _, err := started(t, c); err != nil {
			t.Fatal(err)
		}
		if got := there(cfg, stays, litter, r.Model, r.Base); !slices.Equal(got, []bool{true, false, true, true}) {
			t.Errorf("on disk: %v", got)
		}
		litter = putBlob(t, cfg, "litter")
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Two tasks whose blobs are the same bytes do not take them from each other.
func TestRemoveSparesOthers(t *testing.T) {
	t.Parallel()
	cfg := keptConfig(t)
	two := cfg.Tasks[0]
	two.Name = "two"
	cfg.Tasks = append(cfg.Tasks, two)
	st, err := store.Open(cfg.DataDir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a, err := newAggregator(keptAs(cfg), st)
	if err != nil {
		t.Fatal(err)
	}
	one, other := a.order[0].keeping, a.order[1].keeping
	blob := func(s string) model.Hash {
		id := model.ContentOf([]byte(s))
		if err := st.PutBlob(id, []byte(s), false); err != nil {
			t.Fatal(err)
		}
		return id
	}
	open, stays, version, mine := blob("of the other's open round"), blob("stays"), one.versions[0].content, blob("mine")
	other.onDisk[open] = true
	if err := st.Update(func(tx *store.Tx) error { return other.hold(tx, stays) }); err != nil {
		t.Fatal(err)
	}
	for _, id := range []model.Hash{open, stays, version, mine} {
		one.onDisk[id] = true
	}
	if err := one.retire(nil); err != nil {
		t.Fatal(err)
	}
	if got := there(cfg, open, stays, version, mine); !slices.Equal(got, []bool{true, true, true, false}) {
		t.Errorf("on disk: %v", got)
	}
}

// The start refuses a chain that is broken among the last records, exports again
// what is missing, and leaves older records to fedmq verify.
func TestStartChecksLastRecords(t *testing.T) {
	t.Parallel()
	cfg := keptConfig(t)
	longTask(t, cfg, 1, 150)
	file := func(n uint64) string { return filepath.Join(cfg.DataDir, "records", "quality", exportName(n, 1)) }
	old, late := readFile(t, file(10)), readFile(t, file(140))
	if err := errors.Join(os.Remove(file(10)), os.WriteFile(file(140), []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := started(t, cfg); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, file(10)), old) || !bytes.Equal(readFile(t, file(140)), late) {
		t.Error("what was exported is not what state.db has")
	}
	tamper := func(n uint64) {
		change(t, cfg, func(tx *store.Tx) error {
			raw, err := tx.Record("quality", n, 1)
			if err != nil {
				return err
			}
			return tx.Put(store.Records, store.RecordKey("quality", n, 1), bytes.Replace(raw, []byte(`"epoch":1`), []byte(`"epoch":2`), 1))
		})
	}
	tamper(10)
	if _, _, err := started(t, cfg); err != nil {
		t.Errorf("a record that is not read: %v", err)
	}
	tamper(100)
	if _, _, err := started(t, cfg); !errors.Is(err, record.ErrChain) || !strings.Contains(fmt.Sprint(err), "round 101, attempt 1") {
		t.Errorf("a record that is read: %v", err)
	}
}
