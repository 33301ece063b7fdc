package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

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
	budget int    // bytes of memory not in use
	spare  []byte // of a stage released last, still counted as used
}

// NewStaging returns staging room with so many bytes of memory.
func (s *Store) NewStaging(memory int) *Staging { return &Staging{store: s, budget: memory} }

// Stage returns a place for a blob of length bytes. It takes memory, or a file, with the
// first bytes that are put there: of many blobs that were promised few arrive at a time.
// Where the budget has no room, memory of lender comes before a file.
func (g *Staging) Stage(length int, lender Lender) *Stage {
	return &Stage{staging: g, length: length, lender: lender}
}

// Lender has memory that is free for a while.
type Lender interface {
	Lend(n int) []byte // n bytes, or nil
	Return(b []byte)   // what was lent is free again
}

// Stage is a blob on its way in.
type Stage struct {
	staging *Staging
	length  int
	lender  Lender
	lent    bool    // mem is the lender's
	mem     []byte  // nil: in a file, or nothing was put there
	file    Scratch // nil: in memory, or nothing was put there
	name    string
}

// make takes room for the blob. Only a file can fail, with [ErrDisk].
func (st *Stage) make() error {
	g := st.staging
	if st.mem != nil || st.file != nil || st.length == 0 {
		return nil
	}
	if st.length == len(g.spare) {
		st.mem, g.spare = g.spare, nil
		return nil
	}
	if st.length > g.budget {
		g.budget += len(g.spare)
		g.spare = nil
	}
	if st.length <= g.budget {
		g.budget -= st.length
		st.mem = make([]byte, st.length)
		return nil
	}
	if st.lender != nil {
		if st.mem = st.lender.Lend(st.length); st.mem != nil {
			st.lent = true
			return nil
		}
	}
	if g.store.failed.Load() {
		return fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	name := path.Join(tmpDir, rand.Text())
	f, err := g.store.disk.Scratch(name)
	if err != nil {
		return g.store.diskError("make the staging file "+name, err)
	}
	st.file, st.name = f, name
	return nil
}

// Len returns the blob's length in bytes.
func (st *Stage) Len() int { return st.length }

// Bytes returns the blob itself where it lies in memory, until Release; else nil.
func (st *Stage) Bytes() []byte { return st.mem }

// WriteAt puts p at an offset; it panics when p would lie outside. A failure
// is [ErrDisk].
func (st *Stage) WriteAt(p []byte, off int) error {
	if off < 0 || len(p) > st.length-off {
		panic(fmt.Sprintf("store: %d bytes at %d of a stage of %d", len(p), off, st.length))
	}
	if err := st.make(); err != nil {
		return err
	}
	if st.file == nil {
		copy(st.mem[off:], p)
		return nil
	}
	if st.staging.store.failed.Load() {
		return fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	if _, err := st.file.WriteAt(p, int64(off)); err != nil {
		return st.staging.store.diskError("write the staging file "+st.name, err)
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

// ReadAt fills p with the bytes from an offset on, with any where none were put; it
// panics when p would lie outside. A failure is [ErrDisk].
func (st *Stage) ReadAt(p []byte, off int) error {
	if off < 0 || len(p) > st.length-off {
		panic(fmt.Sprintf("store: %d bytes at %d of a stage of %d", len(p), off, st.length))
	}
	if st.file == nil {
		copy(p, st.mem[min(off, len(st.mem)):])
		return nil
	}
	if _, err := io.ReadFull(io.NewSectionReader(st.file, int64(off), int64(len(p))), p); err != nil {
		return st.staging.store.diskError("read the staging file "+st.name, err)
	}
	return nil
}

// Release gives the room back; the stage must not be used any more.
func (st *Stage) Release() error {
	if st.file != nil {
		if err := st.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			return st.staging.store.diskError("close the staging file "+st.name, err)
		}
		return nil
	}
	if st.mem == nil {
		return nil
	}
	if st.lent {
		st.lender.Return(st.mem)
		st.mem = nil
		return nil
	}
	g := st.staging
	g.budget += len(g.spare)
	g.spare, st.mem = st.mem, nil // updates of one task are all of one length
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
