package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// watchedDisk tells of each file that is made, or does not make it.
type watchedDisk struct {
	Disk
	create func() error
}

func (d watchedDisk) Create(name string) (File, error) {
	if err := d.create(); err != nil {
		return nil, err
	}
	return d.Disk.Create(name)
}

// writeRetained writes what do sets, without a rest.
func writeRetained(t *testing.T, path string, do func(*Retained)) {
	t.Helper()
	r, err := OpenRetained(path, RestFor)
	if err != nil {
		t.Fatal(err)
	}
	do(r)
	r.ripen(true)
	if err := errors.Join(r.flush(), r.Close()); err != nil {
		t.Error(err)
	}
}

// readRetained opens the file anew and returns what is in it, by topic with the length
// of the payload, and what was found wrong.
func readRetained(t *testing.T, path string) (got string, findings []string) {
	t.Helper()
	r, err := OpenRetained(path, RestFor)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	msgs := map[string]string{}
	err = r.EachRetained(func(m RetainedMessage) error {
		msgs[m.Topic] = fmt.Sprintf("%d,%d,%.1s", len(m.Payload), m.QoS, m.Payload)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return strings.TrimPrefix(fmt.Sprint(msgs), "map"), r.findings
}

func message(topic string, size int, of string) RetainedMessage {
	return RetainedMessage{Topic: topic, Payload: bytes.Repeat([]byte(of), size), QoS: 1}
}

// A message moves between the database and a file of its own, and is never in both.
func TestRetainedChangesPlaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "retained.db")
	files := func() int {
		list, _ := os.ReadDir(strings.TrimSuffix(path, ".db"))
		return len(list)
	}
	longest := strings.Repeat("t", MaxRetainedTopic)
	for _, step := range []struct {
		do    []RetainedMessage
		want  string
		files int
	}{
		{[]RetainedMessage{message("a", 1, "a"), message("b", largeRetained, "b"), message(longest, 2_000_000, "c")}, "[a:1,1,a b:16384,1,b " + longest + ":2000000,1,c]", 2},
		{[]RetainedMessage{message("a", largeRetained, "d"), message("b", largeRetained-1, "e"), {Topic: longest}}, "[a:16384,1,d b:16383,1,e]", 1},
		{[]RetainedMessage{message("a", largeRetained+1, "f"), message("b", 1, "g"), message("b", 99_999, "h")}, "[a:16385,1,f b:99999,1,h]", 2},
		{[]RetainedMessage{{Topic: "a"}, message("b", 1, "i")}, "[b:1,1,i]", 0},
	} {
		writeRetained(t, path, func(r *Retained) {
			for _, m := range step.do {
				if err := r.SetRetained(m); err != nil {
					t.Error(err)
				}
			}
		})
		if got, findings := readRetained(t, path); got != step.want || len(findings) > 0 || files() != step.files {
			t.Errorf("%.200s with %d files, %v; want %.200s with %d", got, files(), findings, step.want, step.files)
		}
	}
}

// What a crash or a bad disk leaves is removed, and said; the rest is there.
func TestRetainedFilesBroken(t *testing.T) {
	t.Parallel()
	whole, err := func() ([]byte, error) {
		path := filepath.Join(t.TempDir(), "retained.db")
		writeRetained(t, path, func(r *Retained) { _ = r.SetRetained(message("bad", 20_000, "x")) })
		return os.ReadFile(filepath.Join(strings.TrimSuffix(path, ".db"), largeName("bad")))
	}()
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(whole)
	other[len(other)-1] ^= 1
	for name, tc := range map[string]struct {
		file  string
		bytes []byte
		said  int
	}{
		"empty":            {largeName("bad"), nil, 1},
		"cut":              {largeName("bad"), whole[:10_000], 1},
		"cut in the topic": {largeName("bad"), whole[:largeHeader+1], 1},
		"another bit":      {largeName("bad"), other, 1},
		"another name":     {largeName("worse"), whole, 1},
		"half written":     {largeName("bad") + unfinished, whole, 0},
		"older":            {largeName("small"), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "retained.db")
			writeRetained(t, path, func(r *Retained) {
				_ = r.SetRetained(message("good", 20_000, "y"))
				_ = r.SetRetained(message("small", 1, "z"))
			})
			file := filepath.Join(strings.TrimSuffix(path, ".db"), tc.file)
			if err := os.WriteFile(file, tc.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			got, findings := readRetained(t, path)
			if _, err := os.Stat(file); got != "[good:20000,1,y small:1,1,z]" || len(findings) != tc.said || !os.IsNotExist(err) {
				t.Errorf("%s, %q, %v", got, findings, err)
			}
		})
	}
}

// While a file cannot be written its message waits, and the small ones do not.
func TestRetainedFileWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "retained.db")
		r, err := OpenRetained(path, RestFor)
		if err != nil {
			t.Fatal(err)
		}
		var full atomic.Bool
		full.Store(true)
		r.disk = watchedDisk{r.disk, func() error {
			if full.Load() {
				return syscall.ENOSPC
			}
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var said []error
		go func() { ended <- r.Run(ctx, func(err error) { said = append(said, err) }) }()
		_ = r.SetRetained(message("large", 20_000, "x"))
		time.Sleep(2 * RestFor)
		_ = r.SetRetained(message("small", 1, "y"))
		time.Sleep(2 * retryAtMost)
		synctest.Wait()
		if len(said) < 3 || !errors.Is(r.Failed(), syscall.ENOSPC) || !errors.Is(r.Failed(), ErrDisk) {
			t.Errorf("said %v, failed %v", said, r.Failed())
		}
		small := 0
		_ = r.EachRetained(func(m RetainedMessage) error { small++; return nil })
		full.Store(false)
		time.Sleep(2 * retryAtMost)
		synctest.Wait()
		if said[len(said)-1] != nil || r.Failed() != nil || small != 1 {
			t.Errorf("%d there before; said %v, failed %v", small, said, r.Failed())
		}
		cancel()
		if err := errors.Join(<-ended, r.Close()); err != nil {
			t.Error(err)
		}
		if got, _ := readRetained(t, path); got != "[large:20000,1,x small:1,1,y]" {
			t.Errorf("stored %s", got)
		}
	})
}

// A message that came to the disk beside one that did not, and is deleted before the
// next attempt, is deleted on the disk too.
func TestRetainedDeletedBetweenAttempts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before, then RetainedMessage
		remove       bool // fails, and not a file that is made
	}{
		"new file":          {RetainedMessage{Topic: "gone"}, message("gone", 20_000, "x"), false},
		"file after small":  {message("gone", 1, "x"), message("gone", 20_000, "x"), false},
		"small after file":  {message("gone", 20_000, "x"), message("gone", 1, "x"), true},
		"new, and not both": {RetainedMessage{Topic: "gone"}, message("gone", 1, "x"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "retained.db")
			writeRetained(t, path, func(r *Retained) {
				_ = errors.Join(r.SetRetained(message("other", 20_000, "x")), r.SetRetained(tc.before))
			})
			writeRetained(t, path, func(r *Retained) {
				healthy := r.disk
				_ = r.SetRetained(tc.then)
				if tc.remove {
					r.DeleteRetained("other")
				}
				r.ripen(true)
				r.disk = brokenDisk{healthy, tc.remove}
				if err := r.flush(); !errors.Is(err, syscall.EIO) {
					t.Errorf("first attempt: %v", err)
				}
				r.DeleteRetained("gone")
				r.disk = healthy
			})
			if got, _ := readRetained(t, path); strings.Contains(got, "gone") {
				t.Errorf("stored %s", got)
			}
		})
	}
}

// brokenDisk syncs no directory, or removes no file.
type brokenDisk struct {
	Disk
	remove bool
}

func (d brokenDisk) SyncDir(dir string) error {
	if d.remove {
		return d.Disk.SyncDir(dir)
	}
	return syscall.EIO
}

func (d brokenDisk) Remove(name string) error {
	if d.remove {
		return syscall.EIO
	}
	return d.Disk.Remove(name)
}
