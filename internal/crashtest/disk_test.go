//go:build fedmqtest

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDiskFull gives the aggregator a disk that is full in the middle of a
// task: it must stop and say so, and go on to the same models when there is
// room again. It mounts a small file system, for which it must be root.
func TestDiskFull(t *testing.T) {
	s := small
	s.Rounds = 6
	c := newCluster(t, s)
	dir := filepath.Join(c.dir, "agg")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=900k"); errors.Is(err, syscall.EPERM) {
		fmt.Println("disk full: skipped, mounting a file system needs root")
		t.Skip()
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.killAll()
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
	})
	want := undisturbed(t, s)
	c.begin(nil)
	e := c.next()
	exit := new(exec.ExitError)
	log, err := os.ReadFile(filepath.Join(c.dir, aggregator+".log"))
	if err != nil {
		t.Fatal(err)
	}
	if e.name != aggregator || !errors.As(e.err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(log), "disk failed") || !strings.Contains(string(log), "no space left") {
		c.fail(fmt.Sprintf("%s ended with %v, want the aggregator to end with 1 and the disk's error", e.name, e.err))
	}
	epoch, round := c.watch.now()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.start(aggregator, "")
	took := c.recovered(aggregator, began, epoch)
	c.finished()
	c.stopAll()
	o := c.outcome()
	o.same(want)
	for _, problem := range o.problems {
		t.Error(problem)
	}
	fmt.Printf("disk full in round %d: stopped; with room again back in %.2f s, %d updates lost, %d counted twice\n", round, took.Seconds(), o.lost, o.double)
}
