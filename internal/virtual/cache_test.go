package virtual

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// What the broker keeps is a cache: foreign bytes, or none, on any of the
// owner's topics are replaced within 10 s, and each topic at most once in 10 s.
func TestCacheIsRepaired(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Deadline = 24 * time.Hour
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: time.Hour})
		}
		topics := []string{namespace + "/_fl_v1/state", own("order"), own("model"), own("record")}
		c := w.client("vandal", append(topics, own("round"))...)
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		time.Sleep(3 * time.Second)
		right := map[string][]byte{}
		for _, topic := range topics[1:] {
			right[topic] = w.retained(topic)
		}
		old := right[own("order")]
		for _, junk := range [][]byte{[]byte("junk"), nil, old[:len(old)-1], bytes.Repeat([]byte{7}, 100_000)} {
			for _, topic := range topics {
				c.say(topic, junk, true)
			}
			time.Sleep(10 * time.Second)
			for _, topic := range topics {
				got := w.retained(topic)
				if topic == topics[0] {
					if !bytes.Contains(got, []byte(`"online":true`)) {
						t.Errorf("state is %.80q", got)
					}
				} else if !bytes.Equal(got, right[topic]) {
					t.Errorf("%s is not repaired: %.40q", topic, got)
				}
			}
			time.Sleep(time.Minute)
		}
		c.forget()
		for range 200 { // a vandal that does not stop
			c.say(own("model"), []byte("junk"), true)
			time.Sleep(100 * time.Millisecond)
		}
		repairs := 0
		for _, m := range c.all(own("model")) {
			if bytes.Equal(m.Payload, right[own("model")]) {
				repairs++
			}
		}
		if repairs < 1 || repairs > 3 {
			t.Errorf("%d repairs in 20 s", repairs)
		}
	})
}

// forge publishes an order on the owner's topic.
func (c *client) forge(h wire.Header, o wire.Order, key *wire.Signer) {
	c.w.t.Helper()
	body, err := wire.Encode(o)
	check(c.w.t, err)
	h.Task, h.Kind, h.Sender, h.Topic = taskName, wire.KindOrder, namespace, own("order")
	p, err := wire.Seal(h, body, key)
	check(c.w.t, err)
	c.say(own("order"), p, true)
	synctest.Wait()
}

// An older order is put right; one of a higher epoch ends this process, which
// does not say that the node is off line; its successor outbids it.
func TestFence(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		for _, m := range three {
			w.join(m, walker{takes: 40 * time.Second})
		}
		c := w.client("other", own("order"), own("round"), namespace+"/_fl_v1/state")
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		time.Sleep(3 * time.Second)
		h, o := c.order()
		older := h
		older.Epoch = 0
		c.forge(older, o, nil)
		time.Sleep(10 * time.Second)
		if now, _ := openOrder(w, w.retained(own("order"))); now.Epoch != h.Epoch {
			t.Errorf("order of epoch %d stays", now.Epoch)
		}
		c.forget()
		higher := h
		higher.Epoch = 7
		c.forge(higher, o, nil)
		if err := w.parties[aggregatorName](); !errors.Is(err, aggregator.ErrFenced) {
			t.Fatalf("the aggregator ended with %v, want ErrFenced", err)
		}
		delete(w.parties, aggregatorName)
		for _, m := range c.all(namespace + "/_fl_v1/state") {
			if bytes.Contains(m.Payload, []byte(`"online":false`)) {
				t.Error("the fenced process says that the node is off line")
			}
		}
		w.aggregate(w.task())
		v := c.awaitView("the next process", time.Minute, func(v view) bool { return v.Phase == "open" })
		if v.Epoch != 8 {
			t.Errorf("epoch %d after 7", v.Epoch)
		}
		w.recorded(1, record.Committed, 5*time.Minute)
	})
}

// An older copy of the data directory is noticed by the order on the broker,
// whatever its epoch, and nothing is published from it.
func TestRestoredBackup(t *testing.T) {
	for name, restarts := range map[string]bool{"same epoch": false, "later epoch": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				task := w.task()
				task.Rounds = 20
				dir, backup := filepath.Join(w.dir, aggregatorName), filepath.Join(w.dir, "backup")
				w.aggregate(task)
				for _, m := range three {
					w.join(m, walker{takes: 5 * time.Second})
				}
				w.recorded(2, record.Committed, time.Minute)
				synctest.Wait()
				check(t, os.CopyFS(backup, os.DirFS(dir)))
				w.recorded(5, record.Committed, time.Minute)
				if restarts {
					w.end(aggregatorName)
					w.aggregate(task)
					w.recorded(6, record.Committed, time.Minute)
				}
				w.end(aggregatorName)
				check(t, os.RemoveAll(dir))
				check(t, os.Rename(backup, dir))
				c := w.client("watch", own("order"), own("model"), own("record"))
				c.forget()
				w.aggregate(task)
				time.Sleep(10 * time.Second)
				if err := w.leave(aggregatorName); !errors.Is(err, aggregator.ErrBehind) {
					t.Errorf("ended with %v, want ErrBehind", err)
				}
				for _, leaf := range []string{"order", "model", "record"} {
					if n := len(c.all(own(leaf))); n > 0 {
						t.Errorf("%d messages on %s", n, leaf)
					}
				}
			})
		})
	}
}
