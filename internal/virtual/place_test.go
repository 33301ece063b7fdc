package virtual

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// offerer plays a member of a task that offers an update and never sends it.
func (w *world) offerer(task, member string) *client {
	w.t.Helper()
	owned := namespace + "/_fl_v1/" + task + "/"
	node := namespace + "/" + member
	c := w.client(task+"'s offerer", owned+"order", owned+"round")
	say := func(kind string, h wire.Header, m wire.Message) {
		body, err := wire.Encode(m)
		check(w.t, err)
		h.Task, h.Kind, h.Sender, h.Topic, h.Origin = task, kind, node, node+"/_fl_v1/"+task+"/"+kind, w.origin(task)
		p, err := wire.Seal(h, body, nil)
		check(w.t, err)
		c.say(h.Topic, p, false)
	}
	w.until(task+" begins", time.Minute, func() bool { return len(c.all(owned+"round")) > 0 })
	say(wire.KindJoin, wire.Header{CreatedMS: 1}, wire.Join{Samples: 5, Instance: wire.Nonce{1}})
	var h wire.Header
	w.until(task+" is open", time.Minute, func() bool {
		for _, m := range c.all(owned + "order") {
			o := wire.Opener{NS: w.ns}
			h, _, _ = o.Open(m.Topic, m.Payload, wire.Bound{})
		}
		return h.Attempt == 1 && h.Round == 1
	})
	schema := w.large().Init.Schema.Shared()
	delta := model.New(schema)
	for i := range delta.Blob { // zeros would not travel
		delta.Blob[i] = 1
	}
	h = header(h)
	h.Encoding = wire.EncodingDense
	blob, err := wire.NewBlob(delta.Blob, wire.MinPart)
	check(w.t, err)
	say(wire.KindUpdate, h, wire.Offer{Samples: 5, Schema: schema, Content: delta.ContentID(), Blob: blob})
	synctest.Wait()
	return c
}

// Who has an upload's place and lets it lapse holds no deadline up while another
// has the place.
func TestPlaceLost(t *testing.T) {
	inBubble(t, func(w *world) {
		w.set = func(cfg *aggregator.Config) { cfg.PartSize, cfg.Uploads = wire.MinPart, 1 }
		one, two := w.large(), w.large()
		one.Rounds, one.StartWhen, one.Quorum, one.Goal, one.Deadline = 1, 1, 1, 1, 90*time.Second
		two.Name, two.Rounds, two.StartWhen, two.Quorum, two.Deadline = "other", 1, 1, 1, time.Hour
		w.aggregate(one, two)
		w.offerer(taskName, evil)
		w.offerer("other", evil)
		r := w.recorded(1, record.Abandoned, 5*time.Minute)
		if took := time.Duration(r.ClosedMS-r.OpenedMS) * time.Millisecond; took > 91*time.Second {
			t.Errorf("closed after %s, want the deadline of 90 s", took)
		}
	})
}
