//go:build fedmqtest

package crashtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// powered are the points at which a site loses power, with how many passes of each there
// are in a small federation.
var powered = map[string]int{
	"model.part-k": 10, "model.verified": 2, "model.written": 2, "train.started": 2, "train.finished": 2, "update.written": 2,
	"outbox.before-jot": 2, "outbox.jotted": 2, "outbox.before-fsync": 2, "outbox.after-tx": 2, "offer.after": 2, "part-k.after": 20, "receipt.seen": 2, "record.seen": 2, "outbox.dropped": 1,
}

// losses are what a power loss makes of a file that was not synced.
var losses = []struct {
	name string
	do   func(file string, size int64) error
}{
	{"gone", func(file string, _ int64) error { return os.Remove(file) }},
	{"cut short", func(file string, size int64) error { return os.Truncate(file, size/2) }},
	{"zeros at its end", func(file string, size int64) error {
		return errors.Join(os.Truncate(file, size/3), os.Truncate(file, size))
	}},
	{"other bytes at its end", func(file string, size int64) error { // of what it was written over
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(bytes.Repeat([]byte{'x'}, int(size-size/3)), size/3)
		return errors.Join(err, f.Close())
	}},
}

// TestPowerCuts takes the power from a site at each of its writes: the process dies, and
// so does what it had written without syncing it. It costs one training at most: no
// update is lost or counted twice, and the models are the same.
func TestPowerCuts(t *testing.T) {
	want := undisturbed(t, small)
	var results results
	t.Run("at", func(t *testing.T) {
		for _, point := range sortedKeys(powered) {
			for i := range max(*times, len(losses)) {
				lose := losses[i%len(losses)]
				p := plan{point: point, victim: "b", pass: 1 + i/len(losses)%powered[point], shape: small}
				p.run = func(c *cluster, p plan) (time.Time, uint64) {
					c.begin(map[string]string{p.victim: p.at()})
					killed := c.killed(p.victim)
					c.losesPower(p.victim, lose.do)
					epoch, _ := c.watch.now()
					c.start(p.victim, "")
					return killed, epoch
				}
				t.Run(fmt.Sprintf("%s pass %d, %s", point, p.pass, lose.name), func(t *testing.T) {
					t.Parallel()
					r := result{plan: p}
					defer func() { results.add(r) }()
					r.strike(t, want)
				})
			}
		}
	})
	table(results.list)
}

// unsyncedFor is within what time a site has not synced a file by itself (S-22).
const unsyncedFor = 5 * time.Second

// losesPower takes what a site that is dead has written and not synced. Its state is.
func (c *cluster) losesPower(name string, lose func(file string, size int64) error) {
	c.t.Helper()
	for _, dir := range []string{"blobs", "tmp", "aside"} {
		err := filepath.WalkDir(filepath.Join(c.dir, name, dir), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil || time.Since(info.ModTime()) > unsyncedFor {
				return err
			}
			return lose(file, info.Size())
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.t.Fatal(err)
		}
	}
}
