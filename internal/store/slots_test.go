package store_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
)

// Stages that come and go share one file: each reads back its own bytes, wherever they are
// put and how often, what one leaves is taken by the next, and the file goes with the
// staging.
func TestStagesShareAFile(t *testing.T) {
	t.Parallel()
	disk := storetest.New()
	g := openOn(t, t.TempDir(), disk).NewStaging(5000, nil)
	rng := rand.New(rand.NewPCG(1, 1))
	var stages []*store.Stage
	var want [][]byte
	drop := func(i int) {
		release(t, stages[i])
		stages, want = slices.Delete(stages, i, i+1), slices.Delete(want, i, i+1)
	}
	check := func(i int) {
		t.Helper()
		if got, err := stages[i].Read(nil); err != nil || !bytes.Equal(got, want[i]) {
			t.Fatalf("a stage of %d reads back other bytes: %v", len(want[i]), err)
		}
		for off := 0; off < len(want[i]); {
			b, err := stages[i].View(off, 1, 100_000)
			if err != nil || len(b) == 0 || !bytes.Equal(b, want[i][off:off+len(b)]) {
				t.Fatalf("a stage of %d shows %d other bytes at %d: %v", len(want[i]), len(b), off, err)
			}
			off += len(b)
		}
	}
	for range 60 {
		switch i := rng.IntN(8); {
		case i < len(stages) && i < 5: // over what is there
			at := rng.IntN(len(want[i]))
			b := bytes.Repeat([]byte{byte(rng.Uint32())}, 1+rng.IntN(len(want[i])-at))
			if err := stages[i].WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
			copy(want[i][at:], b)
			check(i)
		case i < len(stages):
			drop(i)
		default:
			st := g.Stage(1 + rng.IntN(300_000))
			stages, want = append(stages, st), append(want, make([]byte, st.Len()))
			for end := st.Len(); end > 0; { // the last bytes first
				at := max(0, end-1-rng.IntN(150_000))
				b := bytes.Repeat([]byte{byte(rng.Uint32())}, end-at)
				if err := st.WriteAt(b, at); err != nil {
					t.Fatal(err)
				}
				end = at
				copy(want[len(want)-1][at:], b)
			}
			check(len(stages) - 1)
		}
	}
	for i := range stages {
		check(i)
	}
	for len(stages) > 0 {
		drop(0)
	}
	if left, err := disk.List("tmp"); len(left) != 1 || err != nil {
		t.Errorf("in tmp for the next ones: %v, %v", left, err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := disk.List("tmp"); len(left) > 0 || err != nil {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

// What is written where nothing was is in slots that others have left, before new ones.
func TestSlotsAreUsedAgain(t *testing.T) {
	t.Parallel()
	disk := storetest.New()
	g := openOn(t, t.TempDir(), disk).NewStaging(0, nil)
	stay := create(t, g, 100)
	for range 20 {
		release(t, create(t, g, 100))
	}
	left, err := disk.List("tmp")
	if err != nil || len(left) != 1 {
		t.Fatalf("%d files, %v", len(left), err)
	}
	b, err := disk.ReadFile("tmp/" + left[0].Name)
	if want := 4<<10 + 100; err != nil || len(b) != want {
		t.Errorf("the file has %d bytes, want %d: two slots, %v", len(b), want, err)
	}
	release(t, stay)
}

// A file that has grown large goes when no slot is taken: what a crowd of updates has
// needed once is not kept for ever.
func TestLargeStagingFileGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g := open(t, dir).NewStaging(0, nil)
	size := func() (n int64) {
		fds, err := filepath.Glob("/proc/self/fd/*")
		if err != nil || len(fds) == 0 {
			t.Skip("no list of open files")
		}
		for _, fd := range fds { // it has no name
			if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) && strings.Contains(to, "(deleted)") {
				if info, err := os.Stat(fd); err == nil {
					n += info.Size()
				}
			}
		}
		return n
	}
	small, large := g.Stage(1<<20), g.Stage(65<<20)
	for _, st := range []*store.Stage{small, large} {
		if err := st.WriteAt([]byte{1}, 0); err != nil {
			t.Fatal(err)
		}
	}
	release(t, small)
	release(t, large)
	if n := size(); n == 0 {
		t.Error("the file of two slots has gone")
	}
	if err := large.Clear(0, large.Len()); err != nil {
		t.Fatal(err)
	}
	release(t, large)
	if n := size(); n != 0 {
		t.Errorf("a file of %d bytes is kept", n)
	}
}
