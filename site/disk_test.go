package site

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
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
	st := state{
		Seen: stamp{1 << 63, 2, 3}, OrderHash: model.Hash(hash("o")), Instance: named("x"), Counter: 9, Welcomed: true, WelcomeEpoch: 4, Index: 5,
		FromRound: 6, FromAttempt: 7, Over: over{Key: key{2, base.ContentID(), workTrain}, Attempt: 3, Verdict: "counted", Refused: true},
	}
	e := entry{Round: 1, Attempt: 2, Base: base.ContentID(), Work: workTrain, Content: content("u")}
	e2 := e
	e2.Round = 300
	for _, err := range []error{
		d.PutEntry("a", e, []byte("one")), d.PutEntry("a", e2, []byte("two")), d.PutEntry("b", e, []byte("three")),
		d.PutModel("a", base.ContentID(), base), d.PutModel("b", base.ContentID(), base), d.Save("a", &st, nil), d.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d = open()
	s, err := d.Load("a")
	want := saved{State: st, Entries: []entry{e, e2}, Model: stored{base.ContentID(), base.Schema.Hash()}}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Fatalf("%+v\nwant %+v, %v", s, want, err)
	}
	if b, err := d.Envelope("a", 300); err != nil || string(b) != "two" {
		t.Fatalf("%q, %v", b, err)
	}
	m, err := d.Model("a")
	if err != nil || !m.Schema.Equal(base.Schema) || m.Schema[0].Rule != base.Schema[0].Rule || !bytes.Equal(m.Blob, base.Blob) {
		t.Fatalf("%+v, %v", m, err)
	}
	next := weights(t, 3, 4)
	if err := errors.Join(d.Save("a", nil, []uint64{1}), d.PutModel("a", next.ContentID(), next)); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Load("a"); err != nil || len(s.Entries) != 1 || s.State != st || s.Model.Content != next.ContentID() {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := d.Envelope("a", 1); err == nil {
		t.Fatal("a dropped envelope is still there")
	}
	if m, err := d.Model("b"); err != nil || !bytes.Equal(m.Blob, base.Blob) {
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
		m := weights(t, x, 0)
		if err := d.PutModel("a", m.ContentID(), m); err != nil {
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
	if s, err := d.Load("a"); err != nil || s.Model != (stored{}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := d.Model("a"); err == nil || !isGone(err) {
		t.Errorf("%v", err)
	}
}
