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

// BlobReader reads a blob at any offset, without taking memory for all of it.
type BlobReader struct {
	src  Source
	size int64
}

// OpenBlob opens a blob for reading piece by piece: [ErrMissing] when it is not
// there. Nothing is hashed: whoever must know that the bytes are those that were
// stored checks what it reads, or calls [Store.HasBlob]. The caller closes it; a
// blob that is removed meanwhile can be read to the end.
func (s *Store) OpenBlob(id [32]byte) (*BlobReader, error) {
	_, name := blobName(id)
	src, size, err := s.disk.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: blob %x", ErrMissing, id)
	case err != nil:
		return nil, fmt.Errorf("store: open blob %x: %w", id, err)
	}
	return &BlobReader{src: src, size: size}, nil
}

// BlobAt fills p with the bytes of a blob from an offset on: [ErrMissing] when it is not
// there. As with [Store.OpenBlob] nothing is hashed.
func (s *Store) BlobAt(id [32]byte, p []byte, off int64) error {
	r, err := s.OpenBlob(id)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(io.NewSectionReader(r, off, int64(len(p))), p)
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("store: read blob %x: %w", id, err)
	}
	return nil
}

// Size is the number of bytes.
func (r *BlobReader) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt.
func (r *BlobReader) ReadAt(p []byte, off int64) (int, error) { return r.src.ReadAt(p, off) }

// Close ends the reading.
func (r *BlobReader) Close() error { return r.src.Close() }

// Partial is a blob whose bytes come in pieces, in any order. It lives in a file
// of tmp until [Partial.Commit], so that it takes no memory while it grows, and is
// gone after a crash. It is not safe for concurrent use.
type Partial struct {
	s    *Store
	f    File
	tmp  string
	size int64
}

// NewPartial makes room for a blob of size bytes. A failure is [ErrDisk].
func (s *Store) NewPartial(size int64) (*Partial, error) {
	if s.failed.Load() {
		return nil, fmt.Errorf("%w: an earlier write failed", ErrDisk)
	}
	tmp := path.Join(tmpDir, rand.Text())
	f, err := s.disk.Create(tmp)
	if err != nil {
		return nil, s.diskError("create "+tmp, err)
	}
	return &Partial{s: s, f: f, tmp: tmp, size: size}, nil
}

// Size is the number of bytes the blob will have.
func (p *Partial) Size() int64 { return p.size }

// WriteAt puts a piece in its place. One that reaches beyond the blob's size is
// a mistake of the caller and panics; a failure is [ErrDisk].
func (p *Partial) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off > p.size || int64(len(b)) > p.size-off {
		panic(fmt.Sprintf("store: %d bytes at %d of a blob of %d", len(b), off, p.size))
	}
	n, err := p.f.WriteAt(b, off)
	if err != nil {
		return n, p.s.diskError("write "+p.tmp, err)
	}
	return n, nil
}

// Commit makes the blob id of the pieces, as [Store.PutBlob] does of a slice: that
// they are its content the caller knows, who has hashed them as they came. It reads
// them back, and returns them; where the last ones were not written, it is
// [ErrCorrupt]. Whatever it returns, the Partial is used up.
func (p *Partial) Commit(id [32]byte, sync bool) ([]byte, error) {
	b := make([]byte, p.size)
	_, err := io.ReadFull(io.NewSectionReader(p.f, 0, p.size), b)
	if err != nil {
		err = fmt.Errorf("%w: the pieces of blob %x: %w", ErrCorrupt, id, err)
		return nil, errors.Join(err, p.Discard())
	}
	if sync {
		err = p.f.Sync()
	}
	if err := errors.Join(err, p.f.Close()); err != nil {
		return nil, p.s.diskError("write "+p.tmp, err)
	}
	return b, p.s.nameBlob(p.tmp, id, int(p.size), sync)
}

// Discard drops the pieces.
func (p *Partial) Discard() error {
	if err := errors.Join(p.f.Close(), p.s.disk.Remove(p.tmp)); err != nil {
		return p.s.diskError("remove "+p.tmp, err)
	}
	return nil
}

// contentOf reads size bytes through, a little at a time, and returns their content
// id. Fewer are an error.
func contentOf(r io.ReaderAt, size int64) (id [32]byte, err error) {
	leaves, b := model.NewLeaves(int((size + model.Leaf - 1) / model.Leaf))[:0], make([]byte, 64*model.Leaf) // it is there
	for off := int64(0); off < size; off += int64(len(b)) {
		b = b[:min(int64(len(b)), size-off)]
		if _, err := io.ReadFull(io.NewSectionReader(r, off, int64(len(b))), b); err != nil {
			return id, err
		}
		leaves = leaves.Append(b)
	}
	return leaves.ID(int(size)), nil
}
