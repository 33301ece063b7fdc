//go:build fedmqtest

package crashtest

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/wire"
)

var times = flag.Int("times", 1, "kills at each crash point: at its first pass, its second ..., and over again")

// small is the federation in which points are hit: a model of a few parts.
var small = shape{Params: 10_000, PartSize: wire.MinPart, Rounds: 2, Deadline: time.Minute, Server: "{name: momentum, beta: 0.5}", Keep: "all"}

// plan is how one crash point is reached.
type plan struct {
	point  string
	victim string
	pass   int    // the pass at which it dies, 0 for the first
	later  bool   // not its first: the process may not pass it so often
	first  string // a point at which it dies before, and starts again with this one
	shape  shape
	run    func(*cluster, plan) (killed time.Time, epoch uint64) // nil: as it comes
}

// plans says how each point is reached the first time: by the party whose
// package it is in, unless it needs more than a federation that runs.
func plans(t *testing.T) (all []plan) {
	t.Helper()
	found := points(t)
	for point, how := range special {
		if _, ok := found[point]; !ok {
			t.Errorf("the source has no point %s any more (%s)", point, how.victim)
		}
	}
	for _, point := range sortedKeys(found) {
		victims := map[string][]string{"aggregator": {aggregator}, "site": {"b"}, "internal/store": {aggregator}}[rootOf(found[point])]
		if victims == nil {
			t.Errorf("point %s in %s: which process is that?", point, found[point])
		}
		for _, victim := range victims {
			p := special[point]
			p.point = point
			if p.victim == "" {
				p.victim = victim
			}
			if p.shape == (shape{}) {
				p.shape = small
			}
			p.pass++
			all = append(all, p)
		}
	}
	return all
}

// next is the plan after a kill, or after a pass that the process did not come
// to: the pass that follows, or the first again.
func (p plan) next(first plan, hit bool) plan {
	if !hit {
		return first
	}
	p.pass, p.later = p.pass+1, true
	return p
}

func rootOf(dir string) string {
	if strings.HasPrefix(dir, "internal/") {
		return dir
	}
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// impatient gives up an attempt after two seconds, while somebody is away.
var impatient = shape{Params: small.Params, PartSize: small.PartSize, Rounds: small.Rounds, Server: small.Server, Deadline: 2 * time.Second, Keep: "all"}

// inline has a model that goes in one message, and is durable with its record.
var inline = shape{Params: small.Params, PartSize: wire.DefaultPart, Rounds: small.Rounds, Server: small.Server, Deadline: time.Minute, Keep: "all"}

// fed has updates that leave over most of what they are, for the next one.
var fed = shape{Params: small.Params, PartSize: small.PartSize, Rounds: 3, Deadline: time.Minute, Keep: "all", Encoding: "topk:0.01"}

var idle = shape{Params: small.Params, PartSize: small.PartSize, Rounds: small.Rounds, Server: small.Server, Deadline: time.Minute, Keep: "all", Idle: true}

// special lists the points that need an arrangement; pass counts from there.
var special = map[string]plan{
	"blob.before-fsync":  {pass: 1}, // not the initial model, but that of round 1
	"blob.after-fsync":   {pass: 1},
	"blob.after-rename":  {pass: 1},
	"blob.after-dirsync": {pass: 1},
	"follow.before-file": {shape: inline},
	"follow.after-file":  {shape: inline},
	"kept.mid":           {first: "receipt.after:2"},
	"decline.after":      {victim: "idle", shape: idle},
	"abandon.before-tx":  {shape: impatient, run: absent},
	"abandon.after-tx":   {shape: impatient, run: absent},
	"left.written":       {shape: fed},
	"settled.before":     {shape: impatient, run: late},
	"settled.seen":       {shape: impatient, run: late},
	"mend.part-k":        {first: "receipt.after:2"},
	"need.after":         {run: robbed},
	"command.after-tx":   {run: commanded},
	"sweep.mid":          {run: littered},
	"adopt.after-tx":     {run: restored},
}

// result is one line of the table.
type result struct {
	plan
	hit  bool
	took time.Duration
	outcome
}

// TestPoints kills a party at each crash point of the source, again and again,
// and starts it again each time.
func TestPoints(t *testing.T) {
	wants := map[string]outcome{"": undisturbed(t, small), fed.Encoding: undisturbed(t, fed)}
	var results results
	t.Run("at", func(t *testing.T) {
		for _, p := range plans(t) {
			want := wants[p.shape.Encoding]
			t.Run(p.victim+":"+p.point, func(t *testing.T) {
				t.Parallel()
				if p.run == nil {
					results.oneAfterTheOther(t, p, want)
				} else {
					results.together(t, p, want)
				}
			})
		}
	})
	table(results.list)
}

// What updates have left over is in no update twice, and in none too little, wherever the
// site is killed.
func TestFeedbackKilled(t *testing.T) {
	want := undisturbed(t, fed)
	var results results
	for _, point := range []string{"left.written", "outbox.before-fsync", "outbox.after-tx", "record.seen", "receipt.seen"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			p := plan{point: point, victim: "b", pass: 2, shape: fed}
			results.oneAfterTheOther(t, p, want)
		})
	}
}

// results gathers what comes of all kills.
type results struct {
	mu   sync.Mutex
	list []result
}

func (rs *results) add(r result) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.list = append(rs.list, r)
}

// oneAfterTheOther kills at each pass that the process comes to, and over again.
func (rs *results) oneAfterTheOther(t *testing.T, first plan, want outcome) {
	p := first
	for hits := 0; hits < *times && !t.Failed(); {
		r := result{plan: p}
		t.Run(fmt.Sprintf("kill %d at pass %d", hits+1, p.pass), func(t *testing.T) { r.strike(t, want) })
		if p = p.next(first, r.hit); r.hit {
			hits++
		}
		rs.add(r)
	}
}

// together kills at the one pass that is arranged: some wait long for it.
func (rs *results) together(t *testing.T, p plan, want outcome) {
	for i := range *times {
		t.Run(fmt.Sprintf("kill %d", i+1), func(t *testing.T) {
			t.Parallel()
			r := result{plan: p}
			defer func() { rs.add(r) }()
			r.strike(t, want)
		})
	}
}

// strike carries out a plan, and says what is wrong with what came of it.
func (r *result) strike(t *testing.T, want outcome) {
	defer func() {
		if t.Failed() && len(r.problems) == 0 {
			r.bad("it did not come to its end")
		}
	}()
	r.kill(t, want)
	if !r.hit && !r.later {
		r.bad("the process did not come to it")
	}
	for _, problem := range r.problems {
		t.Error(problem)
	}
}

// undisturbed runs a federation in which nobody dies.
func undisturbed(t *testing.T, s shape) outcome {
	t.Helper()
	c := newCluster(t, s)
	c.begin(nil)
	c.finished()
	c.stopAll()
	o := c.outcome()
	for _, problem := range o.problems {
		t.Errorf("undisturbed: %s", problem)
	}
	if len(o.models) != s.Rounds+2 || len(c.watch.receipts) == 0 {
		t.Fatalf("undisturbed: %d committed rounds and %d receipts", len(o.models), len(c.watch.receipts))
	}
	return o
}

// kill carries out a plan and compares.
func (r *result) kill(t *testing.T, want outcome) {
	c := newCluster(t, r.shape)
	run := r.run
	if run == nil {
		run = asItComes
	}
	killed, epoch := run(c, r.plan)
	if r.hit = !killed.IsZero(); r.hit {
		r.took = c.recovered(r.victim, killed, epoch)
	}
	c.finished()
	c.stopAll()
	if c.late > 0 {
		r.hit, r.took = true, c.late
	}
	r.outcome = c.outcome()
	if r.point != "adopt.after-tx" { // what the copy lacked is lost by decision
		r.same(want)
	}
}

// at is the crash point of a plan as its process is told.
func (p plan) at() string { return fmt.Sprintf("%s:%d", p.point, p.pass) }

// asItComes begins everybody and waits for the victim's death.
func asItComes(c *cluster, p plan) (time.Time, uint64) {
	if p.first == "" {
		c.begin(map[string]string{p.victim: p.at()})
	} else {
		c.begin(map[string]string{p.victim: p.first})
		c.dies(p.victim, p.at())
	}
	if p.later && !c.watch.until(patience, func() bool { return c.over() || len(c.ends) > 0 }) {
		c.fail("the task does not end")
	}
	if p.later && len(c.ends) == 0 {
		c.spare = p.victim
		return time.Time{}, 0
	}
	return c.dies(p.victim, "")
}

// dies waits until a party kills itself and starts it again, with another crash
// point or "". It returns when it died and the highest epoch seen by then.
func (c *cluster) dies(name, next string) (time.Time, uint64) {
	c.t.Helper()
	killed := c.killed(name)
	epoch, _ := c.watch.now()
	c.start(name, next)
	return killed, epoch
}

// killed waits until a party kills itself.
func (c *cluster) killed(name string) time.Time {
	c.t.Helper()
	e := c.next()
	if e.name != name || !e.killed {
		c.fail(fmt.Sprintf("%s ended with %v (killed: %v), want %s to be killed", e.name, e.err, e.killed, name))
	}
	return e.at
}

// row is what all kills at one point came to.
type row struct {
	kills, failed int
	passes        int // the latest pass
	took          time.Duration
}

// table prints what the kills at each point came to.
func table(results []result) {
	rows := map[string]*row{}
	lost, double, failed := 0, 0, 0
	var took []time.Duration
	for _, r := range results {
		name := fmt.Sprintf("%-11s %-22s", r.victim, r.point)
		if rows[name] == nil {
			rows[name] = new(row)
		}
		if of := rows[name]; len(r.problems) > 0 {
			of.failed++
			failed++
		} else if r.hit {
			of.kills++
			of.passes, of.took = max(of.passes, r.pass), max(of.took, r.took)
			took = append(took, r.took)
		}
		lost += r.lost
		double += r.double
	}
	fmt.Printf("%-11s %-22s %5s %6s %6s %18s\n", "killed", "at", "kills", "failed", "passes", "slowest recovery")
	for _, name := range sortedKeys(rows) {
		of := rows[name]
		fmt.Printf("%s %5d %6d %6d %16.2f s\n", name, of.kills, of.failed, of.passes, of.took.Seconds())
	}
	figures(len(took)+failed, failed, lost, double, took)
}

// figures prints the last line of a table.
func figures(runs, failed, lost, double int, took []time.Duration) {
	slices.Sort(took)
	quantile := func(q float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return took[min(len(took)-1, int(q*float64(len(took))))].Seconds()
	}
	fmt.Printf("%d kills, %d failed, %d updates lost, %d counted twice, recovery p50 %.2f s, p99 %.2f s\n",
		runs, failed, lost, double, quantile(0.5), quantile(0.99))
}
