package virtual

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

const evil = "evil/line-1"

// attack opens a round of two honest sites, b slow, and the member that the
// test plays, and returns the order's header.
func attack(w *world) (*client, wire.Header) {
	w.t.Helper()
	task := w.task()
	task.Rounds = 1
	w.aggregate(task)
	w.join(three[0], walker{})
	w.join(three[1], walker{takes: 30 * time.Second})
	c := w.client("evil", own("order"), own("round"), own("event"), own("reply/"+evil), own("reply/"+three[1]))
	c.awaitView("the start", time.Minute, func(view) bool { return true })
	c.signUp(evil, 10, w.siteKey[evil])
	c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" && v.Accepted == 1 })
	h, _ := c.order()
	return c, header(h)
}

// update sends what the played member says of a round.
func (c *client) update(h wire.Header, u wire.Message) model.Hash {
	c.w.t.Helper()
	c.say(memberTopic(evil, "update"), c.w.seal(evil, wire.KindUpdate, h, u, c.w.siteKey[evil]), false)
	synctest.Wait()
	if u, ok := u.(wire.Update); ok {
		return u.Content()
	}
	return model.Hash{}
}

// Whatever a member sends, it gets the right reason, once a second where the
// sender is not proven, and the round of the others is as if it had not been.
func TestHostileMember(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	other := func(change func(h *wire.Header)) func(wire.Header) wire.Header {
		return func(h wire.Header) wire.Header { change(&h); return h }
	}
	same := other(func(*wire.Header) {})
	good := func(w *world) wire.Message { return wire.Update{Samples: 10, Tensors: w.delta(0.1, 0.2)} }
	with := func(samples uint64, x ...float32) func(w *world) wire.Message {
		return func(w *world) wire.Message { return wire.Update{Samples: samples, Tensors: w.delta(x...)} }
	}
	for _, c := range []struct {
		name   string
		header func(wire.Header) wire.Header
		send   func(w *world) wire.Message
		want   verdict.Reason // on the reply
		record verdict.Reason // in the record
	}{
		{"NaN", same, with(10, 0.1, nan), verdict.NotFinite, verdict.NotFinite},
		{"infinity beside a number out of range", same, with(10, 1e30, inf), verdict.NotFinite, verdict.NotFinite},
		{"out of range", same, with(10, 64.1, 0), verdict.OutOfRange, verdict.OutOfRange},
		{"no samples", same, with(0, 0.1, 0), verdict.OutOfRange, verdict.OutOfRange},
		{"other tensors", same, with(10, 0.1), verdict.SchemaMismatch, verdict.SchemaMismatch},
		{"the whole model", same, func(w *world) wire.Message { return wire.Update{Samples: 1, Tensors: weights(w.t, 1, 2)} }, verdict.SchemaMismatch, verdict.SchemaMismatch},
		{"no tensors", same, func(*world) wire.Message { return wire.Update{Samples: 1} }, verdict.SchemaMismatch, verdict.SchemaMismatch},
		{"another base", other(func(h *wire.Header) { h.Base[0]++ }), good, verdict.WrongBase, verdict.Missing},
		{"no base", other(func(h *wire.Header) { h.Base = model.Hash{} }), good, verdict.WrongBase, verdict.Missing},
		{"the next round", other(func(h *wire.Header) { h.Round++ }), good, verdict.FutureRound, verdict.Missing},
		{"the next attempt", other(func(h *wire.Header) { h.Attempt++ }), good, verdict.FutureRound, verdict.Missing},
		{"a far round", other(func(h *wire.Header) { h.Round = math.MaxUint64 }), good, verdict.FutureRound, verdict.Missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "NaN" && c.name != "another base" {
				racing.Skip(t, "other bytes on the goroutines of NaN, or of another base")
			}
			inBubble(t, func(w *world) {
				cl, h := attack(w)
				m := c.send(w)
				body := w.seal(evil, wire.KindUpdate, c.header(h), m, nil)
				cl.say(memberTopic(evil, "update"), body, false)
				synctest.Wait()
				r, ok := cl.refusal(evil)
				if !ok || r.Reason != c.want.String() {
					t.Fatalf("refusal %+v, want %s", r, c.want)
				}
				if u, isUpdate := m.(wire.Update); isUpdate && c.want.Authenticated() && r.Content != u.Content() {
					t.Errorf("the refusal does not name the content")
				}
				if got := len(cl.events("refused")); (got == 1) != c.want.Authenticated() {
					t.Errorf("%d events of a %s", got, c.want)
				}
				if !c.want.Authenticated() {
					cl.awaitView("the refusal is counted", time.Minute, func(v view) bool { return v.Refusals[c.want.String()] == 1 })
				}
				unharmed(w, c.record)
			})
		})
	}
}

// unharmed waits for the round's commit by the two honest sites.
func unharmed(w *world, want verdict.Reason) {
	w.t.Helper()
	r := w.recorded(1, record.Committed, 2*time.Minute)
	for _, e := range r.Entries {
		if v := map[bool]verdict.Reason{true: want, false: verdict.Counted}[e.Member == evil]; e.Verdict != v {
			w.t.Errorf("%s: %s, want %s", e.Member, e.Verdict, v)
		}
	}
	if len(r.Entries) != 3 {
		w.t.Errorf("%d members", len(r.Entries))
	}
}

// A weight beyond the cap counts as the cap; one beyond all bounds is refused
//
func TestHugeWeight(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		c.update(h, wire.Update{Samples: 1 << 62, Tensors: w.delta(-20, 20)})
		w.until("it is refused", time.Minute, func() bool {
			return slices.ContainsFunc(c.replies(evil), func(r wire.Reply) bool {
				f, ok := r.(wire.RefusalReply)
				return ok && f.Reason == "out_of_range" && strings.Contains(f.Detail, "max_samples")
			})
		})
		c.update(h, wire.Update{Samples: 1_000_000_000, Tensors: w.delta(-20, 20)})
		r := w.recorded(1, record.Committed, time.Minute)
		if e := r.Entries[2]; e.Weight != 1<<20 || e.Samples != 1_000_000_000 || e.Verdict != verdict.Counted {
			t.Errorf("%+v", e)
		}
	})
}

// The first content of a round holds; other content is a conflict, flagged in
// the record, and the same again gets the same receipt.
func TestConflict(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		first := c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1)})
		second := c.update(h, wire.Update{Samples: 10, Tensors: w.delta(2, 2)})
		if r, ok := c.refusal(evil); !ok || r.Reason != "conflict" || r.Content != second {
			t.Errorf("refusal %+v", r)
		}
		c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1)})
		got := c.replies(evil)
		if r, ok := got[len(got)-1].(wire.Receipt); !ok || r.Content != first {
			t.Errorf("last reply %+v", got[len(got)-1])
		}
		e := w.recorded(1, record.Committed, time.Minute).Entries[2]
		if e.Content != first || !e.Conflict || e.Verdict != verdict.Counted {
			t.Errorf("%+v", e)
		}
	})
}

// What was accepted before a restart holds its place: other content is a
// conflict, the same is accepted again, and who does not come back is lost.
func TestPromises(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		first := c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1)})
		time.Sleep(time.Second) // only what was answered is promised
		got := c.replies(evil)
		if r, ok := got[len(got)-1].(wire.Receipt); !ok || r.Content != first {
			t.Errorf("receipt %+v", r)
		}
		w.end(three[0])
		w.end(aggregatorName)
		time.Sleep(time.Second)
		task := w.task()
		task.Rounds = 1
		w.aggregate(task)
		c.awaitView("the next attempt", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Phase == "open" })
		second := c.update(h, wire.Update{Samples: 10, Tensors: w.delta(2, 2)})
		if r, ok := c.refusal(evil); !ok || r.Reason != "conflict" || r.Content != second {
			t.Errorf("refusal %+v", r)
		}
		c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1)})
		r := w.recorded(1, record.Committed, 5*time.Minute)
		if e := r.Entries[0]; e.Member != three[0] || e.Verdict != verdict.Lost || e.Content.IsZero() {
			t.Errorf("%+v, want lost", e)
		}
		if e := r.Entries[2]; e.Content != first || !e.Conflict || e.Verdict != verdict.Counted {
			t.Errorf("%+v", e)
		}
	})
}

// What comes after its round is settled from the records.
func TestSettled(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		mine := c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1)})
		w.recorded(1, record.Committed, time.Minute)
		for _, x := range []struct {
			delta *model.Model
			want  string
		}{{w.delta(1, 1), "counted"}, {w.delta(3, 3), "stale_round"}, {w.delta(1, 1), "counted"}} {
			time.Sleep(2 * time.Second)
			id := c.update(h, wire.Update{Samples: 10, Tensors: x.delta})
			got := c.replies(evil)
			if s, ok := got[len(got)-1].(wire.Settled); !ok || s.Verdict != x.want || s.Content != id || s.Round != 1 {
				t.Errorf("%+v, want settled %s", got[len(got)-1], x.want)
			}
		}
		if mine.IsZero() {
			t.Error("no content")
		}
		n := len(c.replies(evil))
		for range 50 { // one a member and second
			c.update(h, wire.Update{Samples: 10, Tensors: w.delta(1, 1)})
		}
		if got := len(c.replies(evil)); got > n+1 {
			t.Errorf("%d answers to 50 repeats within a second", got-n)
		}
	})
}

// Garbage is counted and answered at most once a second, whatever it is.
func TestGarbage(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		before := len(c.replies(evil))
		valid := w.seal(evil, wire.KindUpdate, h, wire.Update{Samples: 1, Tensors: w.delta(1, 1)}, nil)
		garbage := [][]byte{
			{0},
			{0xdd, 0xff, 0xff, 0xff, 0xff},
			bytes.Repeat([]byte{0x91}, 100_000), valid[:len(valid)-1], append(bytes.Clone(valid), 0),
			bytes.Repeat([]byte{0xc0}, 200_000), []byte(`{"schema":"fedmq.update"}`),
		}
		for _, g := range garbage {
			c.say(memberTopic(evil, "update"), g, false)
			c.say(memberTopic(evil, "join"), g, false)
			synctest.Wait() // what waits is replaced by what is newer
		}
		c.say(memberTopic(three[1], "update"), valid, false) // signed for another's topic
		c.awaitView("all are counted", time.Minute, func(v view) bool {
			return v.Refusals["malformed"]+v.Refusals["too_large"] == 2*len(garbage) && v.Refusals["wrong_topic"] == 1
		})
		if n := len(c.replies(evil)) - before; n > 2 {
			t.Errorf("%d answers to garbage", n)
		}
		if n := len(c.events("refused")); n != 0 {
			t.Errorf("%d events", n)
		}
		unharmed(w, verdict.Missing)
	})
}

// A stranger, a wrong schema, an old counter and a second instance.
func TestHostileJoins(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		join := func(counter uint64, j wire.Join) wire.Reply {
			t.Helper()
			c.say(memberTopic(evil, "join"), w.seal(evil, wire.KindJoin, wire.Header{CreatedMS: counter}, j, nil), false)
			got := c.replies(evil)
			return got[len(got)-1]
		}
		now := uint64(time.Now().UnixMilli())
		if r, ok := join(now+1000, wire.Join{Samples: 5, Instance: wire.Nonce{1}, Schema: model.Hash{9}}).(wire.RefusalReply); !ok || r.Reason != "schema_mismatch" {
			t.Errorf("other schema: %+v", r)
		}
		if r, ok := join(5, wire.Join{Samples: 5, Instance: wire.Nonce{1}}).(wire.RefusalReply); !ok || r.Reason != "old_counter" || r.Counter == 0 {
			t.Errorf("old counter: %+v", r)
		}
		join(now+2000, wire.Join{Samples: 5, Instance: wire.Nonce{2}})
		if s, ok := join(now+3000, wire.Join{Samples: 5, Instance: wire.Nonce{1}}).(wire.Superseded); !ok || s.Instance != (wire.Nonce{1}) {
			t.Errorf("the older instance: %+v", s)
		}
		const stranger = "x/line-1"
		watch := w.client("stranger", own("reply/"+stranger))
		u := wire.Update{Samples: 1, Tensors: w.delta(1, 1)}
		time.Sleep(2 * time.Second)
		watch.say(memberTopic(stranger, "update"), w.seal(stranger, wire.KindUpdate, h, u, nil), false)
		if r, ok := watch.refusal(stranger); !ok || r.Reason != "unknown_member" {
			t.Errorf("stranger: %+v", r)
		}
		unharmed(w, verdict.Missing)
	})
}

// Members that want the others to wait, or to be abandoned, for ever.
func TestDeclines(t *testing.T) {
	inBubble(t, func(w *world) {
		c, h := attack(w)
		c.update(h, wire.Decline{Reason: "no_data", Detail: "nothing today"})
		if e := c.events("declined"); len(e) != 1 || e[0].Detail != "no_data: nothing today" {
			t.Errorf("%v", e)
		}
		r := w.recorded(1, record.Committed, time.Minute)
		if e := r.Entries[2]; e.Verdict != verdict.Declined || r.Reason != "all" || e.Detail != "no_data: nothing today" {
			t.Errorf("%s %+v", r.Reason, e)
		}
	})
}

// An update that comes in the same breath as the join that opens the round is
// checked like any other.
func TestUpdateWithTheOpening(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.StartWhen, task.Quorum = 1, 3, 1
		w.aggregate(task)
		c := w.client("evil", own("order"), own("round"), own("reply/"+evil), own("event"))
		c.awaitView("the start", time.Minute, func(view) bool { return true })
		c.signUp(three[0], 10, nil)
		c.signUp(three[1], 10, nil)
		h, _ := c.order() // work none, of the task's start
		h = header(h)
		h.Attempt++
		open := w.shut()
		c.signUp(evil, 10, nil)
		c.update(h, wire.Update{Samples: 10, Tensors: w.delta(float32(math.NaN()), 1e9)})
		open()
		r := w.recorded(1, record.Abandoned, 2*time.Minute)
		for _, e := range r.Entries {
			if e.Member == evil && e.Verdict != verdict.NotFinite {
				t.Errorf("%s: %s", e.Member, e.Verdict)
			}
		}
	})
}
