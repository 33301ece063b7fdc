package transfer

import "slices"

// Turns of uploads over fast lines (TR-33).
const (
	turnsMost     = 8     // at a time
	turnLast   ms = 1_000 // a grant at least, for one that waits
	trialLasts ms = 200
	trialRests    = 20 // of them between two that changed nothing
)

// turns is how many uploads over fast lines are served at a time. Each of them that is half
// done takes memory, or has to be written to a file and read back; more at a time bring more
// only where it is their lines that are slow, and not what all of them share. Which it is
// shows with twice or half as many.
type turns struct {
	n      int // at a time
	served int // in a pass of settle
	all    int // that would be
	most   int // of these, since there were few

	since ms      // a measurement goes on
	parts int     // that came in it
	fresh bool    // it counts for nothing: what comes was granted before n changed, or windows grow yet
	was   int     // n before the trial that goes on; 0: none does
	rate  float64 // parts a ms with n, smoothed; in a trial with n before it
	fewer bool    // is tried next
	rests int     // measurements until then
}

// begin begins a pass over the uploads. Nothing is measured of one alone, and of the last ones,
// when fewer are left than could have turns.
func (t *turns) begin(now ms, list []*upload) *turns {
	t.served, t.all = 0, 0
	for _, u := range list {
		if u.fast() && u.left > 0 {
			t.all++
		}
	}
	if t.most = max(t.most, t.all); t.all < 2 {
		t.most = 0
	}
	if t.all < max(2, min(t.n, t.most)) {
		t.since, t.parts, t.fresh = now, 0, true
	}
	return t
}

// over reports whether as many are served as may be at a time.
func (t *turns) over() bool { return t.served >= t.n }

// share is how much of the budget an upload may have outstanding: of what a connection begins
// with, since more outstanding brings nothing sooner where ranges come fast (TR-24).
func (t *turns) share(u *upload, budget int) int {
	if !u.fast() {
		return windowMost
	}
	budget = min(budget, budgetFirst, budgetBytes/int(u.Blob.Data))
	return max(budget/max(min(t.n, t.all), 1), 1)
}

// came notes a part.
func (t *turns) came(now ms) {
	if t.parts++; now < t.since+trialLasts {
		return
	}
	rate := float64(t.parts) / float64(now-t.since)
	t.since, t.parts = now, 0
	if t.fresh {
		t.fresh = false
		return
	}
	t.measured(rate)
}

// measured goes on with a trial, or begins one.
func (t *turns) measured(rate float64) {
	switch {
	case t.was == 0 && t.rate == 0:
		t.rate = rate
	case t.was == 0:
		t.rate += (rate - t.rate) / 4
	case t.n < t.was && rate > .8*t.rate, t.n > t.was && rate > 1.25*t.rate:
		t.was, t.rate = 0, max(t.rate, rate) // so that half of half is held against the whole
	default:
		t.n, t.was, t.fresh, t.fewer, t.rests = t.was, 0, true, !t.fewer, trialRests
		return
	}
	if t.rests--; t.rests >= 0 {
		return
	}
	next := 2 * t.n
	if t.fewer {
		next = t.n / 2
	}
	if next < 1 || next > turnsMost {
		t.fewer, t.rests = !t.fewer, trialRests
		return
	}
	t.n, t.was, t.fresh = next, t.n, true
}

// fast reports whether its ranges come so fast that it can have its turn.
func (u *upload) fast() bool { return u.window > 1 && u.took <= grantQuick }

// quick reports whether it is fast, and parts of it come.
func (u *upload) quick(now ms) bool {
	return u.fast() && slices.ContainsFunc(u.out, func(s span) bool { return now <= s.last+grantQuick })
}

// canWait reports whether it may have to wait for its turn: it had a grant lately.
func (u *upload) canWait(now ms) bool { return u.left > 0 && now < u.granted+turnLast }

// pause notes that it waits, once nothing is outstanding, and resume that it does not any
// more: that time is not its own.
func (u *upload) pause(now ms) {
	if u.paused == 0 && u.nOwed == 0 {
		u.paused = now
	}
}

func (u *upload) resume(now ms) {
	if u.paused > 0 {
		u.since += now - u.paused
		u.paused = 0
	}
}
