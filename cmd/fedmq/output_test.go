package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What a command writes goes where its name leads, and is whole or not there.
func TestWriteOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	put := func(path string, fresh bool) error {
		return writeOutput(path, 0o640, fresh, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err })
	}
	is := func(name, want string) {
		t.Helper()
		if b, err := os.ReadFile(in(name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v, want %q", name, b, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(in("old"), []byte("old"), 0o604))
	if err := put(in("old"), true); !errors.Is(err, errExists) {
		t.Errorf("a file that is there: %v", err)
	}
	must(put(in("old"), false))
	is("old", "new")
	if info, err := os.Stat(in("old")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o604 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	must(put(in("fresh"), true))
	is("fresh", "new")
	if err := put(dir, false); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	broken := errors.New("no more")
	if err := writeOutput(in("half"), 0o600, false, func(w io.Writer) error { _, _ = io.WriteString(w, "x"); return broken }); !errors.Is(err, broken) {
		t.Errorf("half a file: %v", err)
	}
	if runtime.GOOS != "windows" {
		must(os.Mkdir(in("below"), 0o700))
		must(os.Symlink("below/target", in("dangling")))
		must(os.Symlink("dangling", in("chain")))
		must(os.Symlink("loop", in("loop")))
		must(put(in("chain"), false))
		is("below/target", "new")
		if info, err := os.Lstat(in("chain")); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("the link is gone: %v, %v", info, err)
		}
		if err := put(in("chain"), true); !errors.Is(err, errExists) {
			t.Errorf("a new file through a link: %v", err)
		}
		if err := put(in("loop"), false); err == nil || !strings.Contains(err.Error(), "more than 40 links") {
			t.Errorf("a loop: %v", err)
		}
		must(put(os.DevNull, true))
		if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
			t.Errorf("%s is a file now: %v", os.DevNull, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 6 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestCheckedWriter(t *testing.T) {
	t.Parallel()
	c := &checkedWriter{w: io.Discard}
	if _, err := io.WriteString(c, "x"); err != nil || c.failure() != nil {
		t.Errorf("%v, %v", err, c.failure())
	}
	r, w := io.Pipe()
	_ = r.CloseWithError(errors.New("full"))
	c = &checkedWriter{w: w}
	for range 2 {
		_, _ = io.WriteString(c, "x")
	}
	if err := c.failure(); err == nil || err.Error() != "standard output: full" {
		t.Error(err)
	}
}
