//go:build fedmqtest

package crashtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// absent: site b dies and stays away until an attempt is given up, at which
// the aggregator dies.
func absent(c *cluster, p plan) (time.Time, uint64) {
	c.begin(map[string]string{"b": "receipt.seen", p.victim: p.at()})
	c.killed("b")
	killed, epoch := c.dies(p.victim, "")
	c.start("b", "")
	return killed, epoch
}

// late: site b dies with its update accepted, and comes back when the record
// that counts it has been replaced on the broker by one of an attempt given up.
// It asks, and is told.
func late(c *cluster, p plan) (time.Time, uint64) {
	at := map[string]string{"b": "receipt.seen"}
	if p.victim == aggregator {
		at[aggregator] = p.at()
	}
	c.begin(at)
	c.killed("b")
	if !c.watch.until(patience, func() bool { return c.watch.heads["2 abandoned"] }) {
		c.fail("no attempt of round 2 was given up")
	}
	if p.victim == aggregator {
		c.start("b", "")
	} else {
		c.start("b", p.at())
	}
	return c.dies(p.victim, "")
}

// commanded: an operator's command starts the task before everybody is there.
func commanded(c *cluster, p plan) (time.Time, uint64) {
	c.begin(map[string]string{p.victim: p.at()}, "b")
	if !c.watch.until(patience, func() bool { return c.watch.epoch == 1 }) {
		c.fail("no order")
	}
	time.Sleep(3500 * time.Millisecond) // a command that comes sooner might be an old retained one
	bin, err := fedmq()
	if err != nil {
		c.t.Fatal(err)
	}
	send := exec.Command(bin, "send", "start", "-b", c.url(), "-n", namespace, "-t", task)
	if err := send.Start(); err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = send.Wait() }() // nobody is left to answer it
	killed, epoch := c.dies(p.victim, "")
	_ = send.Process.Kill()
	c.start("b", "")
	return killed, epoch
}

// robbed: the broker has lost a part of the model before the victim pulls it,
// while the others stand still.
func robbed(c *cluster, p plan) (time.Time, uint64) {
	c.begin(map[string]string{}, p.victim)
	if !c.watch.until(patience, func() bool { return len(c.watch.welcomed) == 2 }) {
		c.fail("the others are not welcomed")
	}
	c.watch.client.Publish(namespace+"/_fl_v1/"+task+"/model/0/3", 1, true, []byte{}).Wait()
	c.signal("a", syscall.SIGSTOP)
	c.signal("c", syscall.SIGSTOP)
	c.start(p.victim, p.at())
	killed, epoch := c.dies(p.victim, "")
	c.signal("a", syscall.SIGCONT)
	c.signal("c", syscall.SIGCONT)
	return killed, epoch
}

// littered: two blobs that nothing names lie in the data directory.
func littered(c *cluster, p plan) (time.Time, uint64) {
	old := time.Now().Add(-2 * time.Hour)
	for _, first := range []string{"00", "ff"} {
		dir := filepath.Join(c.dir, "agg", "blobs", first)
		name := filepath.Join(dir, strings.Repeat(first, 32))
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(name, []byte("litter"), 0o600), os.Chtimes(name, old, old)); err != nil {
			c.t.Fatal(err)
		}
	}
	return asItComes(c, p)
}

// restored: the aggregator's data directory is put back to an older state, and
// an operator has it adopted.
func restored(c *cluster, p plan) (time.Time, uint64) {
	agg, copied := filepath.Join(c.dir, "agg"), filepath.Join(c.dir, "copy")
	c.begin(map[string]string{aggregator: "order.after-tx:1"}) // a copy of a task that has just begun
	c.killed(aggregator)
	if err := os.CopyFS(copied, os.DirFS(agg)); err != nil {
		c.t.Fatal(err)
	}
	c.start(aggregator, "order.after-publish:3")
	c.killed(aggregator)
	if err := errors.Join(os.RemoveAll(agg), os.Rename(copied, agg)); err != nil {
		c.t.Fatal(err)
	}
	c.start(aggregator, p.at(), "--adopt-epoch")
	return c.dies(aggregator, "")
}
