package site

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// cut is a model as it travels in parts of the least size.
func cut(t *testing.T, m *model.Model) wire.Blob {
	t.Helper()
	b, err := wire.NewBlob(m.Blob, wire.MinPart)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// filled is a model of n weights that are all different.
func filled(t *testing.T, n int, from float32) *model.Model {
	t.Helper()
	m := wide(t, n)
	w := make([]float32, n)
	for i := range w {
		w[i] = from + float32(i)/16
	}
	if err := m.SetFloat32s("w", w); err != nil {
		t.Fatal(err)
	}
	return m
}

// parts publishes parts of a model in a slot, all if none is named.
func (h *hub) parts(m *model.Model, slot int, which ...int) {
	h.t.Helper()
	b := cut(h.t, m)
	if len(which) == 0 {
		for i := range b.Count() {
			which = append(which, i)
		}
	}
	for _, i := range which {
		off, n := b.Span(i)
		p := wire.Part{Blob: b.Key(), Index: uint32(i), Count: uint32(b.Count()), Data: m.Blob[off : off+n]}
		h.say(h.owner.ModelPart(slot, i), true, wire.AppendPart(nil, p))
	}
}

// manifest publishes what says where the parts of a model are.
func (h *hub) manifest(version uint64, slot uint32, m *model.Model, change ...func(*wire.Header)) {
	h.t.Helper()
	hd := wire.Header{
		Kind: wire.KindModel, Round: version, Topic: h.owner.Model(), Base: m.ContentID(), Schema: m.Schema.Hash(), Encoding: wire.EncodingDense,
	}
	for _, f := range change {
		f(&hd)
	}
	h.say(h.owner.Model(), true, h.sealed(hd, wire.Manifest{Version: version, Schema: m.Schema, Slot: slot, Blob: cut(h.t, m)}))
}

// small lets an update of more than a few weights go in parts.
func small(o *wire.Order) { o.PartSize = wire.MinPart }

// subscribed lists the part topics that the site is subscribed to now.
func (h *hub) subscribed() []string {
	synctest.Wait()
	var list []string
	for _, cl := range h.srv.Clients.GetAll() {
		for topic := range cl.State.Subscriptions.GetAll() {
			if strings.HasPrefix(topic, h.owner.Model()+"/") {
				list = append(list, topic)
			}
		}
	}
	return list
}

// asked counts how often each part topic was subscribed to since forget.
func (h *hub) asked() map[string]int {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	n := map[string]int{}
	for _, topic := range h.subs {
		if strings.HasPrefix(topic, h.owner.Model()+"/") {
			n[topic]++
		}
	}
	return n
}

// A model in parts is pulled when an order names it, by exact topics which are
// given up again, and shown on the status.
func TestPull(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{jobs: make(chan trainer.Job, 1)}
		h.life(h.config(tr))
		h.welcome()
		base := filled(t, 30_000, 1) // 30 parts
		count := cut(t, base).Count()
		h.parts(base, 1)
		h.manifest(0, 1, base)
		wait(2 * time.Minute)
		if n := h.asked(); len(n) != 0 {
			t.Fatalf("asked for %v, and no order has named it", n)
		}
		h.order(1, 1, wire.WorkNone, base)
		wait(2 * time.Minute)
		if n := h.asked(); len(n) != 0 {
			t.Fatalf("asked for %v, and there is no work", n)
		}
		h.order(2, 1, wire.WorkTrain, base, small)
		wait(time.Minute)
		if len(tr.jobs) != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
		if n := h.asked(); len(n) != count || slices.Max(slices.Collect(maps.Values(n))) != 1 {
			t.Errorf("asked for %d topics of %d: %v", len(n), count, n)
		}
		if left := h.subscribed(); len(left) != 0 {
			t.Errorf("still subscribed to %v", left)
		}
	})
}

// changed is a model with other weights in some of its parts.
func changed(t *testing.T, m *model.Model, parts ...int) *model.Model {
	t.Helper()
	b := cut(t, m)
	m = m.Clone()
	for _, i := range parts {
		off, _ := b.Span(i)
		m.Blob[off] ^= 1
	}
	return m
}

// Of the next model a site asks for the parts alone that it has not got, also after a
// restart. What the disk has lost or spoilt meanwhile costs one transfer of the whole
// (TR-71).
func TestPullSame(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		cfg := h.config(tr)
		cfg.disk, cfg.DataDir = nil, t.TempDir()
		stop := h.life(cfg)
		h.welcome()
		round, want := uint64(0), int32(0)
		next := func(m *model.Model, topics ...int) {
			t.Helper()
			slot := int(round % 2)
			h.forget()
			h.parts(m, slot)
			h.manifest(round, uint32(slot), m)
			round++
			h.order(round, 1, wire.WorkTrain, m, small)
			wait(time.Minute)
			var list []string
			for _, i := range topics {
				list = append(list, h.owner.ModelPart(slot, i))
			}
			if got := slices.Sorted(maps.Keys(h.asked())); !slices.Equal(got, slices.Sorted(slices.Values(list))) {
				t.Fatalf("round %d: asked for %v, want %v", round, got, list)
			}
			if want++; tr.trained.Load() != want {
				t.Fatalf("round %d: trained %d times; status %+v", round, tr.trained.Load(), h.lastStatus())
			}
		}
		all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		base := filled(t, 10_000, 1) // 10 parts
		next(base, all...)
		two := changed(t, base, 2, 9)
		next(two, 2, 9)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		stop = h.life(cfg)
		h.welcome()
		three := changed(t, two, 5)
		next(three, 5)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		spoil(t, cfg.DataDir, three)
		stop = h.life(cfg)
		h.welcome()
		next(changed(t, three, 0), all...)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// spoil changes a byte of a stored model.
func spoil(t *testing.T, dir string, m *model.Model) {
	t.Helper()
	id := m.ContentID().String()
	path := filepath.Join(dir, "blobs", id[:2], id)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// While parts are missing the status says how far it is; what two windows have
// not brought the site asks for, and what comes then is enough.
func TestPullNeed(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base := filled(t, 10_000, 1) // 10 parts
		h.parts(base, 0, 0, 1, 2, 3, 4, 6, 7, 8)
		h.manifest(0, 0, base)
		h.order(1, 1, wire.WorkTrain, base, small)
		wait(30 * time.Second)
		s := h.wantPhase(PhaseWaiting)
		if s.Message != "for the model" || s.Progress == nil || *s.Progress != 0.8 {
			t.Fatalf("status %+v", s)
		}
		wait(time.Minute)
		needs := h.payloads("need")
		if len(needs) == 0 || len(needs) > 4 {
			t.Fatalf("%d needs in a minute and a half", len(needs))
		}
		hd, body := h.open("need", needs[0])
		n, err := wire.DecodeNeed(body)
		b := cut(t, base)
		if want := []wire.Range{{First: 5, N: 1}, {First: 9, N: 1}}; err != nil || !slices.Equal(n.Ranges, want) || n.Blob != b.Key() || hd.Base != base.ContentID() {
			t.Fatalf("need %+v of %v, %v", n, hd.Base, err)
		}
		if tr.trained.Load() != 0 {
			t.Fatal("trained on half a model")
		}
		h.parts(base, 0, 5, 9)
		wait(time.Minute)
		if tr.trained.Load() != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
	})
}

// A lost link, and a higher attempt, go on with what is there.
func TestPullReconnects(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base := filled(t, 20_000, 1) // 20 parts
		var first []int
		for i := range 15 {
			first = append(first, i)
		}
		h.parts(base, 0, first...)
		h.manifest(0, 0, base)
		h.order(1, 1, wire.WorkTrain, base, small)
		wait(10 * time.Second)
		h.down(true)
		h.cut()
		h.order(1, 2, wire.WorkTrain, base, small)
		h.forget()
		wait(10 * time.Minute)
		h.down(false)
		wait(30 * time.Second)
		if n := len(h.payloads("need")); n != 0 {
			t.Errorf("%d needs of the time without a link", n)
		}
		if s := h.wantPhase(PhaseWaiting); s.Progress == nil || *s.Progress != 0.75 || s.Attempt != 2 {
			t.Fatalf("status %+v", s)
		}
		for topic := range h.asked() {
			for _, i := range first {
				if topic == h.owner.ModelPart(0, i) {
					t.Errorf("asked again for %s", topic)
				}
			}
		}
		h.parts(base, 0, 15, 16, 17, 18, 19)
		wait(time.Minute)
		if tr.trained.Load() != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
	})
}

// Parts of a slot that was written over are not mixed up: the next manifest, for
// the order that names it, is followed.
func TestSlotWrittenOver(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		d := &memory{}
		cfg := h.config(tr)
		cfg.disk = d
		h.life(cfg)
		h.welcome()
		base, next := filled(t, 10_000, 1), filled(t, 10_000, 2)
		h.parts(base, 0, 0, 1, 2)
		h.parts(next, 0, 3, 4, 5, 6, 7, 8, 9)
		h.manifest(0, 0, base)
		h.order(1, 1, wire.WorkTrain, base, small)
		wait(time.Minute)
		if s := h.wantPhase(PhaseWaiting); s.Progress == nil || *s.Progress != 0.3 || tr.trained.Load() != 0 {
			t.Fatalf("status %+v, trained %d times", s, tr.trained.Load())
		}
		h.parts(next, 0)
		h.manifest(2, 0, next)
		wait(time.Minute)
		if tr.trained.Load() != 0 {
			t.Fatal("a model that no order names was taken")
		}
		h.order(2, 1, wire.WorkTrain, next, small)
		wait(time.Minute)
		if m, id, err := d.Model(testTask); tr.trained.Load() != 1 || err != nil || id != next.ContentID() || !bytes.Equal(m.Blob, next.Blob) {
			t.Fatalf("trained %d times on %v", tr.trained.Load(), id)
		}
	})
}

// Another manifest of the same model: another slot, and the pull starts there.
func TestSlotChanges(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base := filled(t, 10_000, 1)
		h.parts(base, 0, 0, 1, 2)
		h.manifest(0, 0, base)
		h.order(1, 1, wire.WorkTrain, base, small)
		wait(10 * time.Second)
		h.parts(base, 1)
		h.manifest(0, 1, base)
		wait(10 * time.Second)
		if tr.trained.Load() != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
		if left := h.subscribed(); len(left) != 0 {
			t.Errorf("still subscribed to %v", left)
		}
	})
}

// A pull ends when no order asks for it any more.
func TestPullEnds(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.life(h.config(&fake{}))
		h.welcome()
		base, other := filled(t, 10_000, 1), filled(t, 10_000, 2)
		h.parts(base, 0, 0)
		h.manifest(0, 0, base)
		for i, end := range []func(round uint64){
			func(round uint64) { h.order(round, 2, wire.WorkNone, base) },
			func(round uint64) { h.order(round, 2, wire.WorkTrain, other) }, // no manifest of it is known
		} {
			round := uint64(i + 1)
			h.order(round, 1, wire.WorkTrain, base, small)
			wait(5 * time.Second)
			if len(h.subscribed()) == 0 {
				t.Fatalf("round %d: nothing is pulled; status %+v", round, h.lastStatus())
			}
			end(round)
			h.forget()
			wait(5 * time.Minute)
			if left, n := h.subscribed(), h.asked(); len(left) != 0 || len(n) != 0 {
				t.Errorf("round %d: subscribed to %v, asked for %v", round, left, n)
			}
		}
	})
}

// The announcement of another model ends no pull: the one pulled is still what
// the order in force names.
func TestAnotherManifest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		cfg := h.config(tr)
		cfg.disk, cfg.DataDir = nil, dir
		stop := h.life(cfg)
		h.welcome()
		base, other := filled(t, 10_000, 1), filled(t, 10_000, 2)
		h.parts(base, 0, 0, 1, 2, 3, 4, 5, 6, 7)
		h.manifest(1, 0, base)
		h.order(2, 1, wire.WorkTrain, base, small)
		wait(5 * time.Second)
		h.manifest(0, 1, other)
		wait(2 * time.Second)
		if s := h.wantPhase(PhaseWaiting); s.Progress == nil || *s.Progress != 0.8 {
			t.Fatalf("status %+v", s)
		}
		h.parts(base, 0, 8, 9)
		wait(time.Minute)
		if tr.trained.Load() != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
		// A site that ends in the middle of a pull leaves nothing open behind.
		h.parts(other, 1, 0)
		h.order(3, 1, wire.WorkTrain, other, small)
		wait(5 * time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "tmp", "*")); err != nil || len(left) != 0 {
			t.Fatalf("%v, %v", left, err)
		}
	})
}

// Parts that are all proven, of a content that the header does not name: the
// model is not used, and not pulled again until there is another manifest.
func TestManifestLies(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base, other := filled(t, 10_000, 1), filled(t, 10_000, 2)
		h.parts(other, 0)
		h.manifest(0, 0, other, func(hd *wire.Header) { hd.Base = base.ContentID() })
		h.order(1, 1, wire.WorkTrain, base, small)
		wait(2 * time.Second)
		if s := h.lastStatus(); s.Error != "model not accepted: wrong_base" || tr.trained.Load() != 0 {
			t.Fatalf("status %+v, trained %d times", s, tr.trained.Load())
		}
		h.forget()
		wait(5 * time.Minute)
		h.order(1, 2, wire.WorkNone, base)
		h.order(1, 3, wire.WorkTrain, base, small)
		wait(5 * time.Minute)
		if n := h.asked(); len(n) != 0 {
			t.Fatalf("pulled again: %v", n)
		}
		h.parts(base, 1)
		h.manifest(0, 1, base)
		wait(time.Minute)
		if tr.trained.Load() != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
	})
}

// Parts that nobody asked for, wrong ones, and floods of both change nothing.
func TestHostileParts(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base := filled(t, 5_000, 1)
		b := cut(t, base)
		part := func(p wire.Part) []byte {
			p.Blob, p.Count = b.Key(), uint32(b.Count())
			return wire.AppendPart(nil, p)
		}
		off, n := b.Span(1)
		second := base.Blob[off : off+n]
		flood := func() {
			for i := range 300 {
				topic := h.owner.ModelPart(i%8, i*13%4000)
				h.push(topic, part(wire.Part{Index: uint32(i * 13 % 4000), Data: []byte("x")}))
				h.push(topic, []byte("not a part"))
			}
			for _, p := range [][]byte{
				part(wire.Part{Index: 0, Data: second}), part(wire.Part{Index: 1, Data: second[1:]}), part(wire.Part{Index: 1, Data: second}),
				bytes.Repeat([]byte{0x95, 2}, 5000), part(wire.Part{Index: 3999, Data: second}),
			} {
				h.push(h.owner.ModelPart(0, 0), p)
				h.push(h.owner.ModelPart(7, 1), p)
			}
		}
		flood()
		h.manifest(0, 0, base)
		h.order(1, 1, wire.WorkTrain, base, small)
		flood()
		wait(10 * time.Second)
		if s := h.wantPhase(PhaseWaiting); s.Progress == nil || *s.Progress != 0 {
			t.Fatalf("status %+v", s)
		}
		h.parts(base, 0)
		wait(time.Minute)
		if tr.trained.Load() != 1 {
			t.Fatalf("not trained; status %+v", h.lastStatus())
		}
	})
}

func publish(topic string, payload []byte) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: 4, TopicName: topic, Payload: payload}
}

// push sends to the site what it may not be subscribed to.
func (h *hub) push(topic string, payload []byte) {
	h.t.Helper()
	synctest.Wait()
	for _, cl := range h.srv.Clients.GetAll() {
		if cl.Net.Inline {
			continue
		}
		if err := cl.WritePacket(publish(topic, payload)); err != nil {
			h.t.Fatal(fmt.Errorf("push to %s: %w", topic, err))
		}
	}
	synctest.Wait()
}
