package store_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
)

// fill writes a blob of n bytes in parts of any order, some of them twice.
func fill(t *testing.T, st *store.Stage, seed uint64) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	want := make([]byte, st.Len())
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	const part = 100
	for i := range (len(want) + part - 1) / part {
		for range 1 + i%2 {
			if err := st.WriteAt(want[part*i:min(part*(i+1), len(want))], part*i); err != nil {
				t.Fatal(err)
			}
		}
	}
	return want
}

// create is a stage with its first byte.
func create(t *testing.T, g *store.Staging, n int) *store.Stage {
	t.Helper()
	st := g.Stage(n, nil)
	if err := st.WriteAt(make([]byte, min(n, 1)), 0); err != nil {
		t.Fatal(err)
	}
	return st
}

// inMemory reports where a stage lies.
func inMemory(st *store.Stage) bool { return st.Bytes() != nil || st.Len() == 0 }

func release(t *testing.T, st *store.Stage) {
	t.Helper()
	if err := st.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestStage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, disk := range map[string]store.Disk{"files": nil, "test disk": storetest.New()} {
		s, err := store.Open(filepath.Join(dir, name), store.Options{Disk: disk})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		g := s.NewStaging(2500)
		var stages []*store.Stage
		var want [][]byte
		for i, memory := range []bool{true, true, false, false} {
			st := create(t, g, 1000+i)
			if inMemory(st) != memory {
				t.Errorf("%s: stage %d in memory: %v, want %v", name, i, inMemory(st), memory)
			}
			stages = append(stages, st)
			want = append(want, fill(t, st, uint64(i)))
		}
		buf := make([]byte, 0, 1001)
		for i, st := range stages {
			got, err := st.Read(buf)
			if err != nil || !bytes.Equal(got, want[i]) {
				t.Errorf("%s: stage %d reads back other bytes: %v", name, i, err)
			}
			if reused := &got[0] == &buf[:1][0]; reused != (len(got) <= cap(buf)) {
				t.Errorf("%s: stage %d: the buffer of %d was reused: %v", name, i, cap(buf), reused)
			}
			release(t, st)
		}
	}
}

// TestStagingBudget: what is released can be used again, for blobs of the same
// length and for others.
func TestStagingBudget(t *testing.T) {
	t.Parallel()
	g := open(t, t.TempDir()).NewStaging(1000)
	for _, n := range []int{1000, 1000, 600, 400, 0, 1000} {
		st := create(t, g, n)
		if !inMemory(st) {
			t.Errorf("%d bytes with nothing else staged went to a file", n)
		}
		release(t, st)
	}
	a, b := create(t, g, 600), create(t, g, 400)
	over := create(t, g, 1)
	if !inMemory(a) || !inMemory(b) || inMemory(over) {
		t.Errorf("600, 400 and 1 of 1000 in memory: %v %v %v", inMemory(a), inMemory(b), inMemory(over))
	}
	release(t, b)
	if c := create(t, g, 401); inMemory(c) {
		t.Error("401 in memory beside 600 of 1000")
	}
	if c := create(t, g, 400); !inMemory(c) {
		t.Error("400 not in memory beside 600 of 1000")
	}
}

// A stage takes room with its first bytes: those that are promised and do not come take
// none, and give none back.
func TestStageWithoutBytes(t *testing.T) {
	t.Parallel()
	g := open(t, t.TempDir()).NewStaging(10)
	empty := g.Stage(10, nil)
	if got, err := empty.Read(nil); err != nil || len(got) != 10 || empty.Bytes() != nil {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	a := create(t, g, 10)
	release(t, empty)
	if b := create(t, g, 10); !inMemory(a) || inMemory(b) {
		t.Errorf("in memory: %v, and another %v; there is room for one", inMemory(a), inMemory(b))
	}
}

// one lends what it has.
type one struct{ mem []byte }

func (o *one) Lend(n int) (b []byte) {
	if len(o.mem) < n {
		return nil
	}
	b, o.mem = o.mem[:n], nil
	return b
}

func (o *one) Return(b []byte) { o.mem = b[:cap(b)] }

// Beyond the budget memory that is lent comes before a file, and goes back to its lender.
func TestStageInLentMemory(t *testing.T) {
	t.Parallel()
	g, lender := open(t, t.TempDir()).NewStaging(10), &one{make([]byte, 10)}
	for range 2 {
		var stages []*store.Stage
		for i, memory := range []bool{true, true, false} {
			st := g.Stage(9+i%2, lender)
			want := fill(t, st, uint64(i))
			if got, err := st.Read(nil); err != nil || !bytes.Equal(got, want) || inMemory(st) != memory {
				t.Errorf("stage %d: %v, in memory %v, want %v", i, err, inMemory(st), memory)
			}
			stages = append(stages, st)
		}
		if lender.mem != nil {
			t.Error("nothing was lent")
		}
		for _, st := range stages {
			release(t, st)
		}
		if len(lender.mem) != 10 {
			t.Error("what was lent is not given back")
		}
	}
}

// TestStagingFiles: files leave nothing behind, neither closed nor open.
func TestStagingFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	g := s.NewStaging(0)
	st, other := create(t, g, 10), create(t, g, 10)
	fill(t, st, 1)
	fill(t, other, 2)
	release(t, st)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v %v", left, err)
	}
	release(t, other)
}

func TestStagePanicsOutside(t *testing.T) {
	t.Parallel()
	st := create(t, open(t, t.TempDir()).NewStaging(0), 10)
	for _, at := range []int{-1, 8, 11} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("3 bytes at %d of 10 were written", at)
				}
			}()
			_ = st.WriteAt([]byte("abc"), at)
		}()
	}
}

// TestStageOnAFailedDisk: every failure is ErrDisk, for ever.
func TestStageOnAFailedDisk(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"scratch", "write", "read"} {
		disk := storetest.New()
		s, err := store.Open(t.TempDir(), store.Options{Disk: disk})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		g := s.NewStaging(0)
		disk.Fail(func(o, _ string) error {
			if o == op {
				return errors.New("no space left on device")
			}
			return nil
		})
		st := g.Stage(3, nil)
		err = st.WriteAt([]byte("abc"), 0)
		if err == nil {
			_, err = st.Read(nil)
		}
		if !errors.Is(err, store.ErrDisk) {
			t.Errorf("%s: %v, want ErrDisk", op, err)
		}
		disk.Fail(nil)
		if err := g.Stage(3, nil).WriteAt([]byte("abc"), 0); !errors.Is(err, store.ErrDisk) {
			t.Errorf("%s, afterwards: %v, want ErrDisk", op, err)
		}
	}
}

func TestBlobInto(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	id := blobID("weights")
	if _, err := s.BlobInto(id, nil); !errors.Is(err, store.ErrMissing) {
		t.Errorf("before: %v", err)
	}
	if err := s.PutBlob(id, []byte("weights"), true); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for _, b := range [][]byte{nil, buf} {
		got, err := s.BlobInto(id, b)
		if err != nil || string(got) != "weights" {
			t.Errorf("got %q, %v", got, err)
		}
		if b != nil && &got[0] != &buf[0] {
			t.Error("the buffer was not used")
		}
	}
	if err := os.WriteFile(blobFile(dir, id), []byte("Weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BlobInto(id, buf); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("torn: %v, want ErrCorrupt", err)
	}
}

// What is cleared and copied lies where it should, in memory and in a file, also where
// another blob lay there.
func TestStageFill(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const n = 600 << 10
	for _, memory := range []int{0, n, 2 * n} {
		g := s.NewStaging(memory)
		a, b := create(t, g, n), create(t, g, n)
		had, want := fill(t, a, 1), fill(t, b, 2)
		clear(want[100 : 100+n/2])
		copy(want[n-1000:], had[7:1007])
		copy(want[:50], had[n-50:])
		for _, err := range []error{b.Clear(100, n/2), b.CopyFrom(a, 7, n-1000, 1000), b.CopyFrom(a, n-50, 0, 50), b.Clear(n, 0)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, err := b.Read(nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of memory: other bytes, %v", memory, err)
		}
		release(t, a)
		release(t, b)
	}
}
