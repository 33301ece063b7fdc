package virtual

import (
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// later is the body of a message with a member of a later version.
func later(t *testing.T, m wire.Message) []byte {
	t.Helper()
	body, err := wire.Encode(m)
	check(t, err)
	return append(body[:len(body)-1], "\x81\xa6sooner\x01"...)
}

// What a later version adds to joins and updates is refused by its name, an update
// with its content, so that its site knows (W-44).
func TestMessagesOfALaterVersion(t *testing.T) {
	inBubble(t, func(w *world) {
		c, order := attack(w)
		h := header(order)
		h.Origin, h.Encoding = w.origin(taskName), wire.EncodingDense
		u := wire.Update{Samples: 10, Tensors: w.delta(0.1, 0.2)}
		for _, x := range []struct {
			kind string
			m    wire.Message
		}{{wire.KindJoin, wire.Join{Samples: 5, Instance: wire.Nonce{3}}}, {wire.KindUpdate, u}} {
			hd := h
			hd.Task, hd.Kind, hd.Sender, hd.Owner, hd.Topic = taskName, x.kind, namespace+"/"+evil, namespace, memberTopic(evil, x.kind)
			if x.kind == wire.KindJoin {
				hd = wire.Header{Task: taskName, Kind: x.kind, Sender: hd.Sender, Owner: namespace, Topic: hd.Topic, Origin: hd.Origin, CreatedMS: 1 << 50}
			}
			payload, err := wire.Seal(hd, later(t, x.m), nil)
			check(t, err)
			time.Sleep(2 * time.Second) // one answer a second to what is not proven
			c.say(hd.Topic, payload, false)
			time.Sleep(time.Second)
			r, ok := c.refusal(evil)
			if !ok || r.Reason != verdict.Unsupported.String() || !strings.Contains(r.Detail, "sooner") {
				t.Errorf("%s: %+v", x.kind, r)
			}
			if x.kind == wire.KindUpdate && r.Content != u.Content() {
				t.Errorf("the refusal of an update does not name it: %+v", r)
			}
		}
	})
}
