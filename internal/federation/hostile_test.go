package federation

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// isEvent accepts an event of a kind whose detail or reason has a beginning.
func isEvent(kind round.FactKind, text string) func(message) bool {
	return func(m message) bool {
		var e struct{ Event, Detail, Reason, Member string }
		return json.Unmarshal(m.payload, &e) == nil && e.Event == string(kind) &&
			(strings.HasPrefix(e.Detail, text) || strings.HasPrefix(e.Reason, text))
	}
}

// waitFresh waits until the aggregator's subscription is old enough for
// commands: until its state is 3.5 s old.
func waitFresh(t *testing.T, w *world) {
	t.Helper()
	var s struct {
		TimestampMS int64 `json:"timestamp_ms"`
	}
	if err := json.Unmarshal(w.watch(t, "acme/_fl_v1/state").payload, &s); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Until(time.UnixMilli(s.TimestampMS + 3500)))
}

// TestHostileMember: a member that is let in sends everything it should not.
// Each is refused with its reason, and the others' round commits without it.
func TestHostileMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := make(chan struct{}, 10)
	a := w.aggregate(w.config(func(t *aggregator.Task) { t.Rounds = 1 }))
	sites := []*party{w.site("a", seeded{samples: 10}), w.site("b", seeded{samples: 20, gate: gate})}
	base := "acme/_fl_v1/" + task
	evil := w.client(t, "evil", base+"/reply/evil", base+"/order")
	defer evil.stop()
	origin := originOf(t, evil.next("an order", func(m message) bool { return m.topic == base+"/order" }).payload)
	seal := func(kind string, h wire.Header, m wire.Message) []byte {
		body, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		h.Task, h.Kind, h.Sender, h.Topic, h.Origin = task, kind, "acme/evil", "acme/evil/_fl_v1/"+task+"/"+kind, origin
		p, err := wire.Seal(h, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	refused := func(what string, want verdict.Reason) {
		t.Helper()
		evil.next(what+" is answered "+want.String(), func(m message) bool {
			if m.topic != base+"/reply/evil" {
				return false
			}
			return bytes.Contains(m.payload, []byte(want.String()))
		})
	}
	waitFor(t, w, "a and b are welcomed", func(v view) bool { return v.Members == 2 })
	evil.publish("acme/evil/_fl_v1/"+task+"/join", seal(wire.KindJoin, wire.Header{CreatedMS: 1}, wire.Join{Samples: 5, Instance: wire.Nonce{1}}), false)
	evil.next("the order of round 1", func(m message) bool { return m.topic == base+"/order" && bytes.Contains(m.payload, []byte("train")) })

	send := func(p []byte) { evil.publish("acme/evil/_fl_v1/"+task+"/update", p, false) }
	h := wire.Header{Epoch: 1, Round: 1, Attempt: 1, Base: w.initial.ContentID(), Schema: w.initial.Schema.Hash(), Encoding: wire.EncodingDense}
	delta := model.New(w.initial.Schema.Shared())
	bad := func(x float32) *model.Model {
		m := delta.Clone()
		v := make([]float32, 12)
		v[11] = x
		if err := m.SetFloat32s("weight", v); err != nil {
			t.Fatal(err)
		}
		return m
	}
	future := h
	future.Attempt = 9
	send(seal(wire.KindUpdate, future, wire.Update{Samples: 5, Tensors: delta}))
	refused("a later attempt", verdict.FutureRound)
	wrong := h
	wrong.Base = model.Hash{9}
	send(seal(wire.KindUpdate, wrong, wire.Update{Samples: 5, Tensors: delta}))
	refused("another base", verdict.WrongBase)
	send(seal(wire.KindUpdate, h, wire.Update{Samples: 5, Tensors: bad(float32(math.NaN()))}))
	refused("a NaN", verdict.NotFinite)
	send(seal(wire.KindUpdate, h, wire.Update{Samples: 5, Tensors: bad(1e9)}))
	refused("a value beyond the grid", verdict.OutOfRange)
	send(seal(wire.KindUpdate, h, wire.Update{Samples: 0, Tensors: delta}))
	refused("no samples", verdict.OutOfRange)
	send(seal(wire.KindUpdate, h, wire.Update{Samples: 5, Tensors: w.initial}))
	refused("another schema", verdict.SchemaMismatch)
	for range 3 { // garbage is counted; of what waits only the newest is looked at
		send([]byte("\xdd\xff\xff\xff\xff"))
		send(bytes.Repeat([]byte{0x91}, 100_000))
	}
	waitFor(t, w, "garbage is counted", func(v view) bool { return v.Refusals["malformed"] >= 1 })
	evil.publish("acme/b/_fl_v1/"+task+"/update", seal(wire.KindUpdate, h, wire.Update{Samples: 5, Tensors: delta}), false)
	waitFor(t, w, "another's topic is counted", func(v view) bool { return v.Refusals["wrong_topic"] >= 1 })

	close(gate)
	r := a.until(t, 1)
	w.stopAll(append(sites, a.party)...)
	for _, e := range r.Entries {
		if (e.Member == "evil") == (e.Verdict == verdict.Counted) {
			t.Errorf("%s: %s", e.Member, e.Verdict)
		}
	}
	if len(r.Entries) != 3 {
		t.Errorf("%d entries, want 3", len(r.Entries))
	}
}

// TestRetainedIsACache: foreign bytes on the owner's topics are replaced, and
// an order of a higher epoch ends the aggregator.
func TestRetainedIsACache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gate := make(chan struct{})
	a := w.aggregate(w.config(nil))
	sites := []*party{w.site("a", seeded{samples: 1, gate: gate}), w.site("b", seeded{samples: 1, gate: gate}), w.site("c", seeded{samples: 1, gate: gate})}
	base := "acme/_fl_v1/" + task
	waitFor(t, w, "round 1 is open", func(v view) bool { return v.Phase == "open" })
	vandal := w.client(t, "vandal", base+"/order", base+"/model")
	defer vandal.stop()
	right := vandal.next("the order of round 1", func(m message) bool {
		return m.topic == base+"/order" && bytes.Contains(m.payload, []byte("train"))
	}).payload
	vandal.publish(base+"/model", []byte("junk"), true)
	vandal.next("the model is back", func(m message) bool { return m.topic == base+"/model" && len(m.payload) > 100 })
	vandal.publish(base+"/order", nil, true)
	vandal.next("the order is back", func(m message) bool { return m.topic == base+"/order" && bytes.Equal(m.payload, right) })

	body, err := wire.Encode(wire.Order{Work: wire.WorkNone, Weights: "samples", PartSize: wire.DefaultPart, Instance: wire.Nonce{1}})
	if err != nil {
		t.Fatal(err)
	}
	higher, err := wire.Seal(wire.Header{
		Task: task, Kind: wire.KindOrder, Sender: "acme", Topic: base + "/order", Epoch: 7, Round: 1, Attempt: 1, Base: w.initial.ContentID(), Schema: w.initial.Schema.Hash(),
		Origin: originOf(t, right),
	}, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	vandal.publish(base+"/order", higher, true)
	if err := <-a.done; !errors.Is(err, aggregator.ErrFenced) {
		t.Errorf("the aggregator ended with %v, want ErrFenced", err)
	}
	w.stopAll(sites...)
	a = w.aggregate(w.config(nil))
	waitFor(t, w, "the next process outbids the epoch", func(v view) bool { return v.Round == 1 })
	if err := a.stop(); err != nil {
		t.Error(err)
	}
}

// originOf reads the origin of the task from its order.
func originOf(t *testing.T, order []byte) wire.Nonce {
	t.Helper()
	o := wire.Opener{NS: newNamespace(t)}
	h, _, err := o.Open("acme/_fl_v1/"+task+"/order", order, wire.Bound{})
	if err != nil {
		t.Fatal(err)
	}
	return h.Origin
}
