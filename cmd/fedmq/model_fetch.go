package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// askAgainEvery is how often the model is asked for while it is followed: a
// live message can be lost, a subscription asks again.
const askAgainEvery = time.Minute

// fetcher reads a task's models from the broker as a site does: inline, or by
// pulling the parts that a manifest names. It publishes nothing.
type fetcher struct {
	cl     *client
	ns     topics.Namespace
	owner  topics.Owner
	opener *wire.Opener
	puller *transfer.Puller
	begun  time.Time
	wake   int64 // when the puller wants its tick
	live   liveLine

	complain func(error) error // what to do about a message that is refused

	seen   wire.Header // of the newest model that was whole
	any    bool
	header wire.Header // of the one being pulled
	target wire.Manifest
	blob   []byte
}

func newFetcher(cl *client, ns topics.Namespace, o topics.Owner, opener *wire.Opener) *fetcher {
	f := &fetcher{
		cl: cl, ns: ns, owner: o, opener: opener, puller: transfer.NewPuller(), begun: time.Now(), live: progressOf(os.Stderr),
		complain: func(err error) error { return err },
	}
	f.puller.Connected(f.now())
	return f
}

func (f *fetcher) now() int64 { return time.Since(f.begun).Milliseconds() }

// next returns the next model that is not the last one; patience is the time
// in which something has to come, 0 for ever.
func (f *fetcher) next(ctx context.Context, patience time.Duration) (*fetched, error) {
	late := newAlarm(patience)
	defer late.stop()
	again := time.NewTicker(askAgainEvery)
	defer again.Stop()
	defer f.live.end()
	for {
		got, err := f.drive()
		if got != nil || err != nil {
			return got, err
		}
		wake := newAlarm(time.Duration(max(f.wake-f.now(), 1)) * time.Millisecond)
		if f.wake == 0 {
			wake.stop()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.c:
			return nil, f.late(patience)
		case <-again.C:
			f.cl.conn.Resubscribe(f.owner.Model())
		case <-wake.c:
			f.puller.Tick(f.now())
		case s := <-f.cl.conn.States():
			err = f.state(s)
		case m := <-f.cl.conn.Messages():
			var moved bool
			if got, moved, err = f.message(m); moved {
				late.reset(patience)
			}
		}
		wake.stop()
		if err != nil {
			err = f.complain(err)
		}
		if got != nil || err != nil {
			return got, err
		}
	}
}

// alarm is a timer that may never ring.
type alarm struct {
	timer *time.Timer
	c     <-chan time.Time
}

func newAlarm(d time.Duration) *alarm {
	if d <= 0 {
		return &alarm{}
	}
	t := time.NewTimer(d)
	return &alarm{t, t.C}
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.c = nil
}

func (a *alarm) reset(d time.Duration) {
	if a.timer != nil {
		a.timer.Reset(d)
	}
}

// drive does what the puller owes, and returns the model when all parts are
// there.
func (f *fetcher) drive() (*fetched, error) {
	rd := f.puller.Ready()
	f.wake = rd.Wake
	var drop []string
	for _, p := range rd.Unsubscribe {
		drop = append(drop, f.owner.ModelPart(int(p.Slot), int(p.Index)))
	}
	var want []link.Filter
	for _, p := range rd.Subscribe {
		want = append(want, link.Filter{Topic: f.owner.ModelPart(int(p.Slot), int(p.Index)), QoS: p.QoS})
	}
	if len(drop) > 0 {
		f.cl.conn.Unsubscribe(drop...)
	}
	if len(want) > 0 {
		f.cl.conn.Subscribe(want...)
	}
	if !rd.Done {
		return nil, nil
	}
	m := &model.Model{Schema: f.target.Schema, Blob: f.blob}
	f.puller.Drop(f.now())
	f.blob = nil
	if got := m.ContentID(); got != f.header.Base {
		return nil, f.complain(fmt.Errorf("%s: the parts of version %d have the content %s, its header says %s", f.owner.Model(), f.header.Round, got, f.header.Base))
	}
	return f.whole(&fetched{header: f.header, model: m, parts: f.target.Blob.Count()}), nil
}

func (f *fetcher) whole(got *fetched) *fetched {
	f.seen, f.any = got.header, true
	return got
}

func (f *fetcher) state(s link.State) error {
	if !s.Up {
		f.puller.Disconnected(f.now())
		return nil
	}
	f.puller.Connected(f.now())
	return s.Err // a denied subscription
}

// message takes one message; moved says that it brought something new.
func (f *fetcher) message(m link.Message) (got *fetched, moved bool, err error) {
	if m.Topic == f.owner.Model() {
		got, err = f.model(m)
		return got, err == nil, err
	}
	at, err := f.ns.Parse(m.Topic)
	if err != nil || at.Kind != topics.ModelPart {
		return nil, false, nil //nolint:nilerr // a topic that was not asked for
	}
	part, err := wire.DecodePart(m.Payload, wire.MaxPart)
	if err != nil {
		return nil, false, nil //nolint:nilerr // cleared, or a leftover: the puller asks again
	}
	off, ok := f.puller.Part(f.now(), part, uint32(at.Slot), uint32(at.Part))
	if !ok {
		return nil, false, nil
	}
	copy(f.blob[off:], part.Data)
	have, count := f.puller.Progress()
	f.live.show("version %d: %d of %d parts", f.header.Round, have, count)
	return nil, true, nil
}

// model takes what stands on the model's topic: a whole model, or a manifest to
// pull.
func (f *fetcher) model(m link.Message) (*fetched, error) {
	if len(m.Payload) == 0 {
		return nil, fmt.Errorf("%s was cleared", m.Topic)
	}
	h, body, err := f.opener.Open(m.Topic, m.Payload, wire.Bound{MaxBody: wire.MaxPart})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Topic, err)
	}
	d, err := wire.DecodeModel(body, wire.Limits{Part: wire.MaxPart})
	if err == nil {
		err = d.Matches(h)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Topic, err)
	}
	switch older := h.Epoch < f.seen.Epoch || h.Epoch == f.seen.Epoch && h.Round < f.seen.Round; {
	case f.any && h.Round == f.seen.Round && h.Base == f.seen.Base:
		return nil, nil
	case f.any && older:
		return nil, fmt.Errorf("%s: version %d of epoch %d after version %d of epoch %d", m.Topic, h.Round, h.Epoch, f.seen.Round, f.seen.Epoch)
	}
	switch d := d.(type) {
	case wire.Model:
		f.puller.Drop(f.now())
		return f.whole(&fetched{header: h, model: d.Tensors}), nil
	case wire.Manifest:
		return nil, f.pull(h, d)
	}
	return nil, errors.New("a form of model that is not known here")
}

// pull sets the puller's target; the same again goes on.
func (f *fetcher) pull(h wire.Header, d wire.Manifest) error {
	if most := min(uint64(maxModelFile), math.MaxInt); d.Blob.Length > most { // the latter on 32 bits
		return fmt.Errorf("a model of %d bytes, at most %d", d.Blob.Length, most)
	}
	if f.blob == nil || !d.Blob.Equal(f.target.Blob) {
		f.blob = make([]byte, d.Blob.Length)
	}
	f.header, f.target = h, d
	f.puller.Want(f.now(), d.Blob, d.Slot)
	return nil
}

// late says what did not come.
func (f *fetcher) late(patience time.Duration) error {
	if have, count := f.puller.Progress(); count > 0 {
		return fmt.Errorf("%s: %d of %d parts of version %d are here, and no other came within %s; the broker does not have them all: "+
			"the aggregator publishes them when it connects", f.owner.Model(), have, count, f.header.Round, patience)
	}
	return fmt.Errorf("%s: no model within %s: is the task's name right, has it begun, does the broker keep retained messages over its restarts?",
		f.owner.Model(), patience)
}
