package site

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// slow makes the broker hold parts back until the function it returns is called.
func (h *hub) slow() (release func()) {
	hold := make(chan struct{})
	set := func(c chan struct{}) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.hold = c
	}
	set(hold)
	return func() {
		set(nil)
		close(hold)
		synctest.Wait()
	}
}

// What is in flight and in the queue when the link is lost is not sent again
// unasked, and is when it is granted.
func TestLinkLostInTheMiddle(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		release := h.slow()
		h.grant(1, o, wire.Range{First: 0, N: 20})
		wait(time.Second)
		h.cut()
		release()
		h.forget()
		wait(20 * time.Second)
		if got := h.sentParts(o); len(got) != 0 {
			t.Fatalf("sent %v unasked", got)
		}
		if len(h.payloads("update")) == 0 {
			t.Fatal("not offered again")
		}
		h.grant(2, o, wire.Range{First: 0, N: 20})
		if got := h.sentParts(o); !slices.Equal(got, indexes(0, 20)) {
			t.Fatalf("sent %v", got)
		}
	})
}

// The round went on without this site: the grant for its next update is served,
// though the one before is not settled.
func TestNextRoundIsGranted(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		h.grant(5, o, wire.Range{First: 0, N: 1})
		next := filled(t, 20_000, 3)
		h.model(1, next)
		h.forget()
		h.order(2, 1, wire.WorkTrain, next, small, func(o *wire.Order) { o.Settings = []byte(`{"lr":0.25}`) })
		hd, o2, _ := h.offer()
		if hd.Round != 2 {
			t.Fatalf("header %+v", hd)
		}
		h.reply(wire.Grant{Round: 2, Attempt: 1, Seq: 6, Blob: o2.Blob.Key(), Ranges: []wire.Range{{First: 0, N: 20}}})
		if got := h.sentParts(o2); !slices.Equal(got, indexes(0, 20)) {
			t.Fatalf("sent %v", got)
		}
	})
}

// Against the aggregator's own machine, with every third part acknowledged and
// lost, the link lost twice, and a restart: the whole arrives, and is proven.
func TestLossyUpload(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		cfg := h.config(tr)
		stop := h.life(cfg)
		h.welcome()
		base := filled(t, 200_000, 1) // 99 parts
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base, func(o *wire.Order) { o.PartSize = 2 * wire.MinPart })
		lost := 0
		h.lose = func() bool { lost++; return lost%3 == 0 }
		r := transfer.NewReceiver(transfer.ReceiverConfig{})
		now := func() int64 { return time.Now().UnixMilli() }
		r.Connected(now())
		key := transfer.Key{Task: testTask, Member: testMember}
		var content model.Hash
		var got []byte
		began := time.Now()
		for second := 0; ; second++ {
			for _, b := range h.payloads("update") {
				hd, body := h.open("update", b)
				c, err := wire.DecodeUpdate(body, nil)
				o, ok := c.(wire.Offer)
				if err != nil || !ok {
					t.Fatalf("%T, %v", c, err)
				}
				if got == nil {
					got = make([]byte, o.Blob.Length)
				}
				content = o.Content
				r.Offer(now(), transfer.Upload{Key: key, Round: hd.Round, Attempt: hd.Attempt, Content: o.Content, Blob: o.Blob})
			}
			for _, b := range h.payloads("part") {
				p, err := wire.DecodePart(b, 2*wire.MinPart)
				if err != nil {
					t.Fatal(err)
				}
				switch off, verdict := r.Part(now(), key, p); verdict {
				case transfer.Wanted:
					copy(got[off:], p.Data)
				case transfer.Duplicate:
				default:
					t.Fatalf("part %d: verdict %v", p.Index, verdict)
				}
			}
			h.forget()
			r.Tick(now())
			rd := r.Ready()
			if len(rd.Complete) > 0 {
				break
			}
			for _, g := range rd.Grants {
				h.reply(g.Reply)
			}
			switch second {
			case 2, 50:
				h.cut()
			case 30:
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				stop = h.life(cfg)
			case 3600:
				t.Fatalf("not there after an hour; status %+v", h.lastStatus())
			}
			wait(time.Second)
		}
		if model.ContentOf(got) != content || tr.trained.Load() != 1 {
			t.Fatalf("another content, or trained %d times", tr.trained.Load())
		}
		t.Logf("%d parts published in %v", lost, time.Since(began))
	})
}

// At most eight parts are on their way, and none follows once the update is
// accepted.
func TestAcceptedInTheMiddle(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		release := h.slow()
		h.grant(1, o, wire.Range{First: 0, N: 20})
		h.reply(wire.Receipt{Round: 1, Attempt: 1, Content: o.Content})
		release()
		if got := h.sentParts(o); len(got) == 0 || len(got) > 8 {
			t.Fatalf("sent %v", got)
		}
	})
}

// Messages leave in the order in which the machine gave them: of two updates that come
// close together the aggregator may read the later alone (C-5).
func TestLeavesInOrder(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, _, _, _, _ := offering(t, nil)
		_, o, _ := h.offer()
		h.grant(1, o, wire.Range{First: 0, N: 20})
		var came []uint32
		for _, b := range h.payloads("part") {
			p, err := wire.DecodePart(b, wire.MinPart)
			if err != nil {
				t.Fatal(err)
			}
			came = append(came, p.Index)
		}
		if !slices.Equal(came, indexes(0, 20)) {
			t.Errorf("parts came as %v", came)
		}
	})
}
