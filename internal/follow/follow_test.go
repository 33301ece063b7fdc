package follow

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// fetching is a follower and somebody who publishes, at one broker.
type fetching struct {
	t     *testing.T
	owner topics.Owner
	from  *link.Conn
	*Follower
}

func newFetching(t *testing.T) *fetching {
	t.Helper()
	b, err := broker.New(broker.Config{TCP: "127.0.0.1:0", Open: true, Log: zerolog.Nop()})
	if err == nil {
		err = b.Listen()
	}
	check(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() { stop(); check(t, <-done) })
	<-b.Ready()
	ns, err := topics.New("acme")
	check(t, err)
	o, err := ns.Owner("", "quality")
	check(t, err)
	connect := func(id string, filters ...link.Filter) *link.Conn {
		conn, err := link.New(link.Config{Broker: "tcp://" + b.Addrs().TCP, ClientID: id, MaxPacket: wire.MaxPart + 64<<10, Log: zerolog.Nop()})
		check(t, err)
		conn.Subscribe(filters...)
		runs, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- conn.Run(runs) }()
		t.Cleanup(func() { end(); check(t, <-ended) })
		for s := range conn.States() {
			if s.Up {
				break
			}
		}
		return conn
	}
	at := At{Conn: connect("get", link.Filter{Topic: o.Model(), QoS: 1}), NS: ns, Owner: o}
	f := New(at, &wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart}}, 4<<30)
	return &fetching{t: t, owner: o, from: connect("put"), Follower: f}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// say publishes a retained message.
func (f *fetching) say(topic string, payload []byte) {
	f.t.Helper()
	check(f.t, f.from.Publish(f.t.Context(), link.Message{Topic: topic, Payload: payload, QoS: 1, Retained: true}))
}

// header is that of a model.
func (f *fetching) headerOf(epoch, version uint64, m *model.Model) wire.Header {
	return wire.Header{
		Kind: wire.KindModel, Task: "quality", Sender: f.owner.Node(), Topic: f.owner.Model(), Epoch: epoch, Round: version,
		Base: m.ContentID(), Schema: m.Schema.Hash(), Encoding: wire.EncodingDense,
	}
}

func (f *fetching) seal(h wire.Header, d wire.Message) []byte {
	f.t.Helper()
	body, err := wire.Encode(d)
	check(f.t, err)
	payload, err := wire.Seal(h, body, nil)
	check(f.t, err)
	return payload
}

// manifest publishes a model in parts of 4 kB, as change leaves them.
func (f *fetching) manifest(version uint64, m *model.Model, change func(h *wire.Header, i int, data []byte) []byte) {
	f.t.Helper()
	blob, err := wire.NewBlob(m.Blob, wire.MinPart)
	check(f.t, err)
	h := f.headerOf(1, version, m)
	for i := range blob.Count() {
		off, n := blob.Span(i)
		data := change(&h, i, append([]byte{}, m.Blob[off:off+n]...))
		p := wire.Part{Blob: blob.Key(), Index: uint32(i), Count: uint32(blob.Count()), Data: data}
		f.say(f.owner.ModelPart(0, i), wire.AppendPart(nil, p))
	}
	f.say(h.Topic, f.seal(h, wire.Manifest{Version: version, Schema: m.Schema, Blob: blob}))
}

// vector is a model of n values that differ.
func vector(t *testing.T, n int, first float32) *model.Model {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{n}})
	check(t, err)
	m, values := model.New(s), make([]float32, n)
	for i := range values {
		values[i] = first + float32(i)
	}
	check(t, m.SetFloat32s("w", values))
	return m
}

func same(_ *wire.Header, _ int, data []byte) []byte { return data }

// What is on the topic and cannot be the model is refused, whoever put it there.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		put  func(f *fetching)
		want string
	}{
		{"nothing", func(*fetching) {}, "no model within 300ms"},
		{"garbage", func(f *fetching) { f.say(f.owner.Model(), []byte("{}")) }, "acme/_fl_v1/quality/model: "},
		{"of another topic", func(f *fetching) {
			m := vector(t, 3, 0)
			h := f.headerOf(1, 1, m)
			h.Task, h.Topic = "other", strings.Replace(h.Topic, "quality", "other", 1)
			f.say(f.owner.Model(), f.seal(h, wire.Model{Version: 1, Tensors: m}))
		}, `made for "acme/_fl_v1/other/model"`},
		{"content of another model", func(f *fetching) {
			f.say(f.owner.Model(), f.seal(f.headerOf(1, 1, vector(t, 3, 7)), wire.Model{Version: 1, Tensors: vector(t, 3, 0)}))
		}, "the header says"},
		{"parts of another model", func(f *fetching) {
			f.manifest(1, vector(t, 3000, 0), func(h *wire.Header, _ int, data []byte) []byte {
				h.Base = model.HashOf([]byte("other"))
				return data
			})
		}, "the parts of version 1 have the content"},
		{"a part with other bytes", func(f *fetching) {
			f.manifest(1, vector(t, 3000, 0), func(_ *wire.Header, i int, data []byte) []byte {
				if i == 1 {
					data[0]++
				}
				return data
			})
		}, "2 of 3 parts of version 1 are here"},
		{"more than memory", func(f *fetching) {
			s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{1<<30 + 1}})
			check(t, err)
			blob := wire.Blob{Length: uint64(s.Bytes()), Data: uint32(wire.PartData(wire.MaxPart))}
			blob.Hashes = make([]byte, wire.PartHash*(int(blob.Length-1)/int(blob.Data)+1))
			h := f.headerOf(1, 1, vector(t, 1, 0))
			h.Schema = s.Hash()
			f.say(h.Topic, f.seal(h, wire.Manifest{Version: 1, Schema: s, Blob: blob}))
		}, "a model of 4294967300 bytes, at most 4294967296"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFetching(t)
			c.put(f)
			patience := 20 * time.Second // in which it comes, and is refused
			switch {                     // it does not come
			case strings.Contains(c.want, "300ms"):
				patience = 300 * time.Millisecond
			case strings.Contains(c.want, " are here"):
				patience = 2 * time.Second
			}
			got, err := f.Next(t.Context(), patience)
			if got != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// Who follows gets each version once, and never an older one after it.
func TestFollows(t *testing.T) {
	t.Parallel()
	f := newFetching(t)
	var complaints []error
	f.Complain = func(err error) error { complaints = append(complaints, err); return nil }
	next := func(want uint64, m *model.Model) {
		t.Helper()
		got, err := f.Next(t.Context(), 20*time.Second)
		check(t, err)
		if got.Header.Round != want || got.Model.ContentID() != m.ContentID() {
			t.Fatalf("version %d, want %d", got.Header.Round, want)
		}
	}
	small, large, last := vector(t, 3, 1), vector(t, 3000, 2), vector(t, 3000, 3)
	inline := func(epoch, version uint64, m *model.Model) {
		f.say(f.owner.Model(), f.seal(f.headerOf(epoch, version, m), wire.Model{Version: version, Tensors: m}))
	}
	inline(1, 4, small)
	next(4, small)
	inline(1, 4, small) // again, and older ones: nothing
	inline(0, 9, large)
	inline(1, 3, large)
	f.say(f.owner.Model(), nil)
	f.manifest(5, large, same)
	next(5, large)
	f.manifest(6, last, same)
	next(6, last)
	inline(2, 0, small) // another aggregator begins anew
	next(0, small)
	if len(complaints) != 3 {
		t.Errorf("complaints: %v", errors.Join(complaints...))
	}
}
