package site

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Both disks keep what they promise; the one of a directory over a restart.
func TestDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		open func(t *testing.T) func() disk
	}{
		{"memory", func(*testing.T) func() disk { d := &memory{}; return func() disk { return d } }},
		{"directory", func(t *testing.T) func() disk {
			dir := t.TempDir()
			return func() disk {
				d, err := openDisk(dir, "acme/berlin")
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkDisk(t, c.open(t))
		})
	}
}

func checkDisk(t *testing.T, open func() disk) {
	d := open()
	if s, err := d.Load("a"); err != nil || !reflect.DeepEqual(s, saved{}) {
		t.Fatalf("%+v, %v", s, err)
	}
	base := weights(t, 1, 2)
	st := member.State{
		Seen: wire.Stamp{Epoch: 1 << 63, Round: 2, Attempt: 3}, OrderHash: model.Hash(hash("o")), Instance: named("x"), Counter: 9, Welcomed: true, WelcomeEpoch: 4, Index: 5,
		FromRound: 6, FromAttempt: 7, Over: member.Over{Key: member.Key{Round: 2, Base: base.ContentID(), Work: wire.WorkTrain}, Attempt: 3, Verdict: "counted", Refused: true},
	}
	e := member.Entry{Round: 1, Attempt: 2, Base: base.ContentID(), Work: wire.WorkTrain, Content: content("u")}
	e2 := e
	e2.Round = 300
	for _, err := range []error{
		putEntry(d, "a", e, []byte("one")), putEntry(d, "a", e2, []byte("two")), putEntry(d, "b", e, []byte("three")),
		keep(d, "a", base), keep(d, "b", base), d.Save("a", change{State: &st}), d.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d = open()
	s, err := d.Load("a")
	want := saved{State: st, Entries: []member.Entry{e, e2}, Model: member.Stored{Content: base.ContentID(), Schema: base.Schema.Hash()}}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Fatalf("%+v\nwant %+v, %v", s, want, err)
	}
	if b, err := d.Envelope("a", 300); err != nil || string(b) != "two" {
		t.Fatalf("%q, %v", b, err)
	}
	m, id, err := d.Model("a")
	if err != nil || id != base.ContentID() || !m.Schema.Equal(base.Schema) || m.Schema[0].Rule != base.Schema[0].Rule || !bytes.Equal(m.Blob, base.Blob) {
		t.Fatalf("%+v, %v", m, err)
	}
	next := weights(t, 3, 4)
	if err := errors.Join(d.Save("a", change{Drop: []uint64{1}}), keep(d, "a", next)); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Load("a"); err != nil || len(s.Entries) != 1 || s.State != st || s.Model.Content != next.ContentID() {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := d.Envelope("a", 1); err == nil {
		t.Fatal("a dropped envelope is still there")
	}
	if m, _, err := d.Model("b"); err != nil || !bytes.Equal(m.Blob, base.Blob) {
		t.Fatalf("another task's model: %v", err)
	}
	if s, err := d.Load("b"); err != nil || len(s.Entries) != 1 {
		t.Fatalf("another task's outbox: %+v, %v", s, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// A directory serves one node, and one process.
func TestDirectoryIsOnesOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "acme/berlin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDisk(dir, "acme/berlin"); !errors.Is(err, store.ErrLocked) {
		t.Errorf("open twice: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openDisk(dir, "acme/munich"); err == nil || !strings.Contains(err.Error(), "belongs to acme/berlin") {
		t.Errorf("another node: %v", err)
	}
}

// A model whose bytes have rotted counts as missing, and old ones go.
func TestModelRots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "acme/berlin")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, x := range []float32{1, 2, 3} {
		m := filled(t, inState/4+1, x)
		if err := keep(d, "a", m); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Load("a"); err != nil || s.Model != (member.Stored{}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, _, err := d.Model("a"); err == nil || !isGone(err) {
		t.Errorf("%v", err)
	}
}

// A small model is no file. It comes and goes in one transaction, beside models
// that are.
func TestSmallModelIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "acme/berlin")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range []*model.Model{
		filled(t, inState/4, 1), filled(t, inState/4, 2), filled(t, inState/4+1, 3), filled(t, inState/4+1, 4), weights(t, 5, 6), filled(t, inState/4+1, 3),
	} {
		if err := keep(d, "a", m); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if d, err = openDisk(dir, "acme/berlin"); err != nil {
			t.Fatal(err)
		}
		s, err := d.Load("a")
		if err != nil || s.Model != (member.Stored{Content: m.ContentID(), Schema: m.Schema.Hash()}) {
			t.Errorf("model %d: %+v, %v", i, s, err)
		}
		if got, id, err := d.Model("a"); err != nil || id != m.ContentID() || !bytes.Equal(got.Blob, m.Blob) {
			t.Errorf("model %d: %v, %v", i, id, err)
		}
		want := 0
		if len(m.Blob) > inState {
			want = 1
		}
		if files := blobs(t, dir); len(files) != want {
			t.Errorf("model %d of %d bytes: %v", i, len(m.Blob), files)
		}
		err = d.s.View(func(tx *store.Tx) error {
			b, err := tx.Get(store.Task, store.Key("a", bytesKey))
			if (b == nil) != (want == 1) {
				t.Errorf("model %d: %d bytes in the state", i, len(b))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Bytes that are not the model's are as good as none.
	m := weights(t, 7, 8)
	if err := keep(d, "a", m); err != nil {
		t.Fatal(err)
	}
	if err := d.s.Update(func(tx *store.Tx) error { return tx.Put(store.Task, store.Key("a", bytesKey), []byte("rot")) }); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Load("a"); err != nil || s.Model != (member.Stored{}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, _, err := d.Model("a"); err == nil || !isGone(err) {
		t.Errorf("%v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// blobs lists the files of a data directory's blobs.
func blobs(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// An offered update's bytes live as long as an entry or a model names them.
func TestUpdatesOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "acme/berlin")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	put := func(task string, round uint64, m *model.Model) {
		t.Helper()
		id := m.ContentID()
		if err := d.Write(id, m.Blob); err != nil {
			t.Fatal(err)
		}
		if err := putEntry(d, task, member.Entry{Round: round, Content: id, Blob: wire.BlobKey{1}}, []byte("offer")); err != nil {
			t.Fatal(err)
		}
	}
	zeros, other := filled(t, inState/4+1, 0), filled(t, inState/4+1, 1)
	put("a", 1, zeros)
	put("b", 1, zeros)
	put("a", 2, other)
	if err := keep(d, "a", zeros); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if err := d.Part(other.ContentID(), b, 8); err != nil || !bytes.Equal(b, other.Blob[8:12]) {
		t.Fatalf("% x, %v", b, err)
	}
	if err := d.Part(other.ContentID(), b, inState+2); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("beyond its end: %v", err)
	}
	if got, err := d.Update(other.ContentID()); err != nil || !bytes.Equal(got, other.Blob) {
		t.Errorf("%v", err)
	}
	want := func(after string, n int) {
		t.Helper()
		if files := blobs(t, dir); len(files) != n {
			t.Errorf("after %s: %d blobs, want %d", after, len(files), n)
		}
	}
	want("three entries and a model", 2)
	if err := d.Save("a", change{Drop: []uint64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	want("one task's entries were settled", 1)
	if err := d.Part(other.ContentID(), b, 0); !errors.Is(err, store.ErrMissing) {
		t.Errorf("a dropped update: %v", err)
	}
	next := filled(t, inState/4+1, 2)
	if err := keep(d, "a", next); err != nil {
		t.Fatal(err)
	}
	want("another model", 2) // task b still offers the zeros
	put("b", 1, other)
	want("the entry was made again", 2)
	if err := d.Save("b", change{Drop: []uint64{1}}); err != nil {
		t.Fatal(err)
	}
	want("all was settled", 1)
}

// An entry that survives a power loss has all of its update's bytes, if they were
// synced; else it has them, or says that it has not.
func TestUpdateIsDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // state.db is real and always synced
	lost := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 4))
		files := storetest.New()
		open := func() boltDisk {
			t.Helper()
			s, err := store.Open(dir, store.Options{Disk: files})
			if err != nil {
				t.Fatal(err)
			}
			return boltDisk{s, map[string]*mark{}}
		}
		d := open()
		m := weights(t, float32(seed), 1)
		id := m.ContentID()
		err := d.Write(id, m.Blob)
		if err == nil {
			err = putEntry(d, "a", member.Entry{Round: seed, Content: id, Blob: wire.BlobKey{1}}, []byte("offer"))
		}
		synced := rng.IntN(2) == 0
		if synced {
			err = errors.Join(err, d.Sync(id))
		}
		if err = errors.Join(err, d.Close()); err != nil {
			t.Fatal(err)
		}
		files.Crash(rng)
		d = open()
		b, err := d.Update(id)
		if synced && err != nil || err != nil && !isGone(err) || err == nil && !bytes.Equal(b, m.Blob) {
			t.Errorf("seed %d, synced %t: %v", seed, synced, err)
		}
		if err != nil {
			lost++
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if lost == 0 {
		t.Error("no power loss took anything")
	}
}

// What an entry names is not swept; what a crash has left unnamed is.
func TestSweepKnowsUpdates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "acme/berlin")
	if err != nil {
		t.Fatal(err)
	}
	named, unnamed := weights(t, 1, 1), weights(t, 2, 2)
	for _, m := range []*model.Model{named, unnamed} {
		if err := d.Write(m.ContentID(), m.Blob); err != nil {
			t.Fatal(err)
		}
	}
	e := member.Entry{Round: 1, Content: named.ContentID(), Blob: wire.BlobKey{1}}
	if err := errors.Join(putEntry(d, "a", e, []byte("offer")), d.Close()); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, f := range blobs(t, dir) {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if d, err = openDisk(dir, "acme/berlin"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if files := blobs(t, dir); len(files) != 1 || !strings.HasSuffix(files[0], named.ContentID().String()) {
		t.Errorf("%v", files)
	}
}

// A model in parts becomes the task's model with all of its bytes, whether it is put
// together in memory or, as large ones are, in a file.
func TestModelInParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := openDisk(dir, "acme/berlin")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	old, m := weights(t, 0, 0), weights(t, 1, 2)
	if err := keep(d, "a", old); err != nil {
		t.Fatal(err)
	}
	size := len(m.Blob)
	file := func() incoming {
		in, err := d.Receive(int64(size))
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	for name, room := range map[string]func() incoming{"memory": func() incoming { return &receiving{make([]byte, size)} }, "file": file} {
		in := room()
		for i := size - 1; i >= 0; i-- {
			if _, err := in.WriteAt(m.Blob[i:i+1], int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		if b, stored, err := in.Commit(m.ContentID()); err != nil || !bytes.Equal(b, m.Blob) || stored != (name == "file") {
			t.Errorf("%s: stored %t, %v", name, stored, err)
		}
	}
	if _, _, err := file().Commit(m.ContentID()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("nothing of it was written: %v", err)
	}
	cut := wire.Blob{Length: uint64(size), Data: 1000, Hashes: bytes.Repeat([]byte{7}, wire.PartHash)}
	k := layoutOf(m.ContentID(), m, &cut)
	k.InState = false // it came into a file
	if err := d.Save("a", change{Model: k}); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Load("a"); err != nil || !s.Cut.Equal(cut) {
		t.Errorf("cut as %+v, %v", s.Cut, err)
	}
	if got, id, err := d.Model("a"); err != nil || id != m.ContentID() || !bytes.Equal(got.Blob, m.Blob) || got.Schema[0].Rule != m.Schema[0].Rule {
		t.Errorf("%+v, %v", got, err)
	}
	if files := blobs(t, dir); len(files) != 1 {
		t.Errorf("%v", files)
	}
}
