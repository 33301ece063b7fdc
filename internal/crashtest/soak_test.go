//go:build fedmqtest

package crashtest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

var (
	soak  = flag.Duration("soak", 0, "how long sites come and go; 0: no soak")
	sites = flag.Int("sites", 50, "sites of the soak")
	page  = flag.String("page", "", "file that the soak's figures are written to")
)

const (
	undisturbedSites = 5  // are never stopped: their growth is measured
	burst            = 10 // sites that are stopped at once
)

// churn counts what sites went through.
type churn struct{ killed, wiped, left, measured int }

// TestSoak has many sites come and go, and looks whether anything grows. It
// measures while all of them are there, between bursts in which some are killed,
// lose their data, or leave and come back.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("no -soak")
	}
	c := newCluster(t, shape{
		Params: 2_000, PartSize: wire.MinPart, Rounds: 1_000_000, Deadline: 10 * time.Second, TrainMS: 500, Sites: *sites, Keep: "all",
	})
	gauges := newGauges(c)
	defer gauges.stop()
	c.begin(nil)
	if !c.watch.until(patience, func() bool { return c.watch.work == "train" }) {
		c.fail("no round of training")
	}
	rng := rand.New(rand.NewPCG(*seed, 1))
	var done churn
	began := time.Now()
	for time.Since(began) < *soak {
		c.burst(rng, &done)
		gauges.measure(time.Since(began))
		done.measured++
	}
	last := c.committed()
	if !c.watch.until(patience, func() bool { return c.watch.round > last+1 }) {
		c.fail("no round after the last burst")
	}
	c.stopAll()
	report(t, c, gauges, done, time.Since(began))
}

// burst stops some sites in one way or another, starts them again and waits
// until all are there.
func (c *cluster) burst(rng *rand.Rand, done *churn) {
	c.t.Helper()
	picked := rng.Perm(c.shape.Sites - undisturbedSites)[:burst]
	wiped := map[string]bool{}
	for _, i := range picked {
		name := c.shape.members()[undisturbedSites+i]
		switch rng.IntN(3) {
		case 0:
			done.left++
			c.signal(name, syscall.SIGTERM)
		case 1:
			done.wiped++
			wiped[name] = true
			c.signal(name, syscall.SIGKILL)
		default:
			done.killed++
			c.signal(name, syscall.SIGKILL)
		}
		<-time.After(time.Duration(rng.IntN(500)) * time.Millisecond)
	}
	_, round := c.watch.now()
	away := map[string]bool{}
	for range picked {
		e := c.next()
		if e.err != nil && !e.killed || e.name == aggregator || e.name == broker {
			c.fail(fmt.Sprintf("%s ended with %v", e.name, e.err))
		}
		away[e.name] = true
	}
	if rng.IntN(2) == 0 { // a round that ends without them
		if !c.watch.until(patience, func() bool { return c.watch.round > round }) {
			c.fail("no round without those that are away")
		}
	}
	since := time.Now()
	for name := range away {
		if wiped[name] {
			if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
				c.t.Fatal(err)
			}
		}
		c.start(name, "")
	}
	for name := range away {
		if !c.watch.until(patience, func() bool { return c.watch.welcomed[name].After(since) }) {
			c.fail(name + " is not welcomed")
		}
	}
	_, round = c.watch.now()
	if !c.watch.until(patience, func() bool { return c.watch.round > round+1 }) {
		c.fail("no round with all")
	}
}

// committed is the last committed round on disk.
func (c *cluster) committed() (last uint64) {
	files, err := filepath.Glob(filepath.Join(c.dir, "agg", "records", task, "*.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		if r, err := record.Decode(raw); err == nil && r.Verdict == record.Committed {
			last = max(last, r.Round)
		}
	}
	return last
}

// settled forgets the receipts of the round that was open at the end: its record
// is not written yet.
func (c *cluster) settled() (promised int, last uint64) {
	last = c.committed()
	c.watch.mu.Lock()
	defer c.watch.mu.Unlock()
	for r := range c.watch.receipts {
		if r.round > last {
			delete(c.watch.receipts, r)
		}
	}
	return len(c.watch.receipts), last
}
