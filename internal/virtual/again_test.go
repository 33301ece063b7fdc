package virtual

import (
	"testing"
	"time"

	"github.com/fedmq/fedmq/record"
)

// A round that a break has cut says so, and since when: of the broker, of the
// aggregator's link, of its process. The round after it does not.
func TestAwaitedAgain(t *testing.T) {
	for name, away := range map[string]func(w *world){
		"broker": func(w *world) { w.stopBroker(); time.Sleep(6 * time.Second); w.startBroker() },
		"link":   func(w *world) { w.cut(aggregatorName) },
		"process": func(w *world) {
			w.end(aggregatorName)
			time.Sleep(6 * time.Second)
			w.aggregate(w.task())
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.aggregate(w.task())
				for _, m := range three {
					w.join(m, walker{takes: 40 * time.Second})
				}
				c := w.client("watch", own("round"))
				why := func(want string) func(view) bool {
					return func(v view) bool { return v.Phase == "open" && v.Waiting.Why == want && len(v.Waiting.Members) == 3 }
				}
				v := c.awaitView("round 1", time.Minute, why("updates"))
				if v.Waiting.SinceMS != v.OpenedMS {
					t.Errorf("waits since %d, opened at %d", v.Waiting.SinceMS, v.OpenedMS)
				}
				time.Sleep(5 * time.Second)
				gone := time.Now()
				away(w)
				v = c.awaitView("awaited again", 30*time.Second, why("again"))
				back := w.reached(aggregatorName)
				if at := time.UnixMilli(v.Waiting.SinceMS); at.Before(back.Truncate(time.Millisecond)) || at.Sub(back) > time.Second || !back.After(gone) {
					t.Errorf("waits since %s, gone %s, back %s", at, gone, back)
				}
				w.recorded(1, record.Committed, 5*time.Minute)
				c.awaitView("round 2", 10*time.Second, func(v view) bool { return v.Round == 2 && why("updates")(v) })
			})
		})
	}
}
