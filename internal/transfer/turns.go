package transfer

import "slices"

// Turns of uploads over fast lines (TR-33).
const (
	turnsMost     = 8     // at a time
	turnLast   ms = 1_000 // a grant at least, for one that waits
	lookEvery  ms = 100   // a measurement
	looksVoid     = 2     // of them when n has changed, or windows grow yet: what comes was granted before
	looksTrial    = 3     // in a trial
	looksFirst    = 3     // before the first one
	looksRest     = 20    // from one that changed nothing to the next
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

	since ms  // a measurement goes on
	parts int // that came in it
	void  int // measurements that count for nothing
	tried []float64
	was   int     // n before the trial that goes on; 0: none does
	rate  float64 // parts a ms with n, smoothed; in a trial with n before it
	fewer bool    // is tried next
	rests int     // measurements until then
}

// begin begins a pass over the uploads. Nothing is measured of one alone, and of the last ones,
// when fewer are left than could have turns.
func (t *turns) begin(now ms, list []*upload) {
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
		t.since, t.parts, t.void = now, 0, looksVoid
	}
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
	if t.parts++; now < t.since+lookEvery {
		return
	}
	rate := float64(t.parts) / float64(now-t.since)
	t.since, t.parts = now, 0
	switch {
	case t.void > 0:
		t.void--
	case t.was == 0:
		t.look(rate)
	default:
		if t.tried = append(t.tried, rate); len(t.tried) == looksTrial {
			t.judge()
		}
	}
}

// look notes the rate with n, and begins a trial when it is time.
func (t *turns) look(rate float64) {
	if t.rate == 0 {
		t.rate = rate
	}
	t.rate += (rate - t.rate) / 4
	if t.rests--; t.rests < 0 {
		t.try()
	}
}

// try begins a trial of half as many at a time, or twice as many.
func (t *turns) try() {
	t.fewer = t.n == turnsMost || t.n > 1 && t.fewer
	t.was, t.void, t.tried = t.n, looksVoid, t.tried[:0]
	if t.n *= 2; t.fewer {
		t.n /= 4
	}
}

// judge ends a trial. One that did well is followed by the next in its direction, and half of
// half is held against the whole.
func (t *turns) judge() {
	rate, least := 0.0, 1.25
	for _, x := range t.tried {
		rate += x / looksTrial
	}
	if t.fewer {
		least = .8
	}
	if rate > least*t.rate {
		t.rate = max(t.rate, rate)
		if t.was = 0; t.n > 1 && t.n < turnsMost {
			t.try()
			return
		}
	} else {
		t.n, t.was, t.void, t.fewer = t.was, 0, looksVoid, !t.fewer
	}
	t.rests = looksRest
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
