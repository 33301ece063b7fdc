package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// stdout is standard output for all of the program: what could not be written ends a
// command with an error, also where nobody looks at the single write.
var stdout = &checkedWriter{w: os.Stdout}

// checkedWriter remembers its first error.
type checkedWriter struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.w.Write(p)
	if c.err == nil && err != nil {
		c.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// failure is the first error of a write that was not reported.
func (c *checkedWriter) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// indented writes JSON for people.
func indented(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc
}

// standardOutput is the name of standard output as a file to write.
const standardOutput = "-"

// toStdout reports whether path names standard output, also by a descriptor or a link:
// a second opening would write at its own place, over what the program says.
func toStdout(path string) bool {
	if path == standardOutput || path == "/dev/stdout" {
		return true
	}
	end, err := target(path)
	if err != nil || !special(end) {
		return false
	}
	named, err := os.Stat(end)
	if err != nil {
		return false
	}
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(named, out)
}

// beside is where a command says what it does that writes to path: standard error, if
// that is standard output.
func beside(path string) io.Writer {
	if toStdout(path) {
		return os.Stderr
	}
	return stdout
}

// errExists is what a file that must be new meets.
var errExists = errors.New("exists; want the name of a new file")

// writeOutput writes what a command makes to path: "-" is standard output; a pipe or
// a device is written to, as it is; of a link its target is written. A file appears
// whole or not at all, with mode, or the mode of the file that it replaces; fresh
// wants that there is none.
func writeOutput(path string, mode fs.FileMode, fresh bool, write func(io.Writer) error) error {
	if toStdout(path) {
		return write(stdout)
	}
	path, err := target(path)
	if err != nil {
		return err
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory, want a file", path)
	case err == nil && (!info.Mode().IsRegular() || special(path)):
		return writeThrough(path, info.Mode(), write)
	case err == nil && fresh:
		return fmt.Errorf("%s %w", path, errExists)
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return writeWhole(path, mode, fresh, write)
}

// checkFresh refuses a file that is there already, before the work for it is done.
func checkFresh(path string) error {
	if toStdout(path) {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !special(path) {
		return fmt.Errorf("%s %w", path, errExists)
	}
	return nil
}

// special reports that a path names something that is open, or a device. Files below
// /dev/shm are files, in memory.
func special(path string) bool {
	return strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/dev/shm/") || strings.HasPrefix(path, "/proc/")
}

// maxLinks bounds a chain of links.
const maxLinks = 40

// target follows links to a file that may not be there yet. What lies below /dev and
// /proc stays: there a link is an open file.
func target(path string) (string, error) {
	for range maxLinks {
		info, err := os.Lstat(path)
		if special(path) || err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return path, nil //nolint:nilerr // what is not there is to be made
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: more than %d links", path, maxLinks)
}

// writeThrough writes to a pipe or a device, and to the end of a file that is open as
// /dev/stderr or /dev/fd/3.
func writeThrough(path string, mode fs.FileMode, write func(io.Writer) error) error {
	flags := os.O_WRONLY
	if mode.IsRegular() {
		flags |= os.O_APPEND
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// writeWhole writes a file beside path, and renames it.
func writeWhole(path string, mode fs.FileMode, fresh bool, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if err := errors.Join(write(tmp), tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if fresh { // nobody has made it meanwhile
		if err := checkFresh(path); err != nil {
			return err
		}
	}
	return os.Rename(tmp.Name(), path)
}
