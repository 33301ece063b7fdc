package virtual

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// Whatever K is, and however updates travel: rounds do not wait longer than for the next
// update, late ones count, and a replay gives the models again. With K 1 each counts as it
// comes; with all sites each round waits for all, as ever.
func TestFedBuffOfAnyK(t *testing.T) {
	racing.Skip(t, "TestFedBuffRestarts has the goroutines of one of them")
	for name, c := range map[string]struct {
		k        float64
		encoding string
		late     bool
		signed   bool
	}{
		"each as it comes":        {1, "dense", true, true},
		"all":                     {3, "dense", false, false},
		"what is left over stays": {2, "topk:0.5", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				if c.signed {
					w.sign(three...)
				}
				w.encoding = c.encoding
				task := w.buffered(w.task(), strategy.Settings{"K": c.k, "staleness": "poly", "a": 1.})
				w.aggregate(task)
				w.late()
				w.finished(30 * time.Minute)
				w.endAll()
				w.settled(three...)
				recs := w.history()
				got := w.trained(recs)
				late := slices.ContainsFunc(got, func(s string) bool { return !strings.HasSuffix(s, "+0") })
				if late != c.late || len(got) != 8*int(c.k) {
					t.Errorf("%v", got)
				}
				w.again(recs, slices.Reverse[[]record.Entry])
				for i, r := range recs[1:] {
					if took := r.CommittedMS - recs[i].CommittedMS; took > 36_000 {
						t.Errorf("round %d took %d ms, and the slowest site takes 35 s", r.Round, took)
					}
				}
			})
		})
	}
}
