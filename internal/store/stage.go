package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
// all of them share, beyond it a file in tmp without a name and without fsync.
// What is staged is lost with the process. It is not safe for concurrent use,
// and neither are its stages.
type Staging struct {
	store  *Store
	budget int // bytes of memory not in use
	spent  func([]byte)
	buf    []byte // of View
	slots  slots
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
// as far as the budget goes, and the rest in slots of the file.
type Stage struct {
	staging *Staging
	length  int
	pieces  []piece // by offset; none overlaps another
}

// piece is n bytes of a blob in memory, or in a slot.
type piece struct {
	off, n int
	b      []byte // nil: in the slot
	from   []byte // b lies in it
	at     int64  // of the slot
}

func (p piece) end() int { return p.off + p.n }

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
	st.insert(piece{off: off, n: len(p), b: p, from: from})
	return true, nil
}

func (st *Stage) insert(p piece) { st.pieces = slices.Insert(st.pieces, st.at(p.off), p) }

// WriteAt puts a copy of p at an offset; it panics when p would lie outside. A failure
// is [ErrDisk].
func (st *Stage) WriteAt(p []byte, off int) (err error) {
	st.check(off, len(p))
	for len(p) > 0 && err == nil {
		n := st.gap(off, len(p))
		switch {
		case n == 0:
			n, err = st.over(st.pieces[st.at(off)], p, off)
		case n <= st.staging.budget:
			b := bytes.Clone(p[:n])
			_, err = st.Put(b, b, off)
		default:
			n = min(n, slotBytes)
			at := st.staging.slots.take(n)
			st.insert(piece{off: off, n: n, at: at})
			err = st.staging.write(p[:n], at)
		}
		p, off = p[n:], off+n
	}
	return err
}

// over puts the first bytes of p in place of those that are there, and returns how many.
func (st *Stage) over(is piece, p []byte, off int) (n int, err error) {
	if is.b != nil {
		return copy(is.b[off-is.off:], p), nil
	}
	n = min(len(p), is.end()-off)
	return n, st.staging.write(p[:n], is.at+int64(off-is.off))
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
	if i := st.at(off); i < len(st.pieces) && st.pieces[i].off <= off && st.pieces[i].b != nil {
		if b := st.pieces[i].b[off-st.pieces[i].off:]; len(b) >= least {
			return b[:min(len(b), most)], nil
		}
	}
	g := st.staging
	g.buf = sized(g.buf, max(st.together(off, min(most, st.length-off)), least))
	return g.buf, st.ReadAt(g.buf, off)
}

// together returns how many of the n bytes from an offset on come before the next piece
// in memory.
func (st *Stage) together(off, n int) int {
	for _, p := range st.pieces[st.at(off):] {
		if p.off >= off+n {
			break
		}
		if p.b != nil {
			return max(p.off-off, 0)
		}
	}
	return n
}

// ReadAt fills p with the bytes from an offset on, with any where none were put; it
// panics when p would lie outside. A failure is [ErrDisk].
func (st *Stage) ReadAt(p []byte, off int) (err error) {
	st.check(off, len(p))
	for len(p) > 0 && err == nil {
		n := st.gap(off, len(p))
		if n == 0 {
			is := st.pieces[st.at(off)]
			if n = min(len(p), is.end()-off); is.b != nil {
				copy(p[:n], is.b[off-is.off:])
			} else {
				err = st.staging.read(p[:n], is.at+int64(off-is.off))
			}
		}
		p, off = p[n:], off+n
	}
	return err
}

// Release gives the room back; the stage must not be used any more.
func (st *Stage) Release() error {
	g := st.staging
	for _, p := range st.pieces {
		if p.b == nil {
			g.slots.leave(p.at, p.n)
			continue
		}
		g.budget += len(p.from)
		g.spent(p.from)
	}
	st.pieces = nil
	return g.rest()
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
