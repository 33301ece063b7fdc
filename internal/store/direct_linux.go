package store

import (
	"errors"
	"os"
	"syscall"
)

const (
	directFrom  = 1 << 20  // bytes of a file from which on it is worth two more system calls
	directBlock = 1 << 20  // bytes written at once
	directPage  = slotPage // what offsets, lengths and memory are whole multiples of
)

// writeDirect writes the first bytes of a new file past the page cache, and returns how
// many: the rest is to be written as usual, which is all of it where the file system or
// the file is not for that. A model of 40 MB that is synced at once takes a fifth of the
// time so: there are no pages to find, to fill and to write out, and the pages of what
// others read stay where they are.
func writeDirect(f File, data []byte) (n int, err error) {
	file, ok := f.(*os.File)
	if !ok || len(data) < directFrom {
		return 0, nil
	}
	d, err := os.OpenFile(file.Name(), os.O_WRONLY|syscall.O_DIRECT, 0)
	if err != nil {
		return 0, nil // a file system without it
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	b, err := syscall.Mmap(-1, 0, directBlock, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE) // whole pages
	if err != nil {
		return 0, nil // no memory for it
	}
	defer func() { err = errors.Join(err, syscall.Munmap(b)) }()
	for whole := len(data) / directPage * directPage; n < whole; {
		m := copy(b, data[n:whole])
		if _, err := d.WriteAt(b[:m], int64(n)); errors.Is(err, syscall.EINVAL) {
			return n, nil // it wants larger pages
		} else if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}
