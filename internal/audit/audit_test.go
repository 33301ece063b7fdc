package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
)

// events lists the events of a file, which must have nothing but whole lines.
func events(t *testing.T, path string) (out []Event) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil || e.Time.IsZero() || e.Node != "acme" {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, e.Event)
	}
	return out
}

// fullDisk returns where a log finds no room, and a file with room.
func fullDisk(t *testing.T) (full, disk string) {
	t.Helper()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	dir := t.TempDir()
	full, disk = filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "disk.jsonl")
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	return full, disk
}

func same(t *testing.T, path string, want ...Event) {
	t.Helper()
	if got := events(t, path); !slices.Equal(got, want) {
		t.Errorf("%s has %v, want %v", filepath.Base(path), got, want)
	}
}

// run runs a log within a bubble; the function it returns ends it.
func run(t *testing.T, l *Log) (end func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func open(t *testing.T, path string, trouble func(error)) *Log {
	t.Helper()
	l, err := Open(path, "acme", trouble)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func quiet(error) {}

func TestAppend(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	bubble.Test(t, func(t *testing.T) {
		for range 2 { // the second process appends
			l := open(t, path, quiet)
			end := run(t, l)
			l.Write(Entry{Event: Start})
			l.Write(Entry{Event: Stop})
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if s := l.Stats(); s != (Stats{Written: 2}) {
				t.Errorf("stats %+v", s)
			}
		}
	})
	same(t, path, Start, Stop, Start, Stop)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestNilLog(t *testing.T) {
	t.Parallel()
	(*Log)(nil).Write(Entry{Event: Start})
}

// A directory that is missing is said at once.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	_, err := Open(filepath.Join(t.TempDir(), "none", "audit.jsonl"), "acme", quiet)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "audit: ") {
		t.Error(err)
	}
}

// A process that died within a line leaves it; the next line is whole.
func TestTornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"time":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	bubble.Test(t, func(t *testing.T) {
		l := open(t, path, quiet)
		end := run(t, l)
		l.Write(Entry{Event: Start})
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
	b, err := os.ReadFile(path)
	if lines := strings.Split(string(b), "\n"); err != nil || len(lines) != 3 || lines[0] != `{"time":"20` || !strings.Contains(lines[1], `"start"`) {
		t.Errorf("%q, %v", b, err)
	}
}

// Whoever rotates logs renames the file; no signal is needed.
func TestRotation(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be renamed")
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	bubble.Test(t, func(t *testing.T) {
		l := open(t, path, quiet)
		end := run(t, l)
		l.Write(Entry{Event: Start})
		synctest.Wait()
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		l.Write(Entry{Event: Stop})
		if err := end(); err != nil {
			t.Fatal(err)
		}
		l = open(t, path, quiet) // another process, which is told at once
		end = run(t, l)
		synctest.Wait()
		if err := os.Rename(path, path+".2"); err != nil {
			t.Fatal(err)
		}
		l.Reopen()
		synctest.Wait()
		same(t, path, Goes)
		l.Reopen() // nothing was renamed
		synctest.Wait()
		if err := end(); err != nil {
			t.Fatal(err)
		}
	})
	same(t, path+".1", Start)
	same(t, path+".2", Goes, Stop)
	same(t, path, Goes)
	chain(t, "", path+".1", path+".2", path)
	chain(t, "it goes on from a line with SHA-256", path+".1", path)
	chain(t, "it does not go on from another", path, path+".1")
}

// Who asks for a look while lines are being written has another one: the file was
// renamed behind the look that they had.
func TestReopenWhileWriting(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"), func(error) {})
	defer l.file.Close()
	l.Write(Entry{Event: Start})
	if lines, n, _, look := l.queued(); len(lines) != 1 || n != 1 || look {
		t.Fatalf("%d lines, look %v", len(lines), look)
	}
	l.Reopen()
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if l.look || len(l.queue) > 0 {
		t.Error("a look that was had is still asked for")
	}
	l.Reopen()
	if _, _, _, look := l.queued(); !look {
		t.Error("the look is forgotten")
	}
}

// chain verifies files one after the other.
func chain(t *testing.T, want string, paths ...string) {
	t.Helper()
	var before *Checked
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Verify(f, before)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err != nil {
			if want == "" || !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v", paths, err)
			}
			return
		}
		before = &c
	}
	if want != "" {
		t.Errorf("%v was taken", paths)
	}
}

// A full disk: nobody waits, it is told once, lines wait, and what is more than
// can wait is counted in the file when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path, disk := fullDisk(t)
	bubble.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []error
		l := open(t, path, func(err error) { mu.Lock(); told = append(told, err); mu.Unlock() })
		end := run(t, l)
		l.Write(Entry{Event: Start})
		time.Sleep(10 * retryAfter) // of the bubble
		for range maxQueue + 4 {
			l.Write(Entry{Event: Accepted})
		}
		if s := l.Stats(); s != (Stats{Waiting: maxQueue, Lost: 5}) {
			t.Errorf("stats %+v", s)
		}
		if err := errors.Join(os.Remove(path), os.Symlink(disk, path)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * retryAfter)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if len(told) != 2 || !errors.Is(told[0], syscall.ENOSPC) || told[1] != nil {
			t.Errorf("told %v", told)
		}
		if s := l.Stats(); s != (Stats{Written: maxQueue + 1, Lost: 5}) {
			t.Errorf("stats %+v", s)
		}
	})
	got := events(t, disk)
	if len(got) != maxQueue+1 || got[0] != Start || got[maxQueue] != Lost {
		t.Errorf("%d lines, from %s to %s", len(got), got[0], got[len(got)-1])
	}
}

// The number of lost lines is not lost itself when there is room again only at
// the end.
func TestRoomAtTheEnd(t *testing.T) {
	t.Parallel()
	path, disk := fullDisk(t)
	bubble.Test(t, func(t *testing.T) {
		l := open(t, path, quiet)
		end := run(t, l)
		for range maxQueue + 4 {
			l.Write(Entry{Event: Accepted})
		}
		synctest.Wait()
		if err := errors.Join(os.Remove(path), os.Symlink(disk, path), end()); err != nil {
			t.Fatal(err)
		}
		if s := l.Stats(); s != (Stats{Written: maxQueue + 1, Lost: 4}) {
			t.Errorf("stats %+v", s)
		}
	})
	if got := events(t, disk); len(got) != maxQueue+1 || got[maxQueue] != Lost {
		t.Errorf("%d lines, the last is %s", len(got), got[len(got)-1])
	}
}

// What is not on disk in the end is an error.
func TestFullDiskToTheEnd(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	bubble.Test(t, func(t *testing.T) {
		l := open(t, path, quiet)
		end := run(t, l)
		l.Write(Entry{Event: Start})
		synctest.Wait()
		if err := end(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "audit: 1 lines are not written") {
			t.Error(err)
		}
	})
}
