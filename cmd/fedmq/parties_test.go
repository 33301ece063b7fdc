package main

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// A process's end says the same as the command would in this process, with its
// exit code.
func TestFailure(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a shell stands for the process")
	}
	dir := t.TempDir()
	for _, c := range []struct {
		script, want string
		code         int
	}{
		{"exit 0", "", exitOK},
		{"echo 'fedmq: a task stopped below its quorum: [t: stopped]' >&2; exit 3", "a task stopped below its quorum: [t: stopped]", exitBelowQuorum},
		{"echo log; echo 'fedmq: first' >&2; echo 'fedmq: no disk\nat all' >&2; exit 1", "north: no disk\nat all", exitError},
		{"echo 'fedmq: " + dir + "/a.yaml: bad' >&2; exit 2", "north: " + dir + "/a.yaml: bad", exitUsage},
		{"echo panic >&2; exit 7", "north: exit status 7; its log is " + dir, exitError},
		{"kill -KILL $$", "north: signal: killed; its log is " + dir, exitError},
		{"exit 130", "", exitOK},
	} {
		r, err := party{name: "north", args: []string{"-c", c.script}}.spawn("/bin/sh", dir)
		if err != nil {
			t.Fatal(err)
		}
		<-r.ended
		err = r.failed()
		if code := exitCode(t.Context(), err); code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.script, code, c.code)
		}
		if err != nil && !strings.HasPrefix(err.Error(), c.want) || (err == nil) != (c.want == "") {
			t.Errorf("%s: %v, want %q", c.script, err, c.want)
		}
		if c.code == exitBelowQuorum && !errors.Is(err, errBelowQuorum) {
			t.Errorf("%s: %v", c.script, err)
		}
	}
}
