package virtual

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// client is a bare MQTT client that keeps what it hears, and can speak the
// wire as any sender it likes.
type client struct {
	w    *world
	name string
	conn *link.Conn

	mu    sync.Mutex
	heard []link.Message

	answers map[string]*answers // by member
}

// answers are the replies to a member among what was heard so far, which are read once.
type answers struct {
	heard   int
	replies []wire.Reply
}

// client connects a client and waits until it is subscribed.
func (w *world) client(name string, filters ...string) *client {
	w.t.Helper()
	conn, err := link.New(link.Config{ClientID: name, Dial: w.dial(name)})
	check(w.t, err)
	for _, f := range filters {
		conn.Subscribe(link.Filter{Topic: f, QoS: 1})
	}
	c := &client{w: w, name: name, conn: conn, answers: map[string]*answers{}}
	up := make(chan struct{})
	w.start(name, func(ctx context.Context) error { return c.run(ctx, up) })
	<-up
	synctest.Wait()
	return c
}

func (c *client) run(ctx context.Context, up chan struct{}) error {
	done := make(chan error, 1)
	go func() { done <- c.conn.Run(ctx) }()
	for {
		select {
		case s := <-c.conn.States():
			if s.Up && up != nil {
				close(up)
				up = nil
			}
		case m := <-c.conn.Messages():
			c.mu.Lock()
			c.heard = append(c.heard, m)
			c.mu.Unlock()
		case err := <-done:
			return err
		}
	}
}

// all returns what was heard on a topic, oldest first.
func (c *client) all(topic string) (out []link.Message) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.heard {
		if m.Topic == topic {
			out = append(out, m)
		}
	}
	return out
}

func (c *client) forget() {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard, c.answers = nil, map[string]*answers{}
}

func (c *client) say(topic string, payload []byte, retained bool) {
	c.w.t.Helper()
	check(c.w.t, c.conn.Publish(context.Background(), link.Message{Topic: topic, Payload: payload, QoS: 1, Retained: retained}))
}

// retained returns what the broker keeps on a topic now, nil for nothing.
func (w *world) retained(topic string) []byte {
	w.t.Helper()
	c := w.client("look", topic)
	time.Sleep(time.Second)
	got := c.all(topic)
	w.end("look")
	if len(got) == 0 {
		return nil
	}
	return got[len(got)-1].Payload
}

// own names one of the owner's topics.
func own(leaf string) string { return namespace + "/_fl_v1/" + taskName + "/" + leaf }

// view is what the tests read of the round view.
type view struct {
	Schema   string `json:"schema"`
	Epoch    uint64 `json:"epoch"`
	Round    uint64 `json:"round"`
	Attempt  uint32 `json:"attempt"`
	Phase    string `json:"phase"`
	Work     string `json:"work"`
	Reason   string `json:"reason"`
	Pause    string `json:"pause"`
	Accepted int    `json:"accepted"`
	Members  int    `json:"members"`
	OpenedMS int64  `json:"opened_ms"`
	Waiting  struct {
		Why     string   `json:"why"`
		Members []string `json:"members"`
		SinceMS int64    `json:"since_ms"`
	} `json:"waiting"`
	Refusals map[string]int `json:"refusals"`
	Asked    int            `json:"asked"`
	Uploads  uploads        `json:"uploads"`
}

// uploads is what the round view says of updates on their way.
type uploads struct {
	Running  int   `json:"running"`
	Waiting  int   `json:"waiting"`
	Received int64 `json:"received_bytes"`
	Total    int64 `json:"total_bytes"`
	Members  []struct {
		Member   string `json:"member"`
		Received int64  `json:"received_bytes"`
		Total    int64  `json:"total_bytes"`
	} `json:"members"`
}

// awaitView waits until the newest round view is one that ok accepts.
func (c *client) awaitView(what string, within time.Duration, ok func(view) bool) (v view) {
	c.w.t.Helper()
	c.w.until(what, within, func() bool {
		got := c.all(own("round"))
		if len(got) == 0 {
			return false
		}
		v = view{}
		check(c.w.t, json.Unmarshal(got[len(got)-1].Payload, &v))
		return ok(v)
	})
	return v
}

// event is what the tests read of a fact.
type event struct{ Event, Member, Reason, Detail string }

func (c *client) events(kind string) (out []event) {
	for _, m := range c.all(own("event")) {
		var e event
		check(c.w.t, json.Unmarshal(m.Payload, &e))
		if e.Event == kind {
			out = append(out, e)
		}
	}
	return out
}

// replies are the answers to a member that were heard.
func (c *client) replies(member string) []wire.Reply {
	c.w.t.Helper()
	topic := own("reply/" + member)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.answers[member]
	if a == nil {
		a = &answers{}
		c.answers[member] = a
	}
	for ; a.heard < len(c.heard); a.heard++ {
		m := c.heard[a.heard]
		if m.Topic != topic {
			continue
		}
		o := wire.Opener{NS: c.w.ns}
		_, body, err := o.Open(topic, m.Payload, wire.Bound{})
		check(c.w.t, err)
		r, err := wire.DecodeReply(body)
		check(c.w.t, err)
		a.replies = append(a.replies, r)
	}
	return a.replies
}

// order is the newest order that was heard.
func (c *client) order() (wire.Header, wire.Order) {
	c.w.t.Helper()
	got := c.all(own("order"))
	if len(got) == 0 {
		c.w.t.Fatal("no order")
	}
	return openOrder(c.w, got[len(got)-1].Payload)
}

func openOrder(w *world, payload []byte) (wire.Header, wire.Order) {
	w.t.Helper()
	o := wire.Opener{NS: w.ns}
	h, body, err := o.Open(own("order"), payload, wire.Bound{})
	check(w.t, err)
	order, err := wire.DecodeOrder(body)
	check(w.t, err)
	return h, order
}

// origin is that of a task, as its order says.
func (w *world) origin(task string) wire.Nonce {
	w.t.Helper()
	if id, known := w.origins[task]; known {
		return id
	}
	topic := namespace + "/_fl_v1/" + task + "/order"
	c := w.client("origin", topic)
	defer w.end("origin")
	w.until("an order of "+task, time.Minute, func() bool { return len(c.all(topic)) > 0 })
	w.origins[task] = c.originOf(topic)
	return w.origins[task]
}

// originOf reads the newest order that was heard on a topic.
func (c *client) originOf(topic string) wire.Nonce {
	c.w.t.Helper()
	got := c.all(topic)
	o := wire.Opener{NS: c.w.ns}
	h, _, err := o.Open(topic, got[len(got)-1].Payload, wire.Bound{})
	check(c.w.t, err)
	return h.Origin
}

// memberTopic names a topic of a member.
func memberTopic(member, leaf string) string {
	return namespace + "/" + member + "/_fl_v1/" + taskName + "/" + leaf
}

// seal makes an envelope of a member; h may be wrong in any field that it sets.
func (w *world) seal(member, kind string, h wire.Header, m wire.Message, key *wire.Signer) []byte {
	w.t.Helper()
	body, err := wire.Encode(m)
	check(w.t, err)
	h.Task, h.Kind, h.Sender, h.Owner = taskName, kind, namespace+"/"+member, namespace
	if h.Topic == "" {
		h.Topic = memberTopic(member, kind)
	}
	if kind == wire.KindUpdate {
		h.Encoding = wire.EncodingDense
	}
	if h.Origin.IsZero() {
		h.Origin = w.origin(taskName)
	}
	p, err := wire.Seal(h, body, key)
	check(w.t, err)
	return p
}

// signUp joins a member that the test plays.
func (c *client) signUp(member string, samples uint64, key *wire.Signer) {
	c.w.t.Helper()
	h := wire.Header{CreatedMS: uint64(time.Now().UnixMilli())}
	c.say(memberTopic(member, "join"), c.w.seal(member, wire.KindJoin, h, wire.Join{Samples: samples, Instance: wire.Nonce{1}}, key), false)
}

// header is that of an update which answers an order.
func header(o wire.Header) wire.Header {
	return wire.Header{Epoch: o.Epoch, Round: o.Round, Attempt: o.Attempt, Base: o.Base, Schema: o.Schema}
}

// delta is an update of the test's model.
func (w *world) delta(x ...float32) *model.Model {
	m := model.New(weights(w.t, make([]float32, len(x))...).Schema.Shared())
	check(w.t, m.SetFloat32s("w", x))
	return m
}

// refusal is the newest refusal that a member was sent.
func (c *client) refusal(member string) (r wire.RefusalReply, ok bool) {
	for _, x := range slices.Backward(c.replies(member)) {
		if r, ok = x.(wire.RefusalReply); ok {
			return r, true
		}
	}
	return r, false
}
