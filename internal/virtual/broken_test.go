package virtual

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
)

// onLine runs a round of one site behind a line of 1 Mbit/s with a model of 1 MB,
// breaks the line when some of the model has come down, or of the update gone up,
// and waits for the commit: the site trains once, and has nothing left to send.
func onLine(t *testing.T, breakIt func(w *world, l *line)) {
	t.Helper()
	for phase, message := range map[string]string{"waiting": "for the model", "sending": ""} {
		t.Run(phase, func(t *testing.T) {
			inBubble(t, func(w *world) {
				const far = "far/line-1"
				l := &line{rate: 1000 * kbit, delay: 50 * time.Millisecond}
				w.network(far, l)
				task := w.megabytes(1)
				task.StartWhen, task.Quorum = 1, 1
				c := w.client("watch", memberTopic(far, "status"))
				w.aggregate(task)
				runs := new(atomic.Int32)
				w.join(far, walker{runs: runs})
				w.until("some of it", time.Minute, func() bool {
					p := c.progress(far, phase, message)
					return len(p) > 0 && p[len(p)-1] > 0
				})
				breakIt(w, l)
				w.recorded(1, record.Committed, 15*time.Minute)
				time.Sleep(2 * time.Minute)
				w.endAll()
				w.settled(far)
				if n := runs.Load(); n != 1 {
					t.Errorf("trained %d times", n)
				}
			})
		})
	}
}

// Nothing gets through in one direction for a while, or in both, and both ends
// believe in the connection: that of the client ends with its keep-alive.
func TestPartition(t *testing.T) {
	for name, way := range map[string]struct{ up, down bool }{
		"one way, to the broker": {true, false}, "one way, from the broker": {false, true}, "half open": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if !way.up || !way.down {
				racing.Skip(t, "half open has the goroutines of both ways")
			}
			onLine(t, func(w *world, l *line) {
				began := time.Now()
				l.hold(way.up, way.down)
				time.Sleep(10 * time.Second)
				if n := l.connections(); n != 1 {
					w.t.Errorf("connected %d times in 10 s of silence", n)
				}
				time.Sleep(3 * time.Minute)
				l.hold(false, false)
				w.recorded(1, record.Committed, 3*time.Minute)
				if took := time.Since(began); took > 5*time.Minute {
					w.t.Errorf("committed %s after the line was held up for 3 minutes", took)
				}
			})
		})
	}
}

// Every connection is cut in the middle of its second part. What came stays: each
// carries the transfer on by one part at least, and none is asked for twice but the
// one that was cut.
func TestCutInAPart(t *testing.T) {
	onLine(t, func(w *world, l *line) {
		before := l.connections()
		l.cutEach(200_000)
		w.recorded(1, record.Committed, 10*time.Minute)
		l.cutEach(0)
		if n := l.connections() - before; n < 3 || n > 16 {
			w.t.Errorf("%d connections for what was left of a model and an update of 8 parts each", n)
		}
	})
}
