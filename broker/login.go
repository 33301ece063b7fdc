package broker

import (
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
// most, and those of who was wrong before come last. An unknown name waits as
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
	wrong int
	seq   uint64
	start chan struct{}
}

func newLogins() *logins {
	return &logins{slots: max(1, runtime.NumCPU()/2), pairs: map[pairName]*pair{}, mean: 150 * time.Millisecond}
}

// attempt runs check, nil where there is nothing to compare with, when it is its
// turn, and returns when the answer is due, or the connection gone. Busy: it was
// not checked.
func (l *logins) attempt(of pairName, gone <-chan struct{}, check func() bool) (right, busy bool) {
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
		due = l.asIf(p.wrong)
	} else {
		if !l.slot(p.wrong, gone, timer.C) {
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
	of.user = of.user[:min(len(of.user), maxUserName+1)] // no user has a longer one
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

// slot waits for leave to hash, which timed gives back.
func (l *logins) slot(wrong int, gone <-chan struct{}, late <-chan time.Time) bool {
	l.mu.Lock()
	l.seq++
	h := &hasher{wrong: wrong, seq: l.seq, start: make(chan struct{})}
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

// next starts who was wrong least often, then who came first.
func (l *logins) next() {
	for l.hashing < l.slots && len(l.queue) > 0 {
		best := 0
		for i, h := range l.queue {
			if b := l.queue[best]; h.wrong < b.wrong || h.wrong == b.wrong && h.seq < b.seq {
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
func (l *logins) asIf(wrong int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.hashing
	for _, h := range l.queue {
		if h.wrong <= wrong {
			before++
		}
	}
	return time.Duration(before/l.slots+1) * l.mean
}
