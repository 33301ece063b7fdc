//go:build fedmqtest

package crashtest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

var (
	kills  = flag.Int("kills", 20, "random kills, one a round")
	params = flag.Int("params", 1_000_000, "parameters of the model in the random kills")
	seed   = flag.Uint64("seed", 1, "of the random kills")
)

// hit is one random kill.
type hit struct {
	victim string
	wiped  bool // the broker lost what it had retained, a site its data directory
	after  time.Duration
	round  uint64
	took   time.Duration
}

// TestRandomKills kills a party at a random instant of each round of a large
// model, and starts it again.
func TestRandomKills(t *testing.T) {
	s := shape{Params: *params, PartSize: 126 << 10, Rounds: *kills, Deadline: 2 * time.Minute, TrainMS: 200, Keep: "none"}
	began := time.Now()
	want := undisturbed(t, s)
	lap := time.Since(began) / time.Duration(s.Rounds+1)
	fmt.Printf("seed %d, %d parameters, %d rounds of %.2f s undisturbed\n", *seed, s.Params, s.Rounds, lap.Seconds())

	c := newCluster(t, s)
	c.begin(nil)
	rng := rand.New(rand.NewPCG(*seed, 0))
	var took []time.Duration
	for i := range *kills {
		h := c.strike(c.pick(rng), rng, uint64(i+1), lap)
		took = append(took, h.took)
		what := h.victim
		if h.wiped {
			what += ", data lost"
		}
		fmt.Printf("kill %2d: %-22s %6.3f s into round %2d or later, recovered in %5.2f s\n", i+1, what, h.after.Seconds(), h.round, h.took.Seconds())
	}
	c.finished()
	c.stopAll()
	o := c.outcome()
	o.same(want)
	for _, problem := range o.problems {
		t.Error(problem)
	}
	failed := 0
	if len(o.problems) > 0 {
		failed = *kills
	}
	figures(*kills, failed, o.lost, o.double, took)
}

// pick draws a victim. A broker that dies more than five times in a minute looks
// like a client id that two clients use, and who thinks so waits for minutes
// (C-14): it is spared for a while then.
func (c *cluster) pick(rng *rand.Rand) string {
	victim := []string{aggregator, broker, c.shape.members()[rng.IntN(3)]}[rng.IntN(3)]
	if victim != broker {
		return victim
	}
	now := time.Now()
	c.struck = slices.DeleteFunc(c.struck, func(t time.Time) bool { return now.Sub(t) > 70*time.Second })
	if len(c.struck) == 4 {
		return c.shape.members()[rng.IntN(3)]
	}
	c.struck = append(c.struck, now)
	return broker
}

// strike kills a party within a round and starts it again.
func (c *cluster) strike(victim string, rng *rand.Rand, round uint64, lap time.Duration) hit {
	c.t.Helper()
	h := hit{victim: victim, after: time.Duration(rng.Float64() * float64(lap))}
	h.wiped = h.victim != aggregator && rng.IntN(2) == 0
	if !c.watch.until(patience, func() bool { return c.watch.round >= round && (c.watch.work == "train" || c.watch.round > round) }) {
		c.fail(fmt.Sprintf("round %d does not come", round))
	}
	<-time.After(h.after)
	epoch, at := c.watch.now()
	h.round = at
	c.signal(h.victim, syscall.SIGKILL)
	killed := c.killed(h.victim)
	if h.wiped {
		if err := os.RemoveAll(filepath.Join(c.dir, h.victim)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.start(h.victim, "")
	h.took = c.recovered(h.victim, killed, epoch)
	return h
}
