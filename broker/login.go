package broker

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// answerEvery is the grid of times at which wrong passwords are answered,
	// counted from the beginning of an attempt: one a second for a user and
	// address, and no word on whether the user exists.
	answerEvery = time.Second
	// maxLine is how many attempts of one user and address may wait.
	maxLine = 8
	// loginWithin is how long one waits for its turn.
	loginWithin = 10 * time.Second
	// maxPairs is how many users and addresses with wrong passwords are known.
	maxPairs = 4096
	// forgetAfter is when wrong passwords are forgotten.
	forgetAfter = 10 * time.Minute
)

// logins says when a password is checked and when the answer is given. Who is
// known to be right does not come here. Attempts of one user from one address
// wait for each other and for nobody else. Slow hashes take half the cores at
// most, and those of who was wrong before come last; of others first those for users
// that are tried least, so that many addresses buy no more than one. An unknown name waits as
// long as a known one would, and costs no hash.
type logins struct {
	slots int

	mu      sync.Mutex
	pairs   map[pairName]*pair
	queue   []*hasher // wait for a slot
	hashing int
	seq     uint64
	mean    time.Duration // of a slow hash
}

type pairName struct{ host, user string }

type pair struct {
	turn  chan struct{} // holds one while an attempt is under way
	line  int           // attempts under way and waiting
	wrong int
	last  time.Time
}

// hasher waits for a slot; start is closed when it has one.
type hasher struct {
	rank
	seq   uint64
	start chan struct{}
}

// rank says who waits for whom.
type rank struct {
	wrong int // of that user and address
	tried int // the user, from anywhere: wrong and under way
}

func (r rank) compare(o rank) int {
	return cmp.Or(cmp.Compare(r.wrong, o.wrong), cmp.Compare(r.tried, o.tried))
}

func newLogins() *logins {
	return &logins{slots: max(1, runtime.NumCPU()/2), pairs: map[pairName]*pair{}, mean: 150 * time.Millisecond}
}

// attempt runs check, nil where there is nothing to compare with, when it is its
// turn, and returns when the answer is due, or the connection gone. Busy: it was
// not checked.
func (l *logins) attempt(of pairName, gone <-chan struct{}, check func() bool) (right, busy bool) {
	of.user = of.user[:min(len(of.user), maxUserName+1)] // no user has a longer one
	p, short := l.enter(of)
	defer l.leave(p)
	if !short {
		wait(gone, answerEvery)
		return false, true
	}
	timer := time.NewTimer(loginWithin)
	defer timer.Stop()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-timer.C:
		return false, true
	case <-gone:
		return false, true
	}
	began := time.Now()
	due := answerEvery
	if check == nil {
		due = l.asIf(of.user, p)
	} else {
		if !l.slot(of.user, p, gone, timer.C) {
			return false, true
		}
		right = l.timed(check)
	}
	if right {
		l.note(p, 0)
		return true, false
	}
	l.note(p, p.wrong+1)
	due = max(due, time.Since(began))
	if late := due % answerEvery; late > 0 {
		due += answerEvery - late
	}
	wait(gone, time.Until(began.Add(due)))
	return false, false
}

func wait(gone <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C:
	}
}

// enter stands in line; short is false where the line is too long.
func (l *logins) enter(of pairName) (p *pair, short bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p = l.pairs[of]
	if p == nil {
		l.forget()
		p = &pair{turn: make(chan struct{}, 1)}
		l.pairs[of] = p
	}
	if p.line == 0 && time.Since(p.last) > forgetAfter {
		p.wrong = 0
	}
	p.line++
	return p, p.line <= maxLine
}

// forget makes room for one more, if any of those known is not in use.
func (l *logins) forget() {
	for name, p := range l.pairs {
		if len(l.pairs) < maxPairs {
			return
		}
		if p.line == 0 {
			delete(l.pairs, name)
		}
	}
}

func (l *logins) leave(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.line--
	p.last = time.Now()
}

func (l *logins) note(p *pair, wrong int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.wrong = wrong
}

// rank is an attempt's; mu is held.
func (l *logins) rank(user string, p *pair) rank {
	r := rank{wrong: p.wrong}
	for of, other := range l.pairs {
		if of.user == user {
			r.tried += other.wrong + other.line
		}
	}
	return r
}

// slot waits for leave to hash, which timed gives back.
func (l *logins) slot(user string, p *pair, gone <-chan struct{}, late <-chan time.Time) bool {
	l.mu.Lock()
	l.seq++
	h := &hasher{rank: l.rank(user, p), seq: l.seq, start: make(chan struct{})}
	l.queue = append(l.queue, h)
	l.next()
	l.mu.Unlock()
	select {
	case <-h.start:
		return true
	case <-gone:
	case <-late:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.queue, h); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		return false
	}
	return true // it got one meanwhile
}

// next starts who is lowest in rank, then who came first.
func (l *logins) next() {
	for l.hashing < l.slots && len(l.queue) > 0 {
		best := 0
		for i, h := range l.queue {
			b := l.queue[best]
			if cmp.Or(h.compare(b.rank), cmp.Compare(h.seq, b.seq)) < 0 {
				best = i
			}
		}
		close(l.queue[best].start)
		l.queue = slices.Delete(l.queue, best, best+1)
		l.hashing++
	}
}

func (l *logins) timed(check func() bool) bool {
	began := time.Now()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.mean += (time.Since(began) - l.mean) / 8
		l.hashing--
		l.next()
	}()
	return check()
}

// asIf is how long a hash would take, with those that wait before it.
func (l *logins) asIf(user string, p *pair) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, r := l.hashing, l.rank(user, p)
	for _, h := range l.queue {
		if h.compare(r) <= 0 {
			before++
		}
	}
	return time.Duration(before/l.slots+1) * l.mean
}
