package virtual

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/record"
)

// command publishes an operator's command.
func (c *client) command(id, op string, round uint64, retained bool) {
	c.w.t.Helper()
	c.say(own("command"), fmt.Appendf(nil, `{"schema":"fedmq.command.v1","id":%q,"command":%q,"at_round":%d,"timestamp_ms":1}`, id, op, round), retained)
}

// resume sends a resume for a pause.
func (c *client) resume(id, pause string) {
	c.w.t.Helper()
	c.say(own("command"), fmt.Appendf(nil, `{"schema":"fedmq.command.v1","id":%q,"command":"resume","pause":%q,"timestamp_ms":1}`, id, pause), false)
}

// answered checks the detail of the newest event about a command.
func (c *client) answered(want string) {
	c.w.t.Helper()
	got := c.events("command")
	if len(got) == 0 || !strings.HasPrefix(got[len(got)-1].Detail, want) {
		c.w.t.Errorf("command events %v, want the last to be %q", got, want)
	}
}

// Commands are done once, at the round that they name, and never from the
// broker's memory.
func TestCommands(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 50
		early := w.client("early", own("round"))
		early.command("x", "pause", 1, true)
		w.aggregate(task)
		c := w.client("operator", own("round"), own("event"), own("order"), own("command"))
		for _, m := range three {
			w.join(m, walker{takes: 10 * time.Second})
		}
		v := c.awaitView("a round is open although a pause was retained", time.Minute, func(v view) bool { return v.Phase == "open" })
		if w.retained(own("command")) != nil {
			t.Error("the retained command was not cleared")
		}
		time.Sleep(5 * time.Second)
		c.command("1", "stop", v.Round+7, false)
		c.answered("stop: refused, at round")
		c.command("2", "pause", 0, false)
		c.answered("pause: done")
		c.awaitView("paused at the round's end", time.Minute, func(v view) bool { return v.Phase == "halted" && v.Reason == "paused" })
		if _, o := c.order(); o.Work != "none" {
			t.Errorf("order of a paused task: %s", o.Work)
		}
		n := len(w.all())
		time.Sleep(brief(time.Hour))
		if len(w.all()) != n {
			t.Error("a paused task went on")
		}
		at := early.awaitView("the round", time.Minute, func(view) bool { return true }).Round
		c.resume("2", "2")
		c.answered("resume: repeated")
		c.resume("3", "1")
		c.answered(`resume: refused, it ends the pause "1", the task has the pause "2"`)
		c.resume("3b", "2")
		c.answered("resume: done")
		c.awaitView("running", time.Minute, func(v view) bool { return v.Phase == "open" })
		c.command("4", "stop", at, false)
		c.answered("stop: done")
		w.until("the end is told", time.Minute, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.ends) == 1 })
		if r := w.recorded(at, record.Abandoned, time.Second); r.Reason != "stop" || counted(r) != 0 {
			t.Errorf("%+v", r)
		}
		w.end(aggregatorName)
		w.aggregate(task)
		c.awaitView("stopped after a restart", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Phase == "halted" })
		time.Sleep(5 * time.Second)
		c.command("5", "start", at, false)
		c.answered("start: done")
		w.recorded(at, record.Committed, 2*time.Minute)
	})
}

// Whoever has the answer to a pause finds its id in the round view at once, so
// that a resume right after it is not refused; the view is written once a second
// else.
func TestPauseIsShownBeforeItsAnswer(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 50
		w.aggregate(task)
		c := w.client("operator", own("round"), own("event"))
		for _, m := range three {
			w.join(m, walker{takes: 10 * time.Second})
		}
		c.awaitView("a round is open", time.Minute, func(v view) bool { return v.Phase == "open" })
		time.Sleep(5 * time.Second)
		for i := range 20 {
			id := fmt.Sprint("p", i)
			c.command(id, "pause", 0, false)
			w.until("the answer", time.Second, func() bool { e := c.events("command"); return len(e) == 2*i+1 })
			v := c.awaitView("the view that is there", 0, func(view) bool { return true })
			if v.Pause != id {
				t.Fatalf("the view has the pause %q when %s is answered", v.Pause, id)
			}
			c.resume(fmt.Sprint("r", i), v.Pause)
			w.until("the answer", time.Second, func() bool { e := c.events("command"); return len(e) == 2*i+2 })
			c.answered("resume: done")
			time.Sleep(137 * time.Millisecond)
		}
	})
}

// What is no command is refused for everybody to see, and never logged whole.
func TestMalformedCommands(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		c := w.client("operator", own("event"), own("round"))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		time.Sleep(5 * time.Second)
		good := `{"schema":"fedmq.command.v1","id":"1","command":"pause","at_round":1,"timestamp_ms":1}`
		bad := []string{
			"[]", "{", good + "}", good + good, strings.Replace(good, "v1", "v2", 1), strings.Replace(good, `"id":"1"`, `"id":""`, 1),
			strings.Replace(good, "pause", "explode", 1), strings.Replace(good, `"id"`, `"force":true,"id"`, 1),
			good + strings.Repeat(" ", 5000), strings.Replace(good, `"at_round":1`, `"at_round":-1`, 1),
		}
		for i, b := range bad {
			c.say(own("command"), []byte(b), false)
			if got := c.events("command"); len(got) != i+1 || !strings.HasPrefix(got[i].Detail, "refused: ") || len(got[i].Detail) > 270 {
				t.Errorf("%.90s: events %v", b, got)
			}
		}
		c.say(own("command"), nil, false) // a clear is no command
		c.say(own("command"), []byte(good), false)
		if got := c.events("command"); len(got) != len(bad)+1 || got[len(bad)].Detail != "pause: done" {
			t.Errorf("%v", got)
		}
	})
}

// Hours without anything to do: presence and view are said every half minute
// or so, and nothing else.
func TestIdleHours(t *testing.T) {
	hours(t)
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		w.join(three[0], walker{})
		c := w.client("watch", own("round"), namespace+"/_fl_v1/state", own("order"), own("model"), own("record"))
		time.Sleep(time.Minute)
		c.forget()
		start := time.Now()
		time.Sleep(6 * time.Hour)
		for _, topic := range []string{own("round"), namespace + "/_fl_v1/state"} {
			got := c.all(topic)
			if n := len(got); n < 600 || n > 900 {
				t.Errorf("%s: %d messages in 6 hours, want one in 24 to 36 s", topic, n)
			}
			var last struct {
				TimestampMS int64 `json:"timestamp_ms"`
			}
			check(t, json.Unmarshal(got[len(got)-1].Payload, &last))
			if age := time.Since(start) - time.Duration(last.TimestampMS-start.UnixMilli())*time.Millisecond; age > 37*time.Second {
				t.Errorf("%s: the last is %s old", topic, age)
			}
		}
		for _, leaf := range []string{"order", "model", "record"} {
			if n := len(c.all(own(leaf))); n != 0 {
				t.Errorf("%d messages on %s", n, leaf)
			}
		}
	})
}

// When a task has ended the final model, its record and an order without work
// stay on the broker, and sites that come later do not train.
func TestFinished(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		order, body := openOrder(w, w.retained(own("order")))
		last := w.all()[len(w.all())-1]
		if body.Work != "none" || order.Base != last.Model || order.Round != last.Round+1 {
			t.Errorf("order %+v %+v", order, body)
		}
		if !bytes.Contains(w.retained(own("model")), last.Model[:]) || !bytes.Contains(w.retained(own("record")), []byte(last.Model.String())) {
			t.Error("model or record of another version")
		}
		var v view
		check(t, json.Unmarshal(w.retained(own("round")), &v))
		if v.Phase != "halted" || v.Reason != "finished" {
			t.Errorf("round view %+v", v)
		}
		if s := w.retained(namespace + "/_fl_v1/state"); !bytes.Contains(s, []byte(`"online":false`)) {
			t.Errorf("state %s", s)
		}
	})
}
