package follow

import (
	"context"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// pull fetches the parts that a manifest names over a connection.
type pull struct {
	at     At
	puller *transfer.Puller
	begun  time.Time
	target wire.Manifest
	blob   []byte
}

func newPull(at At) *pull { return &pull{at: at, puller: transfer.NewPuller(), begun: time.Now()} }

func (p *pull) now() int64 { return time.Since(p.begun).Milliseconds() }

// want sets the target; the same again goes on.
func (p *pull) want(mf wire.Manifest) {
	if p.blob == nil || !mf.Blob.Equal(p.target.Blob) {
		p.blob = make([]byte, mf.Blob.Length)
	}
	p.target = mf
	p.puller.Want(p.now(), mf.Blob, mf.Slot, wire.Blob{})
}

func (p *pull) drop() {
	p.puller.Drop(p.now())
	p.blob = nil
}

// move has the next target lie below other topics.
func (p *pull) move(to topics.Owner) {
	p.drop()
	p.owed() // what was subscribed to
	p.at.Owner = to
}

// take returns what has been pulled, and its content id.
func (p *pull) take() (*model.Model, model.Hash) {
	m, id := &model.Model{Schema: p.target.Schema, Blob: p.blob}, p.puller.Content()
	p.drop()
	return m, id
}

// owed does what the puller owes, and returns what else it says.
func (p *pull) owed() transfer.PullReady {
	rd := p.puller.Ready()
	var drop []string
	for _, f := range rd.Unsubscribe {
		drop = append(drop, p.topic(f))
	}
	var want []link.Filter
	for _, f := range rd.Subscribe {
		want = append(want, link.Filter{Topic: p.topic(f), QoS: f.QoS})
	}
	if len(drop) > 0 {
		p.at.Conn.Unsubscribe(drop...)
	}
	if len(want) > 0 {
		p.at.Conn.Subscribe(want...)
	}
	return rd
}

func (p *pull) topic(f transfer.PartFilter) string {
	return p.at.Owner.ModelPart(int(f.Slot), int(f.Index))
}

func (p *pull) up(is bool) {
	if is {
		p.puller.Connected(p.now())
	} else {
		p.puller.Disconnected(p.now())
	}
}

// part puts a part where it belongs, and reports whether it was wanted.
func (p *pull) part(m link.Message) bool {
	at, err := p.at.NS.Parse(m.Topic)
	if err != nil || at.Kind != topics.ModelPart && at.Kind != topics.ReleasedPart && at.Kind != topics.CanaryPart || m.Topic != p.at.Owner.ModelPart(at.Slot, at.Part) {
		return false // a topic that was not asked for
	}
	part, err := wire.DecodePart(m.Payload, wire.MaxPart)
	if err != nil {
		return false // cleared, or a leftover: the puller asks again
	}
	off, ok := p.puller.Part(p.now(), part, uint32(at.Slot), uint32(at.Part))
	if ok {
		copy(p.blob[off:], part.Data)
	}
	return ok
}

// Fetch pulls the parts of one manifest. Parts that are not there end it: nobody
// is asked for them. Whether they are what its header names is not looked at.
func Fetch(ctx context.Context, at At, mf wire.Manifest) (*model.Model, error) {
	p := newPull(at)
	p.want(mf)
	for {
		rd := p.owed()
		have, count := p.puller.Progress()
		switch {
		case rd.Done:
			m, _ := p.take()
			return m, nil
		case len(rd.Need) > 0:
			return nil, fmt.Errorf("the broker has %d of its %d parts", have, count)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case s := <-at.Conn.States():
			if p.up(false); s.Up {
				p.up(true)
			}
		case m := <-at.Conn.Messages():
			p.part(m)
		case <-after(p.until(rd.Wake)):
			p.puller.Tick(p.now())
		}
	}
}

// until is the time to a moment of the puller's, 0 for never.
func (p *pull) until(wake int64) time.Duration {
	if wake == 0 {
		return 0
	}
	return time.Duration(max(wake-p.now(), 1)) * time.Millisecond
}

// after is time.After, where 0 is never.
func after(d time.Duration) <-chan time.Time {
	if d <= 0 {
		return nil
	}
	return time.After(d)
}
