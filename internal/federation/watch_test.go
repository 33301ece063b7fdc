package federation

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/wire"
)

// patience is how long a test waits for something that has to happen.
const patience = 60 * time.Second

type message struct {
	topic   string
	payload []byte
}

// client is a bare MQTT client.
type client struct {
	t    *testing.T
	conn *link.Conn
	stop func()
}

func (w *world) client(t *testing.T, id string, filters ...string) *client {
	t.Helper()
	conn, err := link.New(link.Config{ClientID: id, Dial: w.dial})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range filters {
		conn.Subscribe(link.Filter{Topic: f, QoS: 1})
	}
	p := start(conn.Run)
	c := &client{t: t, conn: conn, stop: func() { _ = p.stop() }}
	for {
		select {
		case s := <-conn.States():
			if s.Up {
				return c
			}
		case <-time.After(patience):
			t.Fatal("the client does not connect")
		}
	}
}

// next returns the next message that want accepts.
func (c *client) next(what string, want func(message) bool) message {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case m := <-c.conn.Messages():
			if msg := (message{m.Topic, m.Payload}); want(msg) {
				return msg
			}
		case <-timeout:
			c.t.Fatalf("did not happen: %s", what)
		}
	}
}

func (c *client) publish(topic string, payload []byte, retained bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Publish(ctx, link.Message{Topic: topic, Payload: payload, QoS: 1, Retained: retained}); err != nil {
		c.t.Fatal(err)
	}
}

// view is what the tests read of the round view.
type view struct {
	Round    uint64
	Attempt  uint32
	Phase    string
	Accepted int
	Members  int
	Reason   string
	Refusals map[string]int
}

// waitFor waits until the round view shows what want accepts.
func waitFor(t *testing.T, w *world, what string, want func(view) bool) {
	t.Helper()
	c := w.client(t, "view-"+t.Name(), "acme/_fl_v1/"+task+"/round")
	defer c.stop()
	c.next(what, func(m message) bool {
		var v view
		if err := json.Unmarshal(m.payload, &v); err != nil {
			t.Fatalf("round view %q: %v", m.payload, err)
		}
		return want(v)
	})
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
