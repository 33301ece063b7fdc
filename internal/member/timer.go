package member

// ms is a point in time (since the epoch) or a duration, in milliseconds.
type ms = int64

// Random draws a number of 0 to n-1, as rand.Rand does.
type Random interface{ Int64N(n int64) int64 }

// Waiting times of a member (S-4, S-11, S-14).
const (
	joinFirst  ms = 5_000
	joinSoon   ms = 500
	sendFirst  ms = 10_000
	repeatMost ms = 60_000
	askEvery   ms = 60_000
	beatEvery  ms = 30_000
	leastBeat  ms = 10_000
	modelFirst ms = 3_000
	backEvery  ms = 3_000

	recordGrace ms = 2_000
	waitEvery   ms = 60_000
)

// mostWait bounds what an aggregator can have a process wait.
const mostWait ms = 3_600_000

// timer is a repeated act: due at a time, then later and later.
type timer struct {
	on    bool
	due   ms
	every ms
	again bool // it was due before
	tries int  // how often it was
	first ms   // when it was first
}

// set arms the timer for a time, with the pause that follows it.
func (t *timer) set(due, every ms) { *t = timer{on: true, due: due, every: every} }

// resume is set that goes on counting what has no answer.
func (t *timer) resume(due, every ms) { t.due, t.every, t.again = due, every, false }

// sooner moves the timer to a time that comes before, with the pause that follows.
func (t *timer) sooner(due, every ms) {
	if due < t.due {
		t.set(due, every)
	}
}

// later moves the timer on: its pause +-50 %, twice as long the next time, to
// at most a minute.
func (t *timer) later(now ms, r Random) {
	t.again, t.due = true, now+jitter(r, t.every)
	if t.tries++; t.tries == 1 {
		t.first = now
	}
	t.every = min(2*t.every, repeatMost)
}

// jitter draws from d +-50 %.
func jitter(r Random, d ms) ms { return d/2 + r.Int64N(d+1) }
