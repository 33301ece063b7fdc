package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// slotBytes is the most that a slot has room for: a part of the default size has one of
// its own. Slots are whole pages.
const (
	slotBytes = 128 << 10
	slotPage  = 4 << 10

	keptSlots = 64 << 20 // bytes of a file that stays
)

// slots are places in one file for what is staged beyond the memory. Of its size the one
// that was left last is taken first, so that bytes go where pages are, in memory and on the
// disk. When no slot is taken the file goes, unless it is small: the next round finds its
// pages.
type slots struct {
	file  Scratch // nil: none is taken
	name  string
	end   int64
	taken int
	free  [slotBytes/slotPage + 1][]int64 // by pages
}

func pagesOf(n int) int { return (n + slotPage - 1) / slotPage }

// take returns where a slot for n bytes is.
func (s *slots) take(n int) (at int64) {
	s.taken++
	free := &s.free[pagesOf(n)]
	if last := len(*free) - 1; last >= 0 {
		at, *free = (*free)[last], (*free)[:last]
		return at
	}
	at = s.end
	s.end += int64(pagesOf(n)) * slotPage
	return at
}

func (s *slots) leave(at int64, n int) {
	s.taken--
	s.free[pagesOf(n)] = append(s.free[pagesOf(n)], at)
}

// write writes to the file.
func (g *Staging) write(p []byte, at int64) error {
	s := g.store
	if s.failed.Load() {
		return fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	if g.slots.file == nil {
		name := path.Join(tmpDir, rand.Text())
		f, err := s.disk.Scratch(name)
		if err != nil {
			return s.diskError("make the staging file "+name, err)
		}
		g.slots.file, g.slots.name = f, name
	}
	if _, err := g.slots.file.WriteAt(p, at); err != nil {
		return s.diskError("write the staging file "+g.slots.name, err)
	}
	return nil
}

// read reads from the file.
func (g *Staging) read(p []byte, at int64) error {
	if _, err := io.ReadFull(io.NewSectionReader(g.slots.file, at, int64(len(p))), p); err != nil {
		return g.store.diskError("read the staging file "+g.slots.name, err)
	}
	return nil
}

// rest closes the file where no slot is taken, and it is not small.
func (g *Staging) rest() error {
	if g.slots.taken > 0 || g.slots.end <= keptSlots {
		return nil
	}
	return g.Close()
}

// Close lets go of the file. What was staged there is lost.
func (g *Staging) Close() error {
	f, name := g.slots.file, g.slots.name
	if f == nil {
		return nil
	}
	g.slots = slots{}
	if err := f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return g.store.diskError("close the staging file "+name, err)
	}
	return nil
}
