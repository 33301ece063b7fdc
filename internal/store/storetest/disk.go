// Package storetest has a disk for tests that loses what was not synced.
//
// Give a [Disk] to store.Options, and call [Disk.Crash] for a power loss: what
// Sync and SyncDir have not made durable is then kept, dropped, cut short or
// filled with zeros, each at random under a seed. It lives in memory and never
// touches real files.
package storetest

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fedmq/fedmq/internal/store"
)

// inode is a file: what is in the page cache, and what is on the platter.
type inode struct {
	cache, synced []byte
	mod           time.Time
}

// Disk is a store.Disk in memory. The zero value is not usable, see [New].
type Disk struct {
	mu    sync.Mutex
	now   map[string]*inode // names as processes see them
	safe  map[string]*inode // names that SyncDir made durable
	dirs  map[string]bool   // directories; true once their own name is durable
	fault func(op, name string) error
	ops   []string
}

var _ store.Disk = (*Disk)(nil)

// New returns an empty disk.
func New() *Disk {
	return &Disk{now: map[string]*inode{}, safe: map[string]*inode{}, dirs: map[string]bool{".": true}}
}

// Fail makes f decide over every operation from now on: a non-nil error is
// returned by it. op is mkdir, create, reopen, open, write, sync, rename, syncdir,
// read, remove, list or scratch. nil mends the disk.
func (d *Disk) Fail(f func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// Ops returns the operations done so far, "op name" each.
func (d *Disk) Ops() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ops)
}

// do notes an operation and asks for its fault; d.mu is held.
func (d *Disk) do(op, name string) error {
	d.ops = append(d.ops, op+" "+name)
	if d.fault != nil {
		return d.fault(op, name)
	}
	return nil
}

// Crash is a power loss: names and bytes not synced survive or not, as rng
// says. The disk can be used again, as after a reboot.
func (d *Disk) Crash(rng *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lost := map[string]bool{}
	for _, dir := range sortedKeys(d.dirs) {
		if lost[path.Dir(dir)] || (!d.dirs[dir] && rng.IntN(2) == 0) {
			lost[dir] = true
			delete(d.dirs, dir)
		}
	}
	after := map[string]*inode{}
	for _, name := range sortedKeys(d.now, d.safe) {
		ino := d.safe[name]
		if now := d.now[name]; now != ino && rng.IntN(2) == 0 {
			ino = now // the change of the name made it, a removal included
		}
		if ino != nil && !lost[path.Dir(name)] {
			after[name] = ino
		}
	}
	for _, name := range sortedKeys(after) {
		ino := after[name]
		if !bytes.Equal(ino.cache, ino.synced) {
			ino.cache = torn(rng, ino)
		}
		ino.synced = ino.cache
	}
	d.now, d.safe = after, map[string]*inode{}
	for name, ino := range after {
		d.safe[name] = ino
	}
	for dir := range d.dirs {
		d.dirs[dir] = true
	}
}

// torn is what a reboot finds of a file that was not synced.
func torn(rng *rand.Rand, ino *inode) []byte {
	switch rng.IntN(4) {
	case 0:
		return ino.synced
	case 1:
		return bytes.Clone(ino.cache[:rng.IntN(len(ino.cache)+1)])
	case 2: // the length made it, some pages did not
		b := bytes.Clone(ino.cache)
		from := rng.IntN(len(b) + 1)
		clear(b[from : from+rng.IntN(len(b)-from+1)])
		return b
	default:
		return ino.cache
	}
}

func sortedKeys[V any](ms ...map[string]V) []string {
	var keys []string
	for _, m := range ms {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// MkdirAll implements store.Disk.
func (d *Disk) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("mkdir", dir); err != nil {
		return err
	}
	for at := path.Clean(dir); at != "."; at = path.Dir(at) {
		if _, ok := d.dirs[at]; !ok {
			d.dirs[at] = false
		}
	}
	return nil
}

// Create implements store.Disk.
func (d *Disk) Create(name string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("create", name); err != nil {
		return nil, err
	}
	if _, ok := d.dirs[path.Dir(name)]; !ok {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrNotExist}
	}
	if d.now[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	ino := &inode{mod: time.Now()}
	d.now[name] = ino
	return &file{d: d, ino: ino, name: name}, nil
}

// Reopen implements store.Disk.
func (d *Disk) Reopen(name string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("reopen", name); err != nil {
		return nil, err
	}
	ino := d.now[name]
	if ino == nil {
		return nil, &fs.PathError{Op: "reopen", Path: name, Err: fs.ErrNotExist}
	}
	return &file{d: d, ino: ino, name: name}, nil
}

// Open implements store.Disk.
func (d *Disk) Open(name string) (store.Source, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("open", name); err != nil {
		return nil, 0, err
	}
	ino := d.now[name]
	if ino == nil {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f := &file{d: d, ino: ino, name: name}
	size := int64(len(ino.cache))
	return &source{file: f, Reader: io.NewSectionReader(f, 0, size)}, size, nil
}

// source reads an open file, from its begin on and at any offset.
type source struct {
	*file
	io.Reader
}

// Rename implements store.Disk.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("rename", to); err != nil {
		return err
	}
	if _, ok := d.dirs[path.Dir(to)]; !ok || d.now[from] == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.now[to] = d.now[from]
	delete(d.now, from)
	return nil
}

// SyncFile implements store.Disk.
func (d *Disk) SyncFile(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("sync", name); err != nil {
		return err
	}
	ino := d.now[name]
	if ino == nil {
		return &fs.PathError{Op: "sync", Path: name, Err: fs.ErrNotExist}
	}
	ino.synced = bytes.Clone(ino.cache)
	return nil
}

// SyncDir implements store.Disk.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("syncdir", dir); err != nil {
		return err
	}
	for _, name := range sortedKeys(d.now, d.safe) {
		if path.Dir(name) != dir {
			continue
		}
		if ino := d.now[name]; ino != nil {
			d.safe[name] = ino
		} else {
			delete(d.safe, name)
		}
	}
	for sub := range d.dirs {
		if path.Dir(sub) == dir && sub != "." {
			d.dirs[sub] = true
		}
	}
	return nil
}

// ReadFile implements store.Disk.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("read", name); err != nil {
		return nil, err
	}
	ino := d.now[name]
	if ino == nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return bytes.Clone(ino.cache), nil
}

// Remove implements store.Disk.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("remove", name); err != nil {
		return err
	}
	if d.now[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(d.now, name)
	return nil
}

// List implements store.Disk.
func (d *Disk) List(dir string) ([]store.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.do("list", dir); err != nil {
		return nil, err
	}
	var es []store.Entry
	for _, name := range sortedKeys(d.now) {
		if path.Dir(name) == dir {
			es = append(es, store.Entry{Name: path.Base(name), ModTime: d.now[name].mod})
		}
	}
	for _, sub := range sortedKeys(d.dirs) {
		if path.Dir(sub) == dir && sub != "." && !strings.HasPrefix(sub, "..") {
			es = append(es, store.Entry{Name: path.Base(sub), Dir: true})
		}
	}
	return es, nil
}

// file is an open file of a Disk.
type file struct {
	d    *Disk
	ino  *inode
	name string
}

func (f *file) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do("write", f.name); err != nil {
		f.ino.cache = append(f.ino.cache, p[:len(p)/2]...) // a short write
		return len(p) / 2, err
	}
	f.ino.cache = append(f.ino.cache, p...)
	return len(p), nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.do("write", f.name)
	if err != nil {
		p = p[:len(p)/2] // a short write
	}
	b := bytes.Clone(f.ino.cache) // what is synced keeps its bytes
	if more := int(off) + len(p) - len(b); more > 0 {
		b = append(b, make([]byte, more)...)
	}
	copy(b[off:], p)
	f.ino.cache = b
	return len(p), err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.do("read", f.name); err != nil {
		return 0, err
	}
	return bytes.NewReader(f.ino.cache).ReadAt(p, off)
}

func (f *file) Sync() error { return f.d.SyncFile(f.name) }

func (f *file) Close() error { return nil }
