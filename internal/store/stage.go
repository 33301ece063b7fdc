package store

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sort"

	"github.com/fedmq/fedmq/model"
)

// Scratch is a file for bytes that need not survive the process: it goes when
// it is closed, and with the process at the latest at the next start.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Staging is room for blobs that arrive in parts: memory up to a budget that
// all of them share, beyond it files in tmp without names and without fsync.
// What is staged is lost with the process. It is not safe for concurrent use,
// and neither are its stages.
type Staging struct {
	store  *Store
	budget int // bytes of memory not in use
	spent  func([]byte)
	buf    []byte // of View
}

// NewStaging returns staging room with so many bytes of memory. Spent is given each piece
// of it that is not used any more; nil for nobody.
func (s *Store) NewStaging(memory int, spent func([]byte)) *Staging {
	if spent == nil {
		spent = func([]byte) {}
	}
	return &Staging{store: s, budget: memory, spent: spent}
}

// Stage returns a place for a blob of length bytes. It takes memory, or a file, as bytes
// are put there: of many blobs that were promised few arrive at a time.
func (g *Staging) Stage(length int) *Stage { return &Stage{staging: g, length: length} }

// Stage is a blob on its way in. What came lies in the memory that it came in, in pieces,
// as far as the budget goes, and the rest in a file.
type Stage struct {
	staging *Staging
	length  int
	pieces  []piece // by offset; none overlaps another
	file    Scratch // nil: nothing was written to it
	name    string
}

// piece is bytes of a blob in memory.
type piece struct {
	off  int
	b    []byte
	from []byte // b lies in it
}

func (p piece) end() int { return p.off + len(p.b) }

// Len returns the blob's length in bytes.
func (st *Stage) Len() int { return st.length }

// check panics when n bytes at an offset would lie outside.
func (st *Stage) check(off, n int) {
	if off < 0 || n > st.length-off {
		panic(fmt.Sprintf("store: %d bytes at %d of a stage of %d", n, off, st.length))
	}
}

// at returns the first piece that ends behind an offset, by its place.
func (st *Stage) at(off int) int {
	return sort.Search(len(st.pieces), func(i int) bool { return st.pieces[i].end() > off })
}

// gap returns how many of the n bytes from an offset on come before the first piece.
func (st *Stage) gap(off, n int) int {
	if i := st.at(off); i < len(st.pieces) {
		n = min(n, max(st.pieces[i].off-off, 0))
	}
	return n
}

// Put puts p at an offset; it panics when p would lie outside. Where there is memory for
// it, p, which lies in from, is kept as it is, and from is not the caller's any more.
// A failure is [ErrDisk].
func (st *Stage) Put(p, from []byte, off int) (kept bool, err error) {
	st.check(off, len(p))
	g := st.staging
	if len(p) == 0 || st.gap(off, len(p)) < len(p) || len(from) > g.budget {
		return false, st.WriteAt(p, off)
	}
	g.budget -= len(from)
	st.pieces = slices.Insert(st.pieces, st.at(off), piece{off, p, from})
	return true, nil
}

// WriteAt puts a copy of p at an offset; it panics when p would lie outside. A failure
// is [ErrDisk].
func (st *Stage) WriteAt(p []byte, off int) error {
	st.check(off, len(p))
	for len(p) > 0 {
		n := st.gap(off, len(p))
		switch {
		case n == 0:
			is := st.pieces[st.at(off)]
			n = copy(is.b[off-is.off:], p)
		case n <= st.staging.budget:
			b := bytes.Clone(p[:n])
			if _, err := st.Put(b, b, off); err != nil {
				return err
			}
		default:
			if err := st.write(p[:n], off); err != nil {
				return err
			}
		}
		p, off = p[n:], off+n
	}
	return nil
}

// write writes to the file.
func (st *Stage) write(p []byte, off int) error {
	s := st.staging.store
	if s.failed.Load() {
		return fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	if st.file == nil {
		name := path.Join(tmpDir, rand.Text())
		f, err := s.disk.Scratch(name)
		if err != nil {
			return s.diskError("make the staging file "+name, err)
		}
		st.file, st.name = f, name
	}
	if _, err := st.file.WriteAt(p, int64(off)); err != nil {
		return s.diskError("write the staging file "+st.name, err)
	}
	return nil
}

// moveBlock is how much is cleared or copied at a time.
const moveBlock = 256 << 10

// Clear makes n bytes from an offset on zeros.
func (st *Stage) Clear(off, n int) error {
	return st.move(off, n, func(b []byte, _ int) error { clear(b); return nil })
}

// CopyFrom copies n bytes of another stage.
func (st *Stage) CopyFrom(other *Stage, from, to, n int) error {
	return st.move(to, n, func(b []byte, at int) error { return other.ReadAt(b, from+at) })
}

func (st *Stage) move(to, n int, fill func(b []byte, at int) error) error {
	b := make([]byte, min(n, moveBlock))
	for at := 0; at < n; at += len(b) {
		b = b[:min(len(b), n-at)]
		if err := fill(b, at); err != nil {
			return err
		}
		if err := st.WriteAt(b, to+at); err != nil {
			return err
		}
	}
	return nil
}

// Read copies all of the blob into buf, which is grown if it is too small, and
// returns the blob. A failure is [ErrDisk].
func (st *Stage) Read(buf []byte) ([]byte, error) {
	buf = sized(buf, st.length)
	return buf, st.ReadAt(buf, 0)
}

// View shows bytes from an offset on where they lie: as many as lie together, least or
// more of them and most at most, until the next call for any stage. A failure is [ErrDisk].
func (st *Stage) View(off, least, most int) ([]byte, error) {
	st.check(off, least)
	if i := st.at(off); i < len(st.pieces) && st.pieces[i].off <= off {
		if b := st.pieces[i].b[off-st.pieces[i].off:]; len(b) >= least {
			return b[:min(len(b), most)], nil
		}
	}
	g := st.staging
	g.buf = sized(g.buf, max(st.gap(off, min(most, st.length-off)), least))
	return g.buf, st.ReadAt(g.buf, off)
}

// ReadAt fills p with the bytes from an offset on, with any where none were put; it
// panics when p would lie outside. A failure is [ErrDisk].
func (st *Stage) ReadAt(p []byte, off int) error {
	st.check(off, len(p))
	for len(p) > 0 {
		n := st.gap(off, len(p))
		if n == 0 {
			is := st.pieces[st.at(off)]
			n = copy(p, is.b[off-is.off:])
		} else if st.file != nil {
			if _, err := io.ReadFull(io.NewSectionReader(st.file, int64(off), int64(n)), p[:n]); err != nil {
				return st.staging.store.diskError("read the staging file "+st.name, err)
			}
		}
		p, off = p[n:], off+n
	}
	return nil
}

// Release gives the room back; the stage must not be used any more.
func (st *Stage) Release() error {
	g := st.staging
	for _, p := range st.pieces {
		g.budget += len(p.from)
		g.spent(p.from)
	}
	st.pieces = nil
	if st.file == nil {
		return nil
	}
	if err := st.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return g.store.diskError("close the staging file "+st.name, err)
	}
	return nil
}

// BlobInto is [Store.Blob] into buf, which is grown if it is too small.
func (s *Store) BlobInto(id [32]byte, buf []byte) ([]byte, error) {
	_, name := blobName(id)
	f, size, err := s.disk.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: blob %x", ErrMissing, id)
	}
	if err != nil {
		return nil, fmt.Errorf("store: read blob %x: %w", id, err)
	}
	buf = sized(buf, int(size))
	_, err = io.ReadFull(f, buf)
	switch err = errors.Join(err, f.Close()); {
	case err != nil:
		return nil, fmt.Errorf("store: read blob %x: %w", id, err)
	case model.ContentOf(buf) != id:
		return nil, fmt.Errorf("%w: blob %s has other bytes than its name says", ErrCorrupt, name)
	}
	return buf, nil
}

// sized returns n bytes, those of buf if it has as many.
func sized(buf []byte, n int) []byte {
	if cap(buf) < n {
		return make([]byte, n)
	}
	return buf[:n]
}
