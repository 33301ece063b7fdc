package store_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

// create is a stage with all of its bytes.
func create(t *testing.T, g *store.Staging, n int) *store.Stage {
	t.Helper()
	st := g.Stage(n)
	fill(t, st, uint64(n))
	return st
}

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
		g := s.NewStaging(2500, nil)
		var stages []*store.Stage
		var want [][]byte
		for i := range 4 { // in memory, in memory, in both, in a file
			st := g.Stage(1000 + i)
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

// What is put is kept where it lies as far as the memory goes, of all stages together. It
// is given back once, whole, when its stage is released, and its room used again.
func TestStagingBudget(t *testing.T) {
	t.Parallel()
	var spent []*byte
	g := open(t, t.TempDir()).NewStaging(1000, func(b []byte) { spent = append(spent, &b[0]) })
	put := func(st *store.Stage, off, n int, want bool) *byte {
		t.Helper()
		message := make([]byte, n+10)
		for i := range message {
			message[i] = byte(off)
		}
		kept, err := st.Put(message[10:], message, off)
		if err != nil || kept != want {
			t.Fatalf("%d bytes at %d: kept %v, want %v, %v", n, off, kept, want, err)
		}
		return &message[0]
	}
	for range 3 {
		spent = spent[:0]
		a, b := g.Stage(900), g.Stage(900)
		first := put(a, 300, 300, true)
		second := put(b, 0, 470, true)
		put(a, 0, 300, false) // 210 bytes are left
		third := put(b, 470, 190, true)
		put(b, 660, 240, false)
		put(a, 600, 300, false)
		for i, st := range []*store.Stage{a, b} {
			got, err := st.Read(nil)
			want := append(append(bytes.Repeat([]byte{0}, 300), bytes.Repeat([]byte{300 % 256}, 300)...), bytes.Repeat([]byte{600 % 256}, 300)...)
			if i == 1 {
				want = append(append(bytes.Repeat([]byte{0}, 470), bytes.Repeat([]byte{470 % 256}, 190)...), bytes.Repeat([]byte{660 % 256}, 240)...)
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("stage %d has other bytes, %v", i, err)
			}
		}
		release(t, a)
		release(t, b)
		if !slices.Equal(spent, []*byte{first, second, third}) {
			t.Errorf("%d messages were given back, want the 3 that were kept", len(spent))
		}
	}
}

// Bytes are shown where they lie, as many as lie together, and gathered where a value lies
// in two pieces.
func TestStageView(t *testing.T) {
	t.Parallel()
	g := open(t, t.TempDir()).NewStaging(60, nil)
	st := g.Stage(100)
	var message []byte
	for _, at := range []int{0, 27, 77, 54} { // the last is in a file
		m := make([]byte, min(27, 100-at))
		for i := range m {
			m[i] = byte(at + i)
		}
		if at == 77 {
			m = m[:23]
		}
		if at == 54 {
			m = m[:23]
		}
		kept, err := st.Put(m, m, at)
		if err != nil || kept != (at < 54) {
			t.Fatalf("at %d: kept %v, %v", at, kept, err)
		}
		if at == 0 {
			message = m
		}
	}
	for _, c := range []struct{ off, least, most, want int }{
		{0, 8, 100, 27}, {0, 8, 16, 16}, {19, 8, 100, 8}, {20, 8, 100, 8}, {27, 4, 100, 27}, {52, 4, 20, 4}, {54, 8, 100, 46}, {54, 8, 10, 10}, {92, 8, 100, 8}, {100, 0, 8, 0},
	} {
		b, err := st.View(c.off, c.least, c.most)
		if err != nil || len(b) != c.want {
			t.Errorf("%+v: %d bytes, %v", c, len(b), err)
		}
		for i := range b {
			if int(b[i]) != c.off+i {
				t.Fatalf("%+v: byte %d is %d", c, i, b[i])
			}
		}
	}
	if b, _ := st.View(1, 8, 100); &b[0] != &message[1] {
		t.Error("what lies in memory was copied")
	}
}

// A stage takes room with its bytes: those that are promised and do not come take
// none, and give none back.
func TestStageWithoutBytes(t *testing.T) {
	t.Parallel()
	spent := 0
	g := open(t, t.TempDir()).NewStaging(10, func([]byte) { spent++ })
	empty := g.Stage(10)
	if got, err := empty.Read(nil); err != nil || len(got) != 10 {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	for i := range 2 {
		st := g.Stage(10)
		b := make([]byte, 10)
		if kept, err := st.Put(b, b, 0); err != nil || kept != (i == 0) {
			t.Errorf("stage %d in memory: %v, %v; there is room for one", i, kept, err)
		}
	}
	if release(t, empty); spent > 0 {
		t.Error("what was never put was given back")
	}
}

// TestStagingFiles: files leave nothing behind, neither closed nor open.
func TestStagingFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	g := s.NewStaging(0, nil)
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
	st := create(t, open(t, t.TempDir()).NewStaging(0, nil), 10)
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
		g := s.NewStaging(0, nil)
		disk.Fail(func(o, _ string) error {
			if o == op {
				return errors.New("no space left on device")
			}
			return nil
		})
		st := g.Stage(3)
		err = st.WriteAt([]byte("abc"), 0)
		if err == nil {
			_, err = st.Read(nil)
		}
		if !errors.Is(err, store.ErrDisk) {
			t.Errorf("%s: %v, want ErrDisk", op, err)
		}
		disk.Fail(nil)
		if err := g.Stage(3).WriteAt([]byte("abc"), 0); !errors.Is(err, store.ErrDisk) {
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
		g := s.NewStaging(memory, nil)
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
