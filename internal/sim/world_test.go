package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
)

// ms is a point in virtual time, or a duration.
type ms = int64

// World is one run.
type World struct {
	plan Plan
	bugs Bugs
	now  ms
	seq  uint64
	heap []event
	rng  *rand.Rand // of network and faults

	noise    Noise // in force
	quiet    bool  // no fault happens any more
	broker   broker
	sites    []*site
	aggs     []*agg // one; a second one takes over from it
	check    checker
	trace    trace
	fail     *Failure
	index    map[string]int // sites by path
	commands int
	noAcks   bool // PUBACKs may be lost in this plan
	done     ms   // when the task was over and all was settled, 0: not yet
}

// event is something that happens at a time; equal times in order of their
// making.
type event struct {
	at  ms
	seq uint64
	do  func()
}

func (a event) before(b event) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// at has do done after a while.
func (w *World) at(after ms, do func()) {
	w.seq++
	w.heap = append(w.heap, event{w.now + max(after, 0), w.seq, do})
	h := w.heap
	i := len(h) - 1
	for i > 0 && h[i].before(h[(i-1)/2]) {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		i = (i - 1) / 2
	}
}

// next takes the first event out.
func (w *World) next() event {
	h := w.heap
	first, n := h[0], len(h)-1
	h[0] = h[n]
	h[n] = event{}
	h = h[:n]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	w.heap = h
	return first
}

// chance is true once in so many times; never for 0.
func (w *World) chance(perMille int) bool { return perMille > 0 && w.rng.IntN(1000) < perMille }

// between draws a time.
func (w *World) between(lo, hi ms) ms { return lo + w.rng.Int64N(hi-lo+1) }

// violate ends the run: an invariant does not hold.
func (w *World) violate(invariant, format string, args ...any) {
	if w.fail == nil {
		w.fail = &Failure{Invariant: invariant, At: w.now, What: fmt.Sprintf(format, args...)}
		w.note(noteFailure, -1, 0, 0, 0)
	}
}

// process is one life of a node.
type process struct {
	w    *World
	node int
	fuse int // effects until it dies; 0: it does not
	loss bool
	dead bool
	died func() // what its end means to others

	wakeAt ms // the one tick that is on its way
	wake   func()
}

// crash is how a process ends in the middle of what it does.
type crash struct{ p *process }

// effect is a place where a process may die: between any two effects.
func (p *process) effect() {
	if p.fuse > 0 {
		if p.fuse--; p.fuse == 0 {
			panic(crash{p})
		}
	}
}

// enter has a process do something, unless it is dead or dies of it.
func (p *process) enter(do func()) {
	if p.dead || p.w.fail != nil {
		return
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			p.kill()
		default:
			p.w.violate("panic", "%v\n%s", r, debug.Stack())
		}
	}()
	do()
}

// kill ends a process.
func (p *process) kill() {
	if !p.dead {
		p.dead = true
		p.w.note(noteCrash, p.node, 0, 0, 0)
		p.died()
	}
}

// wakeBy has the process woken at a time; an earlier one stands.
func (p *process) wakeBy(at ms) {
	if at <= 0 || p.wakeAt > 0 && p.wakeAt <= at {
		return
	}
	p.wakeAt = at
	p.w.at(at-p.w.now, func() {
		if p.wakeAt == at {
			p.wakeAt = 0
			p.enter(p.wake)
		}
	})
}
