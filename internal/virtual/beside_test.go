package virtual

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
)

// megabytes is a task whose model has so many million bytes, and where nobody is
// late.
func (w *world) megabytes(mb float64) aggregator.Task {
	task := w.task()
	task.Init = weights(w.t, make([]float32, int(mb*1e6/4))...)
	task.Rounds, task.Deadline = 1, 24*time.Hour
	return task
}

// megabytes is the size of the model that slow and fast sites share:
// FEDMQ_TEST_MB, by default 2.
func megabytes(t *testing.T) float64 {
	t.Helper()
	mb, err := strconv.ParseFloat(cmp.Or(os.Getenv("FEDMQ_TEST_MB"), "2"), 64)
	check(t, err)
	return mb
}

// transferTime is what so many million bytes need at a rate in bytes a second.
func transferTime(mb float64, rate int) time.Duration {
	return time.Duration(mb * 1e6 / float64(rate) * float64(time.Second))
}

// acceptances is when each update of a round was accepted, since the order.
func (c *client) acceptances() map[string]time.Duration {
	c.w.t.Helper()
	at, opened := map[string]time.Duration{}, int64(0)
	for _, m := range c.all(own("event")) {
		var e struct {
			Event       string `json:"event"`
			Member      string `json:"member"`
			TimestampMS int64  `json:"timestamp_ms"`
		}
		check(c.w.t, json.Unmarshal(m.Payload, &e))
		switch e.Event {
		case "opened":
			if opened == 0 {
				opened = e.TimestampMS
			}
		case "accepted":
			if _, ok := at[e.Member]; !ok {
				at[e.Member] = time.Duration(e.TimestampMS-opened) * time.Millisecond
			}
		}
	}
	return at
}

// beside runs a round of fast sites (8 Mbit/s, 20 ms) that train for a while,
// beside slow ones (128 kbit/s, 200 ms), and returns when each was accepted. The
// aggregator has 100 Mbit/s.
func beside(parent *world, fast, slow int, training time.Duration) map[string]time.Duration {
	w := newWorld(parent.t)
	task := w.megabytes(megabytes(w.t))
	task.StartWhen, task.Quorum = fast+slow, fast+slow
	w.network(aggregatorName, &line{rate: 100_000 * kbit, delay: time.Millisecond})
	c := w.client("watch", own("event"))
	w.aggregate(task)
	for i := range slow {
		m := fmt.Sprintf("a-slow-%d/line-1", i) // the first in every order by path
		w.network(m, &line{rate: 128 * kbit, delay: 200 * time.Millisecond})
		w.join(m, walker{})
	}
	for i := range fast {
		m := fmt.Sprintf("fast-%d/line-1", i)
		w.network(m, &line{rate: 8_000 * kbit, delay: 20 * time.Millisecond})
		w.join(m, walker{takes: training})
	}
	w.recorded(1, record.Committed, 4*transferTime(megabytes(w.t), 128*kbit))
	time.Sleep(time.Second) // the record is on the disk before the last event is over the line
	at := c.acceptances()
	if len(at) != fast+slow {
		w.t.Fatalf("%d updates accepted of %d", len(at), fast+slow)
	}
	for m, l := range w.lines {
		if n := l.connections(); n != 1 {
			w.t.Errorf("%s has connected %d times", m, n)
		}
	}
	w.endAll()
	return at
}

// Four sites at 128 kbit/s do not hold six fast ones up: each of these is done
// in the time that it needs without them, and a fifth. That holds while the slow
// ones fetch their model, and while they send their updates.
func TestSlowBesideFast(t *testing.T) {
	hours(t)
	for name, training := range map[string]time.Duration{
		"slow downloads": time.Second,
		"slow uploads":   transferTime(1.75*megabytes(t), 128*kbit),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				alone, with := beside(w, 6, 0, training), beside(w, 6, 4, training)
				for m, d := range with {
					if want, ok := alone[m]; ok {
						net, limit := d-training, (want-training)*12/10
						t.Logf("%s: alone %s, beside slow ones %s", m, want-training, net)
						if net > limit {
							t.Errorf("%s needs %s beside slow sites, %s alone: want at most %s", m, net, want-training, limit)
						}
					} else {
						t.Logf("%s: %s", m, d)
					}
				}
			})
		})
	}
}

// progress is what a site's statuses have said of a transfer, in their order.
func (c *client) progress(member, phase, message string) (list []float64) {
	c.w.t.Helper()
	for _, m := range c.all(memberTopic(member, "status")) {
		var s struct {
			Phase    string   `json:"phase"`
			Message  string   `json:"message"`
			Progress *float64 `json:"progress"`
		}
		check(c.w.t, json.Unmarshal(m.Payload, &s))
		if s.Phase == phase && s.Message == message && s.Progress != nil {
			list = append(list, *s.Progress)
		}
	}
	return list
}

// grows checks that a transfer of so many parts was shown at most of them, and
// never went back.
func grows(t *testing.T, what string, progress []float64, parts int) {
	t.Helper()
	steps := map[float64]bool{}
	for i, p := range progress {
		steps[p] = true
		if i > 0 && p < progress[i-1] {
			t.Errorf("%s: %v goes back", what, progress)
			return
		}
	}
	if len(steps) < parts*3/4 {
		t.Errorf("%s: %v, want a step for most of %d parts", what, progress, parts)
	}
}

// A model of 1 MB crosses 64 kbit/s both ways on one connection, no slower than
// half as fast as the line, and a watcher sees how far it is.
func TestCrawl(t *testing.T) {
	inBubble(t, func(w *world) {
		const mb, crawler = 1.048576, "crawler/line-1"
		l := &line{rate: 64 * kbit, delay: 300 * time.Millisecond}
		w.network(crawler, l)
		task := w.megabytes(mb)
		task.StartWhen, task.Quorum = 1, 1
		c := w.client("watch", own("event"), memberTopic(crawler, "status"))
		w.aggregate(task)
		w.join(crawler, walker{})
		w.recorded(1, record.Committed, time.Hour)
		ideal := 2 * transferTime(mb, 64*kbit)
		took := c.acceptances()[crawler] - time.Second
		t.Logf("%s, the line alone needs %s", took, ideal)
		if took > 2*ideal {
			t.Errorf("%s, want at most %s", took, 2*ideal)
		}
		if n := l.connections(); n != 1 {
			t.Errorf("connected %d times", n)
		}
		grows(t, "download", c.progress(crawler, "waiting", "for the model"), 9)
		grows(t, "upload", c.progress(crawler, "sending", ""), 9)
	})
}

// An aggregator behind 64 kbit/s publishes a model of 1 MB and takes the updates of
// three sites, on one connection.
func TestThinAggregator(t *testing.T) {
	racing.Skip(t, "TestCrawl has the goroutines of a thin line")
	inBubble(t, func(w *world) {
		const mb = 1.048576
		l := &line{rate: 64 * kbit, delay: 300 * time.Millisecond}
		w.network(aggregatorName, l)
		c := w.client("watch", own("event"))
		w.aggregate(w.megabytes(mb))
		for _, m := range three {
			w.join(m, walker{})
		}
		w.recorded(1, record.Committed, time.Hour)
		ideal := 4 * transferTime(mb, 64*kbit)
		var last time.Duration
		for _, at := range c.acceptances() {
			last = max(last, at)
		}
		t.Logf("%s, the line alone needs %s", last, ideal)
		if n := l.connections(); n != 1 {
			t.Errorf("connected %d times", n)
		}
		if last > 2*ideal {
			t.Errorf("%s, want at most %s", last, 2*ideal)
		}
	})
}
