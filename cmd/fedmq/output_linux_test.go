package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Standard output by another name is still where the program says what it did, and a file
// that is open keeps what it has.
func TestOutputByDescriptor(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "out")
	if err := os.Symlink("/proc/self/fd/1", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"-": true, "/dev/stdout": true, "/dev/fd/1": true, "/proc/self/fd/1": true, link: true, "/dev/full": false, "out": false} {
		if got := toStdout(path); got != want {
			t.Errorf("%s is standard output: %v, want %v", path, got, want)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	_, _ = f.WriteString("begin ")
	if err := writeOutput(fmt.Sprintf("/dev/fd/%d", f.Fd()), 0o600, false, func(w io.Writer) error { _, err := io.WriteString(w, "model"); return err }); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(f.Name()); err != nil || string(b) != "begin model" {
		t.Errorf("%q, %v", b, err)
	}
}

// Memory that is shared is files in a folder below /dev.
func TestOutputInMemory(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "fedmq") //nolint:usetesting // t.TempDir is elsewhere
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "file")
	for _, text := range []string{"a first text", "another"} {
		if err := writeOutput(path, 0o600, false, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q, %v, want %q", b, err, text)
		}
	}
}
