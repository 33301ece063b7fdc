package virtual

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/topics"
)

// An owner whose directory is lost begins anew, with the same keys, names and first
// model. Joins and updates that were signed for its former life, played back by
// whoever recorded them, are nobody's and count for nothing. Its sites see that the
// task has begun anew, say so once, and take part from the start.
func TestBegunAnewTakesNothingOfTheFormerLife(t *testing.T) {
	inBubble(t, func(w *world) {
		said := &sink{}
		w.log = zerolog.New(said)
		w.sign(three...)
		w.newKey("", topics.RoleOperator)
		w.aggregate(w.task())
		var topics []string
		for _, m := range three {
			topics = append(topics, memberTopic(m, "join"), memberTopic(m, "update"))
		}
		c := w.client("recorder", append(topics, own("#"))...)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		for _, m := range three {
			w.end(m)
		}
		w.end(aggregatorName)
		former := c.originOf(own("order"))
		check(t, os.RemoveAll(filepath.Join(w.dir, aggregatorName)))
		for _, leaf := range []string{"order", "model", "record", "round"} {
			c.say(own(leaf), nil, true)
		}
		w.mu.Lock()
		w.records, w.ends = nil, nil
		w.mu.Unlock()
		w.aggregate(w.task())
		c.awaitView("the owner begins anew", time.Minute, func(v view) bool { return v.Epoch == 1 && v.Round == 1 })
		if now := w.origin(taskName); now == former || now.IsZero() {
			t.Errorf("the origin is %q as before", now)
		}
		for _, topic := range topics {
			c.say(topic, c.all(topic)[0].Payload, false) // joins first of each member, then its update of round 1
		}
		c.awaitView("the replies are refused", time.Minute, func(v view) bool {
			return v.Refusals[verdict.OtherOrigin.String()] == 2*len(three) && v.Members == 0
		})
		time.Sleep(5 * time.Second) // commands are taken from here on
		c.signedCommand("pause", own("command"), former)
		c.answered("refused: made for the origin")
		for _, m := range three {
			w.join(m, walker{})
		}
		if r := w.recorded(1, "committed", time.Minute); counted(r) != 3 || r.Origin != w.origin(taskName) {
			t.Errorf("%+v", r)
		}
		w.finished(5 * time.Minute)
		if n := len(said.at("warn", "the task begins anew")); n != 3 {
			t.Errorf("3 sites said %d times that the task begins anew", n)
		}
	})
}

// A restart of the owner is no new life: what was signed before it counts.
func TestRestartKeepsTheOrigin(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		before := w.origin(taskName)
		w.end(aggregatorName)
		w.aggregate(w.task())
		if after := w.origin(taskName); after != before {
			t.Errorf("origin %s, then %s", before, after)
		}
	})
}
