package virtual

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/record"
)

// A seed and settings that are not those of the last round are told when the
// aggregator starts, and count from the next round on; the same are not told.
func TestChangedSettingsAreTold(t *testing.T) {
	inBubble(t, func(w *world) {
		var said bytes.Buffer
		w.log = zerolog.New(zerolog.SyncWriter(&said))
		task := w.task()
		task.Rounds, task.Seed, task.Train = 6, 3, []byte(`{"lr": 0.1}`)
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.recorded(1, record.Committed, time.Minute)
		w.end(aggregatorName)
		w.aggregate(task)
		w.recorded(3, record.Committed, 5*time.Minute)
		w.end(aggregatorName)
		if s := said.String(); strings.Contains(s, "the configuration has") {
			t.Errorf("nothing has changed: %s", s)
		}
		task.Seed, task.Train = 4, []byte(`{"lr": 0.2}`)
		c := w.client("watch", own("order"))
		w.aggregate(task)
		w.finished(5 * time.Minute)
		if _, o := c.order(); o.Seed != 4 || string(o.Settings) != `{"lr": 0.2}` {
			t.Errorf("the last order has seed %d and settings %s", o.Seed, o.Settings)
		}
		w.endAll()
		for _, want := range []string{`"last":3,"configured":4,"round":`, `"last":{"lr":0.1},"configured":{"lr":0.2},"round":`} {
			if n := strings.Count(said.String(), want); n != 1 {
				t.Errorf("%s is said %d times in %s", want, n, said.String())
			}
		}
	})
}
