package virtual

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// commander sends commands to a task, and looks at what is said to them.
type commander struct {
	*client
	n int
}

func (w *world) commander() *commander {
	return &commander{client: w.client("operator", own("round"), own("event"), own("released"), own("canary"))}
}

// does sends one and wants an answer.
func (c *commander) does(command, args, want string) {
	c.w.t.Helper()
	c.n++
	if args != "" {
		args = `,"args":` + args
	}
	c.say(own("command"), fmt.Appendf(nil, `{"schema":"fedmq.command.v1","id":"c%d","command":"%s"%s}`, c.n, command, args), false)
	time.Sleep(2 * time.Second)
	if got := c.answer(fmt.Sprintf("c%d", c.n)); !strings.Contains(got, want) {
		c.w.t.Errorf("%s %s: %q, want %q", command, args, got, want)
	}
}

func (c *commander) answer(id string) string {
	for _, e := range c.events("command") {
		if e.Member == id {
			return e.Detail
		}
	}
	return ""
}

// cleared reports whether nothing of a canary stands on the broker.
func (w *world) cleared() bool {
	c := w.client("looks", own("canary"), own("canary/+/+"))
	time.Sleep(time.Second)
	defer w.end("looks")
	return !slices.ContainsFunc(c.messages(), func(m link.Message) bool { return len(m.Payload) > 0 })
}

// A canary that fails at the sites that match stops: the nodes that ran it are back on what
// is released, which never was another; records and view say where it was, and why.
func TestCanaryThatFailsStops(t *testing.T) {
	for name, size := range map[string]int{"inline": 4 << 20, "in parts": wire.MinPart} {
		t.Run(name, func(t *testing.T) {
			if name == "inline" {
				racing.Skip(t, "in parts has the goroutines, and more")
			}
			inBubble(t, func(w *world) {
				w.parts(size)
				task := w.large()
				task.Rounds, task.Release = 4, &aggregator.Release{Hold: 2, Approve: aggregator.ApproveAuto}
				task.Consumers = []string{"+/line-1/gw"}
				w.aggregate(task)
				c := w.commander()
				at, beside := w.gateway(three[0]+"/gw"), w.gateway(three[1]+"/gw")
				//                     0  1  2  3  4
				well := []float64{99, 9, 8, 7, 6}
				badly := []float64{99, 9, 8, 70, 6}
				for i, m := range three {
					losses := well
					if i == 0 {
						losses = badly
					}
					w.join(m, judge{walker{rows: 10 + i, takes: 30 * time.Second}, losses})
				}
				w.recorded(3, "committed", 5*time.Minute) // 2 is released, 3 is not measured yet
				time.Sleep(3 * time.Second)
				c.does("release", `{"version":3,"to":["nowhere/#"]}`, "refused, no member matches nowhere/#")
				c.does("release", `{"version":3,"to":["a/#"]}`, "release: done")
				c.does("release", `{"version":3,"to":["b/#"]}`, "refused, version 3 on a/# is a canary already")
				c.does("release", `{"version":3}`, "refused, version 3 is a canary that has not held yet: 0 of 2 evaluations have passed")
				if !slices.Equal(at.taken(), []uint64{2, 3}) || !slices.Equal(beside.taken(), []uint64{2}) {
					t.Errorf("the one that matches took %v, the other %v; said %v", at.taken(), beside.taken(), at.complaints())
				}
				w.end(aggregatorName)
				w.aggregate(task)
				w.finished(5 * time.Minute)
				time.Sleep(20 * time.Second)
				if !slices.Equal(at.taken(), []uint64{2, 3, 2}) || !slices.Equal(beside.taken(), []uint64{2}) {
					t.Errorf("after it failed the one that matches took %v, the other %v", at.taken(), beside.taken())
				}
				if v, _ := at.status(); *v.Version != 2 || v.From != wire.KindReleased || v.Failed != nil {
					t.Errorf("%+v", v)
				}
				if got := c.onLines(own("released")); !slices.Equal(got, []uint64{2}) || !w.cleared() {
					t.Errorf("on the lines were %v, the canary is cleared: %v", got, w.cleared())
				}
				w.endAll()
				var said []record.Canary
				for _, r := range w.history() {
					said = append(said, r.Canaries...)
				}
				if len(said) != 1 || said[0].Version != 3 || !slices.Equal(said[0].To, []string{"a/#"}) || said[0].State != record.CanaryStopped || !strings.Contains(said[0].Why, "beside version 2: loss 70 after 8") {
					t.Errorf("records say %+v", said)
				}
			})
		})
	}
}

// A canary that has held, in evaluations and in time, waits for an operator, also over a start of the
// aggregator; released it is nothing new to who runs it. One that a node cannot take stops,
// and an operator takes one back.
func TestCanaryThatHolds(t *testing.T) {
	racing.Skip(t, "hours, although of virtual time; TestCanaryThatFailsStops has the goroutines")
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Release = 3, &aggregator.Release{HoldFor: time.Hour}
		task.Consumers = []string{"+/line-1/gw"}
		w.aggregate(task)
		c := w.commander()
		at, beside := w.gateway(three[0]+"/gw"), w.gateway(three[1]+"/gw")
		for i, m := range three {
			w.join(m, judge{walker{rows: 10 + i, takes: 30 * time.Second}, []float64{99, 9, 8, 7}})
		}
		w.recorded(1, "committed", 5*time.Minute)
		time.Sleep(3 * time.Second)
		c.does("rollback", "", "refused, no canary runs: name the version")
		c.does("release", `{"version":1,"to":["a/+"]}`, "release: done")
		c.does("rollback", "", "rollback: done")
		c.does("release", `{"version":1,"to":["+/line-1"]}`, "release: done") // no gateway's path
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		w.aggregate(task)
		time.Sleep(20 * time.Minute)
		c.does("release", `{"version":1}`, "refused, version 1 is a canary that has not held yet: ")
		c.does("rollback", "", "rollback: done")
		time.Sleep(30 * time.Second)
		if !w.cleared() || len(at.taken())+len(beside.taken()) > 0 {
			t.Errorf("cleared: %v; took %v and %v", w.cleared(), at.taken(), beside.taken())
		}
		time.Sleep(time.Hour) // in which versions have passed the gate
		if !c.said(own("round"), `"candidate":{"version":3,`) {
			t.Fatal("no candidate")
		}
		at.cannot(3, 1)
		c.does("release", `{"version":3,"to":["a/#"]}`, "release: done")
		time.Sleep(10 * time.Second)
		if ends := c.events("canary"); !strings.Contains(ends[len(ends)-1].Detail, "version 3 on a/# stops: a/line-1/gw cannot take it: exit status 7") {
			t.Errorf("%+v", ends)
		}
		time.Sleep(time.Minute)
		if v, _ := at.status(); v.Version != nil || v.Failed != nil {
			t.Errorf("it is back at nothing: %+v", v)
		}
		c.does("release", `{"version":3,"to":["a/#"]}`, "release: done")
		time.Sleep(59 * time.Minute)
		if v, _ := at.status(); v.Version == nil || *v.Version != 3 || v.From != wire.KindCanary || len(beside.taken()) > 0 {
			t.Errorf("%+v, the other took %v", v, beside.taken())
		}
		w.end(aggregatorName)
		w.aggregate(task)
		time.Sleep(2 * time.Minute)
		if !c.said(own("round"), `"held":true`) || len(c.onLines(own("released"))) > 0 {
			t.Errorf("it has not held, or is released: %v", c.onLines(own("released")))
		}
		c.does("release", `{"version":3}`, "release: done")
		time.Sleep(time.Minute)
		if v, _ := at.status(); v.From != wire.KindReleased || *v.Version != 3 || !slices.Equal(at.taken(), []uint64{3}) || !slices.Equal(beside.taken(), []uint64{3}) || !w.cleared() {
			t.Errorf("%+v; took %v and %v; cleared %v", v, at.taken(), beside.taken(), w.cleared())
		}
		w.endAll()
	})
}
