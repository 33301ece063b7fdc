package store

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
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

// Create makes room for length bytes. Only a file can fail, with [ErrDisk].
func (g *Staging) Create(length int) (*Stage, error) {
	if length == len(g.spare) && length > 0 {
		st := &Stage{staging: g, length: length, mem: g.spare}
		g.spare = nil
		return st, nil
	}
	if length > g.budget {
		g.budget += len(g.spare)
		g.spare = nil
	}
	if length <= g.budget {
		g.budget -= length
		return &Stage{staging: g, length: length, mem: make([]byte, length)}, nil
	}
	if g.store.failed.Load() {
		return nil, fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	name := path.Join(tmpDir, rand.Text())
	f, err := g.store.disk.Scratch(name)
	if err != nil {
		return nil, g.store.diskError("make the staging file "+name, err)
	}
	return &Stage{staging: g, length: length, file: f, name: name}, nil
}

// Stage is a blob on its way in.
type Stage struct {
	staging *Staging
	length  int
	mem     []byte
	file    Scratch // nil: it is in memory
	name    string
}

// Len returns the blob's length in bytes.
func (st *Stage) Len() int { return st.length }

// InMemory reports whether the blob counts towards the memory budget.
func (st *Stage) InMemory() bool { return st.file == nil }

// WriteAt puts p at an offset; it panics when p would lie outside. A failure
// is [ErrDisk].
func (st *Stage) WriteAt(p []byte, off int) error {
	if off < 0 || len(p) > st.length-off {
		panic(fmt.Sprintf("store: %d bytes at %d of a stage of %d", len(p), off, st.length))
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
	if st.file == nil {
		copy(buf, st.mem)
		return buf, nil
	}
	if _, err := io.ReadFull(io.NewSectionReader(st.file, 0, int64(st.length)), buf); err != nil {
		return nil, st.staging.store.diskError("read the staging file "+st.name, err)
	}
	return buf, nil
}

// ReadAt fills p with the bytes from an offset on; it panics when p would lie
// outside. A failure is [ErrDisk].
func (st *Stage) ReadAt(p []byte, off int) error {
	if off < 0 || len(p) > st.length-off {
		panic(fmt.Sprintf("store: %d bytes at %d of a stage of %d", len(p), off, st.length))
	}
	if st.file == nil {
		copy(p, st.mem[off:])
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
	case sha256.Sum256(buf) != id:
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
