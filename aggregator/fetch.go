package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
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
	m, err := follow.Fetch(ctx, follow.At{Conn: conn, NS: t.a.ns, Owner: t.topics}, mf)
	cancel()
	if ended := <-done; err == nil {
		err = ended
	}
	return m, err
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
