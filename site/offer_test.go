package site

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// offer opens the only update heard, an offer.
func (h *hub) offer() (wire.Header, wire.Offer, []byte) {
	h.t.Helper()
	hd, c, b := h.update()
	o, ok := c.(wire.Offer)
	if !ok {
		h.t.Fatalf("%T, want an offer", c)
	}
	if len(b) > wire.MinPart {
		h.t.Fatalf("an offer of %d bytes", len(b))
	}
	return hd, o, b
}

// granting answers an offer.
func (h *hub) grant(seq uint64, o wire.Offer, ranges ...wire.Range) {
	h.t.Helper()
	h.reply(wire.Grant{Round: 1, Attempt: 1, Seq: seq, Blob: o.Blob.Key(), Ranges: ranges})
}

// sentParts are the indexes of the parts heard, each proven, sorted.
func (h *hub) sentParts(o wire.Offer) []uint32 {
	h.t.Helper()
	var list []uint32
	for _, b := range h.payloads("part") {
		p, err := wire.DecodePart(b, wire.MinPart)
		if err != nil || p.Blob != o.Blob.Key() || int(p.Count) != o.Blob.Count() || !o.Blob.Holds(int(p.Index), p.Data) {
			h.t.Fatalf("part %d of %x: %v", p.Index, p.Blob, err)
		}
		list = append(list, p.Index)
	}
	slices.Sort(list)
	return list
}

// offering starts a site that has trained and offers its update of 20 parts.
func offering(t *testing.T, cfg func(*Config)) (*hub, *fake, Config, *model.Model, func() error) {
	t.Helper()
	h, tr := newHub(t), &fake{}
	c := h.config(tr)
	if cfg != nil {
		cfg(&c)
	}
	stop := h.life(c)
	h.welcome()
	base := filled(t, 20_000, 1)
	h.model(0, base)
	h.order(1, 1, wire.WorkTrain, base, small)
	return h, tr, c, base, stop
}

func indexes(from, to uint32) (list []uint32) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// An update that does not fit is offered, durable before anything of it leaves,
// and its parts go as they are granted.
func TestOffer(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		d := &memory{}
		h, _, _, base, _ := offering(t, func(c *Config) { c.disk = d })
		hd, o, _ := h.offer()
		if hd.Round != 1 || hd.Base != base.ContentID() || o.Samples != 10 || len(o.Metrics) != 2 || !o.Schema.Equal(base.Schema) || o.Blob.Count() != 20 {
			t.Fatalf("header %+v, offer of %d parts, %d samples, %v", hd, o.Blob.Count(), o.Samples, o.Metrics)
		}
		made := slices.DeleteFunc(slices.Clone(d.calls), func(c string) bool { return c != "blob" && c != "entry" && c != "jot" })
		if !slices.Equal(made[:2], []string{"blob", "jot"}) {
			t.Fatalf("made durable: %v", made)
		}
		if blob := d.blobs[o.Content]; model.ContentOf(blob) != o.Content || len(blob) != 80_000 {
			t.Fatalf("%d bytes beside the entry", len(blob))
		}
		if n := h.payloads("part"); len(n) != 0 {
			t.Fatal("parts that nobody asked for")
		}
		h.grant(1, o, wire.Range{First: 4, N: 2}, wire.Range{First: 9, N: 1})
		if got := h.sentParts(o); !slices.Equal(got, []uint32{4, 5, 9}) {
			t.Fatalf("sent %v", got)
		}
		wait(2 * time.Second)
		if s := h.wantPhase(PhaseSending); s.Progress == nil || *s.Progress != 0.15 {
			t.Fatalf("status %+v", s)
		}
		h.grant(2, o, wire.Range{First: 0, N: 4}, wire.Range{First: 6, N: 3}, wire.Range{First: 10, N: 10})
		if got := h.sentParts(o); !slices.Equal(got, indexes(0, 20)) {
			t.Fatalf("sent %v", got)
		}
		h.reply(wire.Receipt{Round: 1, Attempt: 1, Content: o.Content})
		h.wantPhase(PhaseWaiting)
		h.commit(1, base, filled(t, 20_000, 2), o.Content)
		if s := h.wantPhase(PhaseWaiting); s.Message != verdict.Counted.String() {
			t.Fatalf("status %+v", s)
		}
	})
}

// A restart offers the same bytes and serves grants from the disk.
func TestOfferSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		h, tr, cfg, base, stop := offering(t, func(c *Config) { c.disk, c.DataDir = nil, dir })
		_, _, first := h.offer()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		h.forget()
		stop = h.life(cfg)
		_, o, again := h.offer()
		if !bytes.Equal(first, again) || tr.trained.Load() != 1 {
			t.Fatalf("other bytes, or trained %d times", tr.trained.Load())
		}
		h.grant(1, o, wire.Range{First: 0, N: 20})
		if got := h.sentParts(o); len(got) != 20 {
			t.Fatalf("sent %v", got)
		}
		if files := blobs(t, dir); len(files) != 1 { // the update; the model is small
			t.Fatalf("%v", files)
		}
		h.commit(1, base, filled(t, 20_000, 2), o.Content)
		wait(time.Second)
		if files := blobs(t, dir); len(files) != 0 {
			t.Fatalf("a settled update is still there: %v", files)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// Grants that are old, of another epoch, round or blob move nothing.
func TestGrantsThatDoNotCount(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		h.grant(7, o, wire.Range{First: 0, N: 1})
		h.grant(7, o, wire.Range{First: 1, N: 1}) // the number of before
		h.grant(6, o, wire.Range{First: 2, N: 1}) // a replay
		h.reply(wire.Grant{Round: 2, Attempt: 1, Seq: 8, Blob: o.Blob.Key(), Ranges: []wire.Range{{First: 3, N: 1}}})
		h.reply(wire.Grant{Round: 1, Attempt: 1, Seq: 8, Blob: wire.BlobKey{1}, Ranges: []wire.Range{{First: 3, N: 1}}})
		h.grant(9, o, wire.Range{First: 20, N: 3980}) // beyond its end
		h.epoch = 0
		h.grant(20, o, wire.Range{First: 4, N: 1})
		h.epoch = 1
		if got := h.sentParts(o); !slices.Equal(got, []uint32{0}) {
			t.Fatalf("sent %v", got)
		}
		// A new aggregator counts from one again; then the old one is not heard.
		h.epoch = 2
		h.grant(1, o, wire.Range{First: 5, N: 1})
		h.epoch = 1
		h.grant(30, o, wire.Range{First: 6, N: 1})
		if got := h.sentParts(o); !slices.Equal(got, []uint32{0, 5}) {
			t.Fatalf("sent %v", got)
		}
	})
}

// A flood of grants sends no part more than once at a time, and holds nothing up.
func TestGrantFlood(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		var all []wire.Range
		for i := range uint32(10) {
			all = append(all, wire.Range{First: 2 * i, N: 1})
		}
		for seq := range uint64(50) {
			h.grant(seq+1, o, all...)
		}
		if n := len(h.sentParts(o)); n == 0 || n > 50*10 {
			t.Fatalf("%d parts", n)
		}
		h.reply(wire.Receipt{Round: 1, Attempt: 1, Content: o.Content})
		h.forget()
		h.grant(100, o, all...)
		if got := h.sentParts(o); len(got) != 0 {
			t.Fatalf("sent %v after the receipt", got)
		}
	})
}

// A lost link voids what was granted. The offer is sent again, and what is
// granted then is sent.
func TestOfferReconnects(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, first := h.offer()
		h.grant(1, o, wire.Range{First: 0, N: 5})
		h.cut()
		h.forget()
		wait(20 * time.Second)
		again := h.payloads("update")
		if len(again) == 0 || !bytes.Equal(first, again[0]) {
			t.Fatal("not offered again, or other bytes")
		}
		if got := h.sentParts(o); len(got) != 0 {
			t.Fatalf("sent %v unasked", got)
		}
		h.grant(2, o, wire.Range{First: 3, N: 17})
		if got := h.sentParts(o); !slices.Equal(got, indexes(3, 20)) {
			t.Fatalf("sent %v", got)
		}
	})
}

// An offer whose turn comes later is repeated once a minute; the status says how
// many come first.
func TestOfferWaits(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		h.reply(wire.Wait{Round: 1, Attempt: 1, Content: o.Content, Ahead: 3})
		if s := h.wantPhase(PhaseSending); s.Message != "3 ahead" {
			t.Fatalf("status %+v", s)
		}
		h.forget()
		wait(10 * time.Minute)
		if n := len(h.payloads("update")); n < 7 || n > 13 {
			t.Fatalf("offered %d times in 10 minutes", n)
		}
	})
}

// An order with smaller messages has the same content offered in smaller parts.
func TestSmallerParts(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		for _, size := range []uint32{2 * wire.MinPart, wire.DefaultPart} { // an offer, an inline update
			h, tr := newHub(t), &fake{}
			stop := h.life(h.config(tr))
			h.welcome()
			base := filled(t, 20_000, 1)
			h.model(0, base)
			h.order(1, 1, wire.WorkTrain, base, func(o *wire.Order) { o.PartSize = size })
			hd, c, _ := h.update()
			content := model.Hash{}
			switch c := c.(type) {
			case wire.Update:
				content = c.Content()
			case wire.Offer:
				content = c.Content
			}
			h.forget()
			h.order(1, 2, wire.WorkTrain, base, small)
			hd2, o, _ := h.offer()
			if hd2.Attempt != hd.Attempt || hd2.Base != hd.Base || hd2.Epoch != hd.Epoch || hd2.CreatedMS != hd.CreatedMS || o.Samples != 10 || len(o.Metrics) != 2 || tr.trained.Load() != 1 {
				t.Fatalf("header %+v, want as %+v; trained %d times", hd2, hd, tr.trained.Load())
			}
			if o.Blob.Count() != 20 || o.Content != content {
				t.Fatalf("%d parts of %v, it was %v", o.Blob.Count(), o.Content, content)
			}
			h.reply(wire.Grant{Round: 1, Attempt: 2, Seq: 1, Blob: o.Blob.Key(), Ranges: []wire.Range{{First: 0, N: 20}}})
			if got := h.sentParts(o); len(got) != 20 {
				t.Fatalf("sent %v", got)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// An update whose file has rotted is not sent, but made again.
func TestUpdateRots(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		d := &memory{}
		h, tr, cfg, _, stop := offering(t, func(c *Config) { c.disk = d })
		_, o, _ := h.offer()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.blobs[o.Content][9*4096] ^= 1
		d.mu.Unlock()
		h.life(cfg)
		h.welcome()
		h.forget()
		h.grant(1, o, wire.Range{First: 7, N: 4})
		if got := h.sentParts(o); slices.Contains(got, 9) {
			t.Fatalf("sent %v", got)
		}
		wait(time.Second)
		if tr.trained.Load() != 2 {
			t.Fatalf("trained %d times", tr.trained.Load())
		}
		if _, again, _ := h.offer(); again.Content != o.Content {
			t.Fatal("another content")
		}
		h.forget()
		h.grant(2, o, wire.Range{First: 9, N: 1})
		if got := h.sentParts(o); !slices.Equal(got, []uint32{9}) {
			t.Fatalf("sent %v", got)
		}
	})
}
