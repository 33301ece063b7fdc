package virtual

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
)

// A broker that comes back in an open round costs no more than 5 s from when the
// later of aggregator and site is back, whichever that is, whenever it went, with
// updates in one message or in parts, and whether it kept what was retained or
// not: what a broker took before the aggregator had subscribed again is said again.
func TestBrokerRestartsInARound(t *testing.T) {
	for _, late := range []string{aggregatorName, three[0], ""} {
		for _, large := range []bool{false, true} {
			for _, keeps := range []bool{false, true} {
				t.Run(fmt.Sprintf("late=%s,large=%t,keeps=%t", late, large, keeps), func(t *testing.T) {
					if !large || !keeps || late == "" {
						racing.Skip(t, "a large model, a broker that keeps and somebody late have the same goroutines, and more")
					}
					inBubble(t, func(w *world) { restartInRounds(w, late, large, keeps) })
				})
			}
		}
	}
}

const backWork = 4 * time.Second

func restartInRounds(w *world, late string, large, keeps bool) {
	w.keeps = keeps
	w.stopBroker()
	w.startBroker()
	task := w.task()
	if large {
		task = w.large()
		w.parts(smallParts)
	}
	task.Rounds, task.Quorum, task.StartWhen = 100, 1, 1
	w.aggregate(task)
	w.join(three[0], walker{takes: backWork})
	last := w.recorded(1, record.Committed, time.Minute)
	moments := []time.Duration{time.Second, backWork - 300*time.Millisecond, backWork - time.Millisecond, backWork, backWork + time.Millisecond}
	if racing.On { // the others differ by what comes first, not by who does what
		moments = moments[1:3]
	}
	for _, at := range moments {
		time.Sleep(time.Until(time.UnixMilli(last.ClosedMS).Add(at)))
		gone := time.Now()
		w.stopBroker()
		w.bar(late)
		time.Sleep(6 * time.Second)
		w.startBroker()
		time.Sleep(12 * time.Second)
		w.bar("")
		w.until("a record", 3*time.Minute, func() bool {
			last = slices.MaxFunc(w.all(), func(a, b record.Record) int { return int(a.ClosedMS - b.ClosedMS) })
			return last.ClosedMS > gone.UnixMilli()+1
		})
		w.onTime(last, at, gone)
	}
}

// onTime holds a round against its own time: the break was longer than the work,
// unless the order came in it.
func (w *world) onTime(r record.Record, at time.Duration, gone time.Time) {
	w.t.Helper()
	back := w.reached(aggregatorName)
	if s := w.reached(three[0]); s.After(back) {
		back = s
	}
	most := 5 * time.Second
	if r.OpenedMS >= gone.UnixMilli() {
		most += backWork
	}
	if took := time.UnixMilli(r.ClosedMS).Sub(back); took > most {
		w.t.Errorf("round %d, broker gone after %s: closed %s after both were back", r.Round, at, took)
	}
}
