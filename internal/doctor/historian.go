package doctor

import (
	"context"

	"github.com/fedmq/fedmq/internal/link"
)

// Whether somebody is subscribed to all below the namespace, as historians are.
const (
	readsAll  = "yes"
	readsNone = "no"
	notTold   = "not told" // no MQTT 5, or the broker does not say who gets a message
)

// historian publishes where only a wildcard over everything listens, and reads off the
// PUBACK whether anybody got it. That is no news from a broker that never says nobody,
// so one more message goes to where nobody can be.
func (e *exam) historian(ctx context.Context) error {
	e.report.Historian = notTold
	heard, told, err := e.getsThrough(ctx, e.own.Update())
	switch {
	case err != nil || !told:
		return err
	case !heard:
		e.report.Historian = readsNone
		return nil
	}
	heard, told, err = e.getsThrough(ctx, e.nowhere)
	if err == nil && told && !heard {
		e.report.Historian = readsAll
	}
	return err
}

// getsThrough publishes an empty message and reports whether anybody is sent it, as far as
// that is told. Each has a connection of its own: a broker may cut it.
func (e *exam) getsThrough(ctx context.Context, topic string) (heard, told bool, err error) {
	told, err = soon(ctx, e.patience(), func(ctx context.Context) error {
		cfg := e.cfg.Link
		cfg.ClientID = e.prefix + "asks"
		p, _, err := link.OpenProbe5(ctx, cfg)
		if err != nil {
			return err
		}
		defer p.Close()
		err = p.Publish(ctx, link.Message{Topic: topic, QoS: 1})
		heard = !p.Nobody
		return err
	})
	return heard, told, err
}
