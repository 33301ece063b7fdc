package virtual

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/wire"
)

func recordFile(r record.Record) string { return fmt.Sprintf("%06d-%d.json", r.Round, r.Attempt) }

// checkViews checks what people read: every JSON message names its schema, is
// small and knows no NaN; a number on kpi/ is exactly what UNS tools expect.
func checkViews(t *testing.T, c *client) (seen map[string]int) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	seen = map[string]int{}
	for _, m := range c.heard {
		leaf := strings.TrimPrefix(m.Topic, namespace+"/_fl_v1/")
		leaf = strings.TrimPrefix(leaf, taskName+"/")
		kind, _, _ := strings.Cut(leaf, "/")
		seen[kind]++
		var v map[string]any
		if err := json.Unmarshal(m.Payload, &v); err != nil || len(m.Payload) >= 16_000 {
			t.Errorf("%s: %d bytes, %v", leaf, len(m.Payload), err)
		}
		if s, _ := v["schema"].(string); (kind == "kpi") == (s != "") {
			t.Errorf("%s: schema %q", leaf, s)
		}
		if _, isTime := v["timestamp_ms"].(float64); kind != "record" && !isTime {
			t.Errorf("%s: no timestamp_ms", leaf)
		}
		if kind == "kpi" {
			if _, ok := v["value"].(float64); !ok || len(v) != 2 {
				t.Errorf("%s: %s", leaf, m.Payload)
			}
		}
	}
	return seen
}

func jsonTopics() []string {
	return []string{namespace + "/_fl_v1/state", own("round"), own("event"), own("record"), own("kpi/+")}
}

// The windows of an ordinary federation.
func TestViews(t *testing.T) {
	inBubble(t, func(w *world) {
		c := w.client("watch", jsonTopics()...)
		w.aggregate(w.task())
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		seen := checkViews(t, c)
		for _, kind := range []string{"state", "round", "event", "record", "kpi"} {
			if seen[kind] == 0 {
				t.Errorf("nothing on %s", kind)
			}
		}
		for _, kpi := range []string{"round", "sites", "round_seconds", "rmse", "loss", "n"} {
			if len(c.all(own("kpi/"+kpi))) == 0 {
				t.Errorf("nothing on kpi/%s", kpi)
			}
		}
		for kind, want := range map[string]int{"joined": 3, "opened": 4, "accepted": 12, "closing": 4, "committed": 4} {
			if got := len(c.events(kind)); got != want {
				t.Errorf("%d events %s, want %d", got, kind, want)
			}
		}
		if heads := c.all(own("record")); len(heads) > 6 {
			t.Errorf("%d heads of 5 records", len(heads))
		}
	})
}

// With a thousand members the windows stay small, and events are summed up.
func TestManyMembers(t *testing.T) {
	hours(t)
	inBubble(t, func(w *world) {
		const n = 1000
		task := w.task()
		task.Rounds, task.StartWhen, task.Quorum = 1, n, n/2
		w.aggregate(task)
		c := w.client("watch", jsonTopics()...)
		members := w.client("members", own("order"))
		time.Sleep(5 * time.Second)
		name := func(i int) string { return fmt.Sprintf("a-site-with-a-long-name-%04d/line-1", i) }
		for i := range n {
			members.signUp(name(i), 10, nil)
		}
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" && v.Members == n })
		h, _ := members.order()
		for i := range n {
			var u wire.Message = wire.Update{Samples: 10, Tensors: w.delta(float32(i)/n, 0), Metrics: map[string]float64{"n": 10, "loss": 5}}
			if i%3 == 0 {
				u = wire.Decline{Reason: "no_data"}
			}
			members.say(memberTopic(name(i), "update"), w.seal(name(i), wire.KindUpdate, header(h), u, nil), false)
		}
		r := w.recorded(1, record.Committed, 5*time.Minute)
		if counted(r) != 666 || r.Counts()["declined"] != 334 {
			t.Errorf("%v", r.Counts())
		}
		time.Sleep(2 * time.Second)
		w.end(aggregatorName)
		checkViews(t, c)
		if seen := len(c.events("joined")) + len(c.events("accepted")) + len(c.events("declined")); seen > 3*100 {
			t.Errorf("%d events of single members", seen)
		}
		if len(c.events("summary")) == 0 {
			t.Error("no summary")
		}
	})
}

// Metrics that no sum can hold, or of nothing, spoil no view and no record.
func TestHostileMetrics(t *testing.T) {
	inBubble(t, func(w *world) {
		watch := w.client("watch", jsonTopics()...)
		c, h := attack(w)
		c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1), Metrics: map[string]float64{"n": 1e300, "loss": -1e308, "se": 1e308, "correct": 5, "confusion.7.9": 1}})
		r := w.recorded(1, record.Committed, time.Minute)
		if m := r.Metrics["loss"]; m.Sites != 2 || m.Value != 1 || len(r.Metrics) != 3 {
			t.Errorf("metrics %+v, want loss, rmse and n of the two others", r.Metrics)
		}
		time.Sleep(2 * time.Second)
		w.end(aggregatorName)
		checkViews(t, watch)
		for _, m := range watch.all(own("round")) {
			if bytes.Contains(m.Payload, []byte("NaN")) {
				t.Error("NaN")
			}
		}
	})
}

// Two tasks share a process and stay apart.
func TestTwoTasks(t *testing.T) {
	inBubble(t, func(w *world) {
		one, two := w.task(), w.task()
		two.Name, two.Members = "other", []string{"+/line-9"}
		w.aggregate(one, two)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		for _, r := range w.all() {
			if r.Task == "other" && r.Round > 0 {
				t.Errorf("round %d of a task without members", r.Round)
			}
		}
	})
}

// Updates that change nothing have the same bytes in all tasks: those that one
// task keeps for good stay, also when another is done with its own, and after a
// restart.
func TestTwoTasksOfOneUpdate(t *testing.T) {
	inBubble(t, func(w *world) {
		one, two := w.task(), w.task()
		one.KeepUpdates, one.Rounds = aggregator.KeepAll, 1
		two.Name, two.KeepUpdates, two.Rounds = "other", aggregator.KeepRound, 2
		w.tune = func(cfg *site.Config) {
			cfg.Tasks = append(cfg.Tasks, site.Task{Name: "other", Trainer: walker{still: true, takes: 40 * time.Second}})
		}
		w.aggregate(one, two)
		for _, m := range three {
			w.join(m, walker{still: true})
		}
		kept := func(when string) {
			t.Helper()
			h := w.delta(0, 0).ContentID().String()
			if _, err := os.Stat(filepath.Join(w.dir, aggregatorName, "blobs", h[:2], h)); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		done := func(task string, round uint64) {
			w.until("a round of "+task, 5*time.Minute, func() bool {
				return slices.ContainsFunc(w.all(), func(r record.Record) bool { return r.Task == task && r.Round == round })
			})
		}
		done(taskName, 1) // a site trains for one task at a time, and either may be first
		done("other", 1)
		kept("a round of the other task later")
		w.end(aggregatorName)
		w.aggregate(one, two)
		done("other", 2)
		kept("after a restart")
	})
}

// Two tasks that began with the same model share its bytes on the disk: what one
// of them has left behind stays as long as the other stands on it.
func TestTwoTasksOfOneModel(t *testing.T) {
	inBubble(t, func(w *world) {
		one, two := w.task(), w.task()
		one.KeepModels = 1
		two.Name, two.Members = "other", []string{"+/line-9"}
		w.aggregate(one, two)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		w.aggregate(one, two)
		time.Sleep(time.Minute)
		w.end(aggregatorName)
	})
}
