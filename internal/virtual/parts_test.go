package virtual

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// partTopic names a part of the model.
func partTopic(slot, part int) string { return own(fmt.Sprintf("model/%d/%d", slot, part)) }

// isPart reports whether a topic is one of them.
func isPart(topic string) bool { return strings.HasPrefix(topic, own("model/")) }

// manifest reads what the model's topic holds.
func (w *world) manifest(payload []byte) (wire.Header, wire.Manifest) {
	w.t.Helper()
	o := wire.Opener{NS: w.ns, Limits: wire.Limits{Part: wire.MaxPart}}
	h, body, err := o.Open(own("model"), payload, wire.Bound{})
	check(w.t, err)
	d, err := wire.DecodeModel(body, wire.Limits{})
	check(w.t, err)
	m, ok := d.(wire.Manifest)
	if !ok {
		w.t.Fatalf("the model is %T", d)
	}
	return h, m
}

// messages returns all that was heard, oldest first.
func (c *client) messages() []link.Message {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

// everything returns the topics of all that was heard.
func (c *client) everything() (topics []string) {
	for _, m := range c.messages() {
		topics = append(topics, m.Topic)
	}
	return topics
}

// A version goes out as its parts, then the manifest, the record's head and
// the order; versions take turns in the slots; the parts together are the model.
func TestPublication(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		task := w.large()
		task.Slots = 3
		c := w.client("watch", own("model"), own("model/+/+"), own("order"), own("record"))
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		models := map[uint64]model.Hash{}
		for _, r := range w.all() {
			models[r.Round] = r.Model
		}
		got, times := map[string][]byte{}, map[string]int{}
		seen := 0
		for _, m := range c.messages() {
			if isPart(m.Topic) {
				if times[m.Topic+string(m.Payload)]++; times[m.Topic+string(m.Payload)] > 1 {
					t.Errorf("%s was published once more", m.Topic)
				}
			}
			if m.Topic == own("order") {
				h, _ := openOrder(w, m.Payload)
				if mh, _ := w.manifest(got[own("model")]); mh.Base != h.Base {
					t.Errorf("order %d.%d before its model", h.Round, h.Attempt)
				}
			}
			got[m.Topic] = m.Payload
			if m.Topic != own("model") {
				continue
			}
			h, mf := w.manifest(m.Payload)
			if seen++; uint64(mf.Slot) != mf.Version%3 {
				t.Errorf("version %d in slot %d of 3", mf.Version, mf.Slot)
			}
			var all []byte
			for i := range mf.Blob.Count() {
				p, err := wire.DecodePart(got[partTopic(int(mf.Slot), i)], smallParts)
				if err != nil || p.Blob != mf.Blob.Key() || !mf.Blob.Holds(i, p.Data) {
					t.Fatalf("version %d: part %d was not there before the manifest: %v", mf.Version, i, err)
				}
				all = append(all, p.Data...)
			}
			if model.ContentOf(all) != h.Base || h.Base != models[mf.Version] {
				t.Errorf("version %d: the parts are another model", mf.Version)
			}
		}
		if seen < 5 {
			t.Errorf("%d manifests", seen)
		}
	})
}

// After a reconnect the small messages come first, and then every part again.
func TestReconnectPublishesAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		task := w.large()
		task.Deadline = time.Hour
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: 30 * time.Minute})
		}
		c := w.client("watch", own("model"), own("model/+/+"), own("order"), own("round"))
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		time.Sleep(time.Minute)
		for name, again := range map[string]func(){
			"a cut":     func() { w.cut(aggregatorName) },
			"a restart": func() { w.end(aggregatorName); w.aggregate(task) },
		} {
			c.forget()
			again()
			time.Sleep(time.Minute)
			heard := c.everything()
			order := slices.Index(heard, own("order"))
			first := slices.IndexFunc(heard, isPart)
			parts := 0
			for _, topic := range heard {
				if isPart(topic) {
					parts++
				}
			}
			if order < 0 || first < order || parts != 49 {
				t.Errorf("%s: the order at %d, the first of %d parts at %d; want the order first, and 49", name, order, parts, first)
			}
		}
	})
}

// Members that miss parts get them again, each at most once in two seconds,
// whoever asks; strangers get nothing.
func TestNeed(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attackLarge(w, w.large())
		w.client("parts", own("model/+/+"))
		_, mf := w.manifest(w.retained(own("model")))
		watch := w.client("again", own("model/+/+"))
		time.Sleep(5 * time.Second)
		watch.forget()
		need := func(member string, key wire.BlobKey, ranges ...wire.Range) {
			c.say(memberTopic(member, "need"), w.seal(member, wire.KindNeed, h, wire.Need{Blob: key, Ranges: ranges}, nil), false)
			synctest.Wait()
		}
		parts := func() (out []string) {
			for _, topic := range watch.everything() {
				out = append(out, strings.TrimPrefix(topic, own("model/0/")))
			}
			slices.Sort(out)
			watch.forget()
			return out
		}
		key := mf.Blob.Key()
		for i := range 4 {
			c.say(partTopic(0, i), nil, true) // lost
		}
		watch.forget()
		for range 5 {
			need(evil, key, wire.Range{First: 1, N: 2}, wire.Range{First: 48, N: 900})
			need(three[0], key, wire.Range{First: 2, N: 2})
		}
		if got := parts(); !slices.Equal(got, []string{"1", "2", "3", "48"}) {
			t.Errorf("published again %q, want 1, 2, 3 and 48, once", got)
		}
		need("x/line-1", key, wire.Range{First: 0, N: 1})
		need(evil, wire.BlobKey{1}, wire.Range{First: 0, N: 1})
		c.say(memberTopic(evil, "need"), []byte("junk"), false)
		if got := parts(); len(got) > 0 {
			t.Errorf("published %q for a stranger, another blob and junk", got)
		}
		time.Sleep(2 * time.Second)
		need(evil, key, wire.Range{First: 1, N: 1})
		if got := parts(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("two seconds later %q, want 1", got)
		}
		p := w.retained(partTopic(0, 3))
		if part, err := wire.DecodePart(p, smallParts); err != nil || !mf.Blob.Holds(3, part.Data) {
			t.Errorf("part 3 on the broker: %v", err)
		}
		c.awaitView("both are counted", time.Minute, func(v view) bool {
			return v.Refusals["unknown_member"] == 1 && v.Refusals["malformed"] == 1
		})
	})
}

// The manifest is watched as every retained topic of the owner is.
func TestManifestIsRepaired(t *testing.T) {
	inBubble(t, func(w *world) {
		c, _ := attackLarge(w, w.large())
		right := w.retained(own("model"))
		for _, junk := range [][]byte{nil, []byte("junk")} {
			c.say(own("model"), junk, true)
			time.Sleep(10 * time.Second)
			if got := w.retained(own("model")); !bytes.Equal(got, right) {
				t.Errorf("after %q: %.20q", junk, got)
			}
		}
	})
}

// What an earlier part size, or number of slots, has left on the broker goes.
func TestEarlierLayoutIsCleared(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.large()
		run := func(size, slots int) {
			w.set = func(cfg *aggregator.Config) { cfg.PartSize, cfg.Tasks[0].Slots = size, slots }
			w.aggregate(task)
			time.Sleep(30 * time.Second)
		}
		for _, m := range three {
			w.join(m, walker{takes: 5 * time.Second})
		}
		count := func() (n int) {
			c := w.client("count", own("model/+/+"))
			time.Sleep(time.Second)
			for _, m := range c.messages() {
				if len(m.Payload) > 0 {
					n++
				}
			}
			w.end("count")
			return n
		}
		run(5000, 3)
		if n := count(); n != 3*98 {
			t.Errorf("%d parts of 98 in three slots", n)
		}
		w.end(aggregatorName)
		w.set = func(cfg *aggregator.Config) { // a life without a link: nothing is cleared in it
			cfg.PartSize = smallParts
			cfg.Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("no way") }
		}
		w.aggregate(task)
		time.Sleep(5 * time.Second)
		w.end(aggregatorName)
		run(smallParts, 2)
		if n := count(); n > 98 || n < 49 {
			t.Errorf("%d parts of 49 in two slots", n)
		}
		w.end(aggregatorName)
		run(4<<20, 2)
		if n := count(); n != 0 {
			t.Errorf("%d parts of a model that is inline", n)
		}
		w.end(aggregatorName)
	})
}

// The broker forgets everything while a site fetches the model.
func TestBrokerForgetsInAPull(t *testing.T) {
	racing.Skip(t, "TestBrokerIsKilledInAPull has the goroutines")
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		w.network(three[2], &line{rate: 40_000})
		w.aggregate(w.large())
		for i, m := range three {
			w.join(m, walker{rows: 10 * (i + 1)})
		}
		w.recorded(1, record.Committed, 2*time.Minute)
		time.Sleep(4 * time.Second) // a pull takes ten
		w.stopBroker()
		time.Sleep(5 * time.Second)
		w.startBroker()
		w.finished(20 * time.Minute)
		w.endAll()
		w.settled(three...)
		sameModels(w, w.history(), whole(w))
	})
}

// The broker forgets everything while a model goes out: what was there goes
// out once more behind the order, though nobody asks for it.
func TestBrokerForgetsAPublication(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		w.network(aggregatorName, &line{rate: 40_000})
		w.aggregate(w.large())
		time.Sleep(5 * time.Second) // it takes ten
		w.stopBroker()
		w.startBroker()
		time.Sleep(time.Minute)
		c := w.client("count", own("model/+/+"), own("model"))
		time.Sleep(time.Second)
		if got := c.everything(); len(got) != 50 {
			t.Errorf("%d messages on the broker, want a manifest and 49 parts", len(got))
		}
	})
}

// Updates that the aggregator keeps are accepted again from its disk, with
// samples and metrics; one that is torn is left to its site.
func TestKeptUpdatesAreAcceptedAgain(t *testing.T) {
	for name, parts := range map[string]int{"inline": 4 << 20, "parts": smallParts} {
		t.Run(name, func(t *testing.T) {
			if name == "inline" {
				racing.Skip(t, "parts have the goroutines, and more")
			}
			inBubble(t, func(w *world) {
				w.parts(parts)
				task := w.large()
				task.Rounds, task.KeepUpdates = 1, aggregator.KeepRound
				w.aggregate(task)
				c := w.client("watch", own("round"), own("event"))
				for i, m := range three {
					w.join(m, walker{rows: 10 * (i + 1), takes: time.Duration(1+9*(i/2)) * time.Second})
				}
				c.awaitView("two updates are in", time.Minute, func(v view) bool { return v.Round == 1 && v.Accepted == 2 })
				w.end(three[0]) // it does not offer again
				w.end(three[1])
				w.end(aggregatorName)
				w.tear(three[1])
				w.aggregate(task)
				c.awaitView("the first is there again", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Accepted == 1 })
				w.join(three[1], walker{rows: 20})
				r := w.recorded(1, record.Committed, 2*time.Minute)
				if r.Attempt != 2 || counted(r) != 3 {
					t.Fatal(w.story())
				}
				if e := c.events("refused"); len(e) > 0 {
					t.Errorf("refused: %v", e)
				}
				for i, e := range r.Entries {
					if e.Samples != uint64(10*(i+1)) || e.Norm == 0 || e.Bytes == 0 || e.Metrics["rmse"] != 2 {
						t.Errorf("%+v", e)
					}
				}
				sameMetrics(w, r)
			})
		})
	}
}

// What a member measured is kept in the journal, and accepted again from it.
func TestKeptMetricsAreAcceptedAgain(t *testing.T) {
	for keep, accepted := range map[aggregator.Keep]int{aggregator.KeepRound: 1, aggregator.KeepNone: 0} {
		t.Run(string(keep), func(t *testing.T) {
			if keep == aggregator.KeepNone {
				racing.Skip(t, "the same goroutines, with less on the disk")
			}
			inBubble(t, func(w *world) {
				task := w.task()
				task.Rounds, task.StartWhen, task.KeepUpdates = 1, 2, keep
				w.aggregate(task)
				c := w.client("evil", own("order"), own("round"))
				c.awaitView("the start", time.Minute, func(view) bool { return true })
				c.signUp(evil, 10, nil)
				w.join(three[0], walker{})
				c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
				h, _ := c.order()
				c.update(header(h), wire.Update{Samples: 10, Tensors: w.delta(0.1, 0.2)})
				c.awaitView("one has evaluated", time.Minute, func(v view) bool { return v.Work == "evaluate" && v.Accepted == 1 })
				w.end(three[0]) // it does not offer again
				w.end(aggregatorName)
				w.aggregate(task)
				c.awaitView("the next attempt", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Phase == "open" && v.Accepted == accepted })
				w.join(three[0], walker{})
				h, _ = c.order()
				c.update(header(h), wire.Update{Samples: 10, Metrics: map[string]float64{trainer.SumN: 10, trainer.SumSE: 90}})
				r := w.recorded(2, record.Committed, time.Minute)
				if m := r.Entries[0].Metrics; counted(r) != 2 || m["rmse"] != 2 || r.Metrics["rmse"].Value != record.Number(math.Sqrt(6.5)) {
					t.Errorf("%s; metrics %v and %v", w.story(), m, r.Metrics)
				}
			})
		})
	}
}

// sameMetrics compares a committed round with that of an undisturbed run.
func sameMetrics(w *world, got record.Record) {
	w.t.Helper()
	for _, want := range whole(w) {
		if want.Round == got.Round && want.Verdict == record.Committed {
			if got.Model != want.Model || got.Metrics["rmse"] != want.Metrics["rmse"] {
				w.t.Errorf("model %s, metrics %v; undisturbed %s, %v", got.Model, got.Metrics, want.Model, want.Metrics)
			}
		}
	}
}

// Two tasks with large models share a link and its grants.
func TestTwoLargeTasks(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		other := w.large()
		other.Name, other.Seed = "other", 5
		w.aggregate(w.large(), other)
		for i, m := range three {
			tr := walker{rows: 10 * (i + 1)}
			cfg := site.Config{
				Namespace: namespace, Member: m, DataDir: w.siteDir(m), Dial: w.dial(m), Log: w.log,
				Tasks: []site.Task{{Name: taskName, Trainer: tr}, {Name: "other", Trainer: tr}},
			}
			w.start(m, func(ctx context.Context) error { return site.Run(ctx, cfg) })
		}
		w.until("the end of both tasks", 5*time.Minute, func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.ends) == 2
		})
		w.endAll()
		for _, r := range w.all() {
			if r.Round > 0 && (counted(r) != 3 || r.Attempt != 1) {
				t.Errorf("%s: round %d, attempt %d: %d counted", r.Task, r.Round, r.Attempt, counted(r))
			}
		}
		sameModels(w, w.history(), whole(w))
	})
}

// tear cuts the blob of a member's update that stands in the journal.
func (w *world) tear(member string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, aggregatorName)
	st, err := store.Open(dir, store.Options{})
	check(w.t, err)
	var vals [][]byte
	check(w.t, st.View(func(tx *store.Tx) error {
		vals, err = tx.Journal(taskName)
		return err
	}))
	check(w.t, st.Close())
	torn := 0
	for _, v := range vals {
		var e struct{ Member, Content string }
		check(w.t, json.Unmarshal(v, &e))
		if e.Member == member {
			check(w.t, os.Truncate(filepath.Join(dir, "blobs", e.Content[:2], e.Content), 1000))
			torn++
		}
	}
	if torn != 1 {
		w.t.Fatalf("%d blobs of %s", torn, member)
	}
}

// Others have written over parts of the model: the site asks for them at once,
// and has the model in seconds.
func TestJunkInPlaceOfParts(t *testing.T) {
	inBubble(t, func(w *world) {
		w.parts(smallParts)
		task := w.large()
		task.Rounds, task.StartWhen, task.Quorum = 1, 1, 1
		w.aggregate(task)
		c := w.client("vandal", own("round"))
		time.Sleep(10 * time.Second)
		for i := range 20 {
			_, mf := w.manifest(w.retained(own("model")))
			junk := [][]byte{[]byte("junk"), make([]byte, smallParts), wire.AppendPart(nil, wire.Part{
				Blob: mf.Blob.Key(), Index: uint32(i), Count: uint32(mf.Blob.Count()), Data: make([]byte, smallParts-wire.PartOverhead),
			})}[i%3]
			c.say(partTopic(0, 2*i), junk, true)
		}
		w.join(three[0], walker{})
		began := time.Now()
		w.recorded(1, record.Committed, 2*time.Minute)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("a round took %s", took)
		}
	})
}
