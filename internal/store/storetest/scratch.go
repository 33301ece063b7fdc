package storetest

import (
	"io"
	"io/fs"
	"time"

	"github.com/fedmq/fedmq/internal/store"
)

// Scratch implements store.Disk. Its file is never synced.
func (d *Disk) Scratch(name string) (store.Scratch, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("scratch", name); err != nil {
		return nil, err
	}
	if d.now[name] != nil {
		return nil, &fs.PathError{Op: "scratch", Path: name, Err: fs.ErrExist}
	}
	d.now[name] = &inode{mod: time.Now()}
	return &scratch{d: d, ino: d.now[name], name: name}, nil
}

type scratch struct {
	d    *Disk
	ino  *inode
	name string
}

func (f *scratch) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do("write", f.name); err != nil {
		return 0, err
	}
	if end := int(off) + len(p); end > len(f.ino.cache) {
		f.ino.cache = append(f.ino.cache, make([]byte, end-len(f.ino.cache))...)
	}
	return copy(f.ino.cache[off:], p), nil
}

func (f *scratch) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do("read", f.name); err != nil {
		return 0, err
	}
	if off >= int64(len(f.ino.cache)) {
		return 0, io.EOF
	}
	n := copy(p, f.ino.cache[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *scratch) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.now[f.name] == nil {
		return fs.ErrClosed
	}
	delete(f.d.now, f.name)
	return nil
}
