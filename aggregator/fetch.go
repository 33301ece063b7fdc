package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// fetch pulls the parts of a manifest of its own from the broker, as a site
// does, over a connection of its own. Parts that are not there end it: nobody
// else has them.
func (t *task) fetch(ctx context.Context, mf wire.Manifest) (*model.Model, error) {
	way := t.a.cfg.reach(t.a.log)
	way.MaxPacket = wire.MaxPart + 64<<10
	conn, err := link.New(way)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- conn.Run(ctx) }()
	m := &model.Model{Schema: mf.Schema, Blob: make([]byte, mf.Schema.Bytes())}
	err = t.pull(ctx, conn, mf, m.Blob)
	cancel()
	if ended := <-done; err == nil {
		err = ended
	}
	return m, err
}

// pull fills buf with the parts of a manifest.
func (t *task) pull(ctx context.Context, conn *link.Conn, mf wire.Manifest, buf []byte) error {
	p := transfer.NewPuller()
	p.Want(t.a.nowMS(), mf.Blob, mf.Slot)
	wake := stoppedTimer()
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-conn.States():
			if p.Disconnected(t.a.nowMS()); s.Up {
				p.Connected(t.a.nowMS())
			}
		case m := <-conn.Messages():
			t.takeOwnPart(p, m, buf)
		case <-wake.C:
			p.Tick(t.a.nowMS())
		}
		r := p.Ready()
		for _, f := range r.Unsubscribe {
			conn.Unsubscribe(t.topics.ModelPart(int(f.Slot), int(f.Index)))
		}
		for _, f := range r.Subscribe {
			conn.Subscribe(link.Filter{Topic: t.topics.ModelPart(int(f.Slot), int(f.Index)), QoS: f.QoS})
		}
		have, of := p.Progress()
		switch {
		case r.Done:
			return nil
		case len(r.Need) > 0:
			return fmt.Errorf("the broker has %d of its %d parts", have, of)
		}
		wake.Reset(until(t.a.nowMS(), r.Wake))
	}
}

// takeOwnPart puts a part where it belongs; what is none is ignored.
func (t *task) takeOwnPart(p *transfer.Puller, m link.Message, buf []byte) {
	at, err := t.a.ns.Parse(m.Topic)
	if err != nil || at.Kind != topics.ModelPart {
		return
	}
	part, err := wire.DecodePart(m.Payload, wire.MaxPart)
	if err != nil {
		return
	}
	off, ok := p.Part(t.a.nowMS(), part, uint32(at.Slot), uint32(at.Part)) // #nosec G115 -- below 4,000
	if ok {
		copy(buf[off:], part.Data)
	}
}

// fetchWithin bounds the pull of an adopted model whose broker hardly answers.
const fetchWithin = 30 * time.Minute

// whole returns the model of a distribution, pulled if it is a manifest.
func (t *task) whole(ctx context.Context, h wire.Header, d wire.Distribution) (*model.Model, error) {
	if h.Schema != t.schema {
		return nil, fmt.Errorf("its schema is %x, the task has %x", h.Schema[:8], t.schema[:8])
	}
	var m *model.Model
	switch d := d.(type) {
	case wire.Model:
		m = d.Tensors
	case wire.Manifest:
		ctx, cancel := context.WithTimeout(ctx, fetchWithin)
		defer cancel()
		var err error
		if m, err = t.fetch(ctx, d); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("a model of a later version")
	}
	if id := m.ContentID(); id != h.Base {
		return nil, fmt.Errorf("its content is %s, the header says %s", id, h.Base)
	}
	return m, nil
}
