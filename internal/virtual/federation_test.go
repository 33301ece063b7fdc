package virtual

import (
	"testing"
	"time"
)

var three = []string{"a/line-1", "b/line-1", "c/line-1"}

// An undisturbed federation commits its rounds and an evaluation, ends, and
// every site learns what became of each update.
func TestFederation(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		w.endAll()
		recs := w.history()
		if len(recs) != 5 || recs[4].Work != "evaluate" {
			t.Fatal(w.story())
		}
		for _, r := range recs[1:] {
			if counted(r) != 3 || r.Attempt != 1 || r.OrderHash.IsZero() {
				t.Errorf("round %d, attempt %d: %d counted", r.Round, r.Attempt, counted(r))
			}
		}
		w.settled(three...)
		if n := w.journal(); n != 0 {
			t.Errorf("%d verdicts in the journal of a finished task", n)
		}
	})
}

// A shift of rounds, one in a quarter of an hour: each is in time, and counts
// everybody in its first attempt.
func TestAShiftOfRounds(t *testing.T) {
	hours(t)
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Deadline = 32, 20*time.Minute
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: 15 * time.Minute})
		}
		start := time.Now()
		w.finished(9 * time.Hour)
		if took := time.Since(start); took < 8*time.Hour || took > 8*time.Hour+10*time.Minute {
			t.Errorf("32 rounds of a quarter of an hour took %s", took)
		}
		w.endAll()
		recs := w.history()
		if len(recs) != 34 {
			t.Fatalf("%d records, want the genesis, 32 rounds and an evaluation", len(recs))
		}
		for _, r := range recs[1:] {
			if counted(r) != 3 || r.Attempt != 1 {
				t.Errorf("round %d, attempt %d: %d counted", r.Round, r.Attempt, counted(r))
			}
		}
		w.settled(three...)
	})
}
