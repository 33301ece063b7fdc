package broker

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hash is a password check that takes 120 ms.
func hash(right bool) func() bool {
	return func() bool { time.Sleep(120 * time.Millisecond); return right }
}

// flood guesses until the test ends, over n connections.
func flood(t *testing.T, l *logins, n int, of func(i int) pairName, check func() bool) (guesses func() int) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	t.Cleanup(func() { close(stop); wg.Wait() })
	for i := range n {
		wg.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				_, busy := l.attempt(of(i+n*k), stop, check)
				mu.Lock()
				if !busy {
					done++
				}
				mu.Unlock()
			}
		})
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return done }
}

func fromOne(user string) pairName { return pairName{"192.0.2.1", user} }

// Whoever guesses, and from how many addresses, the first login of another user from
// the same address takes no longer than a second.
func TestGuessingCostsNobodyElse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		of    func(int) pairName
		check func() bool
	}{
		"one user's password":     {func(int) pairName { return fromOne("op") }, hash(false)},
		"random names":            {func(i int) pairName { return fromOne(fmt.Sprint("nobody", i)) }, nil},
		"sixty users":             {func(i int) pairName { return fromOne(fmt.Sprint("site", i%60)) }, hash(false)},
		"an address for each":     {func(i int) pairName { return pairName{fmt.Sprint(i), "op"} }, hash(false)},
		"three users, everywhere": {func(i int) pairName { return pairName{fmt.Sprint(i), fmt.Sprint("site", i%3)} }, hash(false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLogins()
				l.slots = 1
				guesses := flood(t, l, 400, tc.of, tc.check)
				time.Sleep(30 * time.Second)
				before, began := guesses(), time.Now()
				right, busy := l.attempt(pairName{"192.0.2.1", "honest"}, nil, hash(true))
				if took := time.Since(began); !right || busy || took > answerEvery {
					t.Errorf("right %v, busy %v after %v", right, busy, took)
				}
				time.Sleep(10 * time.Second)
				if n := guesses() - before; name != "random names" && n > 250 {
					t.Errorf("%d guesses in 10 s", n)
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				if len(l.pairs) > maxPairs {
					t.Errorf("%d pairs are known", len(l.pairs))
				}
			})
		})
	}
}

// An answer tells nothing of whether the user exists, or has logged in, also
// while a crowd logs in.
func TestAnswersAreAlike(t *testing.T) {
	t.Parallel()
	for _, others := range []int{0, 30} {
		synctest.Test(t, func(t *testing.T) {
			l := newLogins()
			l.slots = 1
			for i := range 50 { // how long a hash takes
				_, _ = l.attempt(pairName{"192.0.2.2", fmt.Sprint(i)}, nil, hash(true))
			}
			took := map[string][]time.Duration{}
			for i := range 5 {
				for user, check := range map[string]func() bool{"unknown": nil, "known": hash(false)} {
					var crowd sync.WaitGroup
					for k := range others {
						crowd.Go(func() { _, _ = l.attempt(pairName{"192.0.2.3", fmt.Sprint(k)}, nil, hash(true)) })
					}
					time.Sleep(time.Millisecond)
					began := time.Now()
					if right, busy := l.attempt(pairName{"192.0.2.1", user}, nil, check); right || busy {
						t.Errorf("guess %d, %s: %v %v", i, user, right, busy)
					}
					took[user] = append(took[user], time.Since(began))
					crowd.Wait()
				}
			}
			for i := range 5 {
				if took["known"][i] != took["unknown"][i] || took["known"][i]%answerEvery != 0 {
					t.Fatalf("%d others: known %v, unknown %v", others, took["known"], took["unknown"])
				}
			}
		})
	}
}

// Three hundred sites that log in for the first time at once all get in, half
// the cores hash, and who was wrong before comes after them.
func TestACrowdLogsIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogins()
		l.slots = 2
		var mu sync.Mutex
		now, most, in := 0, 0, 0
		check := func() bool {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(60 * time.Millisecond)
			mu.Lock()
			now--
			in++
			mu.Unlock()
			return true
		}
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				if right, busy := l.attempt(pairName{fmt.Sprint(i), fmt.Sprint(i)}, nil, check); !right || busy {
					t.Errorf("site %d: %v %v", i, right, busy)
				}
			})
		}
		wg.Wait()
		if most != 2 || in != 300 {
			t.Errorf("%d hashed at once, %d got in", most, in)
		}
	})
}

// A connection that ends, or a broker that stops, leaves no attempt behind.
func TestAttemptEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogins()
		gone := make(chan struct{})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _, _ = l.attempt(pairName{"a", "u"}, gone, hash(false)) })
		}
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		close(gone)
		wg.Wait()
		if took := time.Since(began); took > 200*time.Millisecond || l.hashing != 0 || len(l.queue) != 0 {
			t.Errorf("%v, %d hash, %d wait", took, l.hashing, len(l.queue))
		}
	})
}
