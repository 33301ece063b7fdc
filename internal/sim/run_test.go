package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
)

// Failure is an invariant that did not hold.
type Failure struct {
	Invariant string
	At        ms
	What      string
}

// Outcome is what a run came to.
type Outcome struct {
	Rounds   int // committed
	Attempts int // recorded, committed or abandoned
	Hash     uint64
	Lines    int
	Now      ms
	Failure  *Failure
	Tail     []string // of the trace, when it was asked for
}

// Run runs a plan to its end. Bugs are left out by all but tests.
func Run(p Plan, bugs Bugs) Outcome { return run(p, bugs, false) }

// Trace is Run with the trace's last lines in words.
func Trace(p Plan, bugs Bugs) Outcome { return run(p, bugs, true) }

func run(p Plan, bugs Bugs, keep bool) Outcome {
	w := &World{plan: p, bugs: bugs, rng: rand.New(rand.NewPCG(p.Seed, 2)), index: map[string]int{}} // a simulation
	w.trace.keep, w.noAcks = keep, p.noAcks()
	w.broker = broker{w: w, retained: map[topic]message{}, history: map[topic][]message{}}
	for i, s := range p.Sites {
		w.sites = append(w.sites, w.newSite(i, s))
		w.index[s.Path] = i
	}
	first := w.newAgg(0, &aggDisk{blobs: blobs{}})
	w.aggs = []*agg{first}
	w.check.begin(w)
	w.at(0, first.start)
	for _, s := range w.sites {
		w.at(w.between(0, 3_000), s.start)
	}
	for _, f := range p.Faults {
		w.at(f.At, func() { w.strike(f) })
	}
	w.at(p.QuietAt, w.calm)
	for len(w.heap) > 0 && w.fail == nil && w.done == 0 {
		e := w.next()
		w.now = e.at
		e.do()
	}
	out := Outcome{Hash: w.trace.hash, Lines: w.trace.lines, Failure: w.fail}
	for _, r := range w.active().disk.records {
		if r.round > 0 {
			out.Attempts++
			if r.committed {
				out.Rounds++
			}
		}
	}
	if keep {
		out.Tail = w.trace.text()
	}
	return out
}

// active is the aggregator that is, or should be, in charge: the last that was
// not fenced.
func (w *World) active() *agg {
	for i := len(w.aggs) - 1; i > 0; i-- {
		if !w.aggs[i].over {
			return w.aggs[i]
		}
	}
	return w.aggs[0]
}

// calm ends all faults.
func (w *World) calm() {
	w.quiet, w.noise, w.broker.down = true, Noise{}, false
	w.note(noteQuiet, -1, 0, 0, 0)
	for _, c := range slices.Clone(w.broker.clients) {
		if c.p.fuse = 0; c.cut {
			c.cut = false
			c.lost()
		}
	}
	w.at(1_000, w.watch)
}

// patience is how long the rest may take once all is well.
func (w *World) patience() ms {
	left := ms(w.plan.Rounds) + 3 // small
	return 15*60_000 + left*(2*w.plan.Deadline+4*60_000)
}

// watch looks every few seconds whether the end is reached, as an operator
// would who takes back what halted the task.
func (w *World) watch() {
	a := w.active()
	why := w.unfinished(a)
	switch {
	case why == "":
		w.note(noteEnd, -1, 0, 0, 0)
		w.check.end(a)
		w.done = w.now
		return
	case w.check.inconclusive:
		w.done = w.now
		return
	case w.now > w.plan.QuietAt+w.patience() && w.astray(a):
		w.done = w.now
		return
	case w.now > w.plan.QuietAt+w.patience():
		w.violate("liveness", "%s, %d ms after the last fault", why, w.now-w.plan.QuietAt)
		return
	}
	if st := a.disk.state; st != nil && !a.p.dead && a.started() && !st.Finished {
		switch {
		case st.Stopped:
			w.command(a, round.OpStart)
		case st.Paused || st.PauseAsked:
			w.command(a, round.OpResume)
		}
		w.nudge(a)
	}
	w.at(5_000, w.watch)
}

func (w *World) command(a *agg, op round.Op) {
	if a.p == nil || a.p.dead || !a.started() {
		return
	}
	w.commands++
	a.p.enter(func() {
		a.step(owner.Said{Event: round.Command{ID: fmt.Sprintf("c%d", w.commands), Op: op, AtRound: a.state.Round, Pause: a.state.Pause}})
	})
}

// unfinished says what is still to come, "" for nothing.
func (w *World) unfinished(a *agg) string {
	st := a.disk.state
	switch {
	case st == nil:
		return "the aggregator never started"
	case a.p.dead:
		return "the aggregator is down"
	case !st.Finished:
		return fmt.Sprintf("round %d, attempt %d is %s", st.Round, st.Attempt, st.Phase)
	case !a.t.Published():
		return "the last order has no PUBACK"
	}
	for _, s := range w.sites {
		switch {
		case s.over:
		case s.p.dead:
			return fmt.Sprintf("site %d is down", s.i)
		case len(s.disk.entries) > 0:
			return fmt.Sprintf("site %d does not know what became of rounds %v", s.i, sortedRounds(s.disk.entries))
		case s.m.Seen() != st.Order.Stamp:
			return fmt.Sprintf("site %d has seen order %v", s.i, s.m.Seen())
		case len(s.conn.parts) > 0:
			return fmt.Sprintf("site %d is still subscribed to %d parts", s.i, len(s.conn.parts))
		}
	}
	for i := range a.own {
		r := &a.own[i]
		if w.broker.retained[r.topic].body != r.body {
			return fmt.Sprintf("the broker does not hold what the disk says on topic %d", r.topic.kind)
		}
	}
	return ""
}
