package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "run this seed alone, and print its trace")
	roundsFlag = flag.Int("rounds", 0, "run seeds from 1 on until so many rounds are committed")
	fromFlag   = flag.Uint64("from", 1, "the first seed")
)

// TestSim runs seeds one after the other: some in every test run, as many as
// -rounds asks for, or the one that -seed names.
func TestSim(t *testing.T) {
	if *seedFlag != 0 {
		out := Trace(NewPlan(*seedFlag), Bugs{})
		p := NewPlan(*seedFlag)
		t.Logf("%+v", p)
		t.Logf("seed %d: %d rounds, %d attempts, hash %x, %d lines, %d s\n%s",
			*seedFlag, out.Rounds, out.Attempts, out.Hash, out.Lines, out.Now/1000, strings.Join(out.Tail, "\n"))
		if out.Failure != nil {
			t.Errorf("%s at %d ms: %s", out.Failure.Invariant, out.Failure.At, out.Failure.What)
		}
		return
	}
	want := *roundsFlag
	if want == 0 {
		want = 2_000
	}
	start := time.Now()
	sum := search(*fromFlag, want, Bugs{})
	t.Logf("%d seeds, %d rounds committed of %d attempts, %d lines of trace, %.1f s", sum.seeds, sum.rounds, sum.attempts, sum.lines, time.Since(start).Seconds())
	if sum.failed != 0 {
		t.Error(report(sum.failed))
	}
}

type summary struct {
	seeds, rounds, attempts, lines int64
	failed                         uint64 // the lowest seed that did, 0: none
}

// search runs seeds on all processors until so many rounds are committed or
// one fails.
func search(from uint64, rounds int, bugs Bugs) summary {
	var next, failed atomic.Uint64
	var sum summary
	var mu sync.Mutex
	var wg sync.WaitGroup
	next.Store(from)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				enough := sum.rounds >= int64(rounds) || failed.Load() != 0
				mu.Unlock()
				if enough {
					return
				}
				seed := next.Add(1) - 1
				out := Run(NewPlan(seed), bugs)
				mu.Lock()
				sum.seeds++
				sum.rounds += int64(out.Rounds)
				sum.attempts += int64(out.Attempts)
				sum.lines += int64(out.Lines)
				if out.Failure != nil && (sum.failed == 0 || seed < sum.failed) {
					sum.failed = seed
					failed.Store(seed)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum
}

// report says what failed, shrunk, with the end of its trace.
func report(seed uint64) string {
	whole := NewPlan(seed)
	out := Run(whole, Bugs{})
	if out.Failure == nil {
		return fmt.Sprintf("seed %d failed, and does not when it is run again", seed)
	}
	small := Shrink(whole, Bugs{}, 500)
	s := Trace(small, Bugs{})
	tail := s.Tail[max(0, len(s.Tail)-60):]
	return fmt.Sprintf("seed %d: %s at %d ms: %s\nshrunk to %d sites, %d faults, %d rounds: %s at %d ms: %s\n%+v\n%s\nmake sim SEED=%d runs it whole",
		seed, out.Failure.Invariant, out.Failure.At, out.Failure.What,
		len(small.Sites), len(small.Faults), small.Rounds, s.Failure.Invariant, s.Failure.At, s.Failure.What, small, strings.Join(tail, "\n"), seed)
}

// TestSameSeed: a plan has one trace.
func TestSameSeed(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		a, b := Run(NewPlan(seed), Bugs{}), Trace(NewPlan(seed), Bugs{})
		if a.Hash != b.Hash || a.Lines != b.Lines || a.Now != b.Now {
			t.Errorf("seed %d: %x after %d lines, then %x after %d", seed, a.Hash, a.Lines, b.Hash, b.Lines)
		}
	}
	if Run(NewPlan(1), Bugs{}).Hash == Run(NewPlan(2), Bugs{}).Hash {
		t.Error("two seeds, one trace")
	}
}

// TestShrink: what is left still fails, and is less.
func TestShrink(t *testing.T) {
	bugs := Bugs{KeptUnchecked: true}
	seed := search(1, 10_000, bugs).failed
	if seed == 0 {
		t.Fatal("nothing to shrink")
	}
	whole := NewPlan(seed)
	small := Shrink(whole, bugs, 300)
	if Run(small, bugs).Failure == nil {
		t.Error("it does not fail any more")
	}
	if len(small.Faults) >= len(whole.Faults) && len(small.Sites) >= len(whole.Sites) {
		t.Errorf("%d faults and %d sites, before %d and %d", len(small.Faults), len(small.Sites), len(whole.Faults), len(whole.Sites))
	}
	t.Logf("seed %d: %d faults and %d sites of %d and %d are left", seed, len(small.Faults), len(small.Sites), len(whole.Faults), len(whole.Sites))
}
