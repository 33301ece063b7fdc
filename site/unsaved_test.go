package site

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Rounds that are jotted down have no more files than others: two of the last transaction
// and two of the last jot. What another task or the model after the next has a use for
// stays, and the end of the process takes nothing.
func TestJotsLetGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "node")
	if err != nil {
		t.Fatal(err)
	}
	a, b := &task{Task: Task{Name: "a"}}, &task{Task: Task{Name: "b"}}
	s := &site{disk: d, tasks: []*task{a, b}, cfg: Config{Now: time.Now}, start: time.Now()}
	write := func(what float32) model.Hash {
		m := weights(t, what, 0)
		if err := d.Write(m.ContentID(), m.Blob); err != nil {
			t.Fatal(err)
		}
		return m.ContentID()
	}
	round := func(on *task, n uint64, base float32) (id model.Hash) {
		t.Helper()
		on.unsaved.State = &member.State{Counter: n}
		s.later(on, change{Drop: []uint64{n - 1}, Model: &keptModel{layout: layout{Content: write(base), Schema: weights(t, 1, 0).Schema}}})
		id = write(1000 + float32(n))
		e := member.Entry{Round: n, Content: id, Blob: wire.BlobKey{1}}
		if err := s.putEntry(on, wire.Header{Round: n}, e, []byte("envelope")); err != nil {
			t.Fatal(err)
		}
		return id
	}
	there := func(id model.Hash) bool { _, err := d.Update(id); return err == nil }
	round(b, 1, 77) // a transaction: the first of this life
	round(b, 2, 5)  // and a jot
	var last model.Hash
	for i, base := range []float32{1, 2, 3, 5, 6, 7, 6, 8, 7} { // 5 is the other task's too
		n := uint64(i + 1)
		last = round(a, n, base)
		if !there(last) || !there(weights(t, base, 0).ContentID()) {
			t.Fatalf("round %d: model or update is gone", n)
		}
		files := 0
		err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				files++
			}
			return err
		})
		if err != nil || files > 4+4 {
			t.Errorf("round %d: %d files, want four of each task at most, %v", n, files, err)
		}
	}
	if !there(weights(t, 5, 0).ContentID()) {
		t.Error("the model of the other task is gone")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err = openDisk(dir, "node")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for name, want := range map[string]float32{"a": 7, "b": 5} {
		if _, id, err := d.Model(name); err != nil || id != weights(t, want, 0).ContentID() {
			t.Errorf("task %s has the model %v, %v", name, id, err)
		}
	}
	had, err := d.Load("a")
	if _, lost := d.Update(last); errors.Join(err, lost) != nil || len(had.Entries) != 1 || had.Entries[0].Content != last {
		t.Errorf("entries %v, %v, %v", had.Entries, err, lost)
	}
}
