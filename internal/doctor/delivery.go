package doctor

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/fedmq/fedmq/internal/link"
)

const queueBytes = 256 // of each message to a busy subscriber

// numbered makes n QoS 1 messages that carry their number.
func numbered(topic string, n, size int) []link.Message {
	out := make([]link.Message, n)
	for i := range out {
		b := make([]byte, size)
		binary.BigEndian.PutUint32(b, uint32(i))
		out[i] = link.Message{Topic: topic, Payload: b, QoS: 1}
	}
	return out
}

// order counts what arrives at a subscriber that keeps up: all, once, in order.
func (e *exam) order(ctx context.Context) error {
	sub, pub, _, err := e.pair(ctx, link.Filter{Topic: e.own.Part(), QoS: 1})
	if err != nil {
		return err
	}
	defer sub.Close()
	defer pub.Close()
	sent := make(chan error, 1)
	go func() { _, err := e.publish(ctx, pub, numbered(e.own.Part(), e.cfg.extent.order, 8)...); sent <- err }()
	got, err := e.collect(ctx, sub, e.cfg.extent.order)
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	e.report.Order = tally(got, e.cfg.extent.order)
	return nil
}

// queue sends to a subscriber that acknowledges nothing meanwhile, and counts
// what it has got in the end: brokers acknowledge, and drop what they do not
// queue.
func (e *exam) queue(ctx context.Context) error {
	sub, pub, _, err := e.pair(ctx, link.Filter{Topic: e.own.Part(), QoS: 1})
	if err != nil {
		return err
	}
	defer sub.Close()
	defer pub.Close()
	acked, err := e.publish(ctx, pub, numbered(e.own.Part(), e.cfg.extent.queue, queueBytes)...)
	if err != nil {
		return err
	}
	got, err := e.collect(ctx, sub, e.cfg.extent.queue)
	e.report.Queue = tally(got, e.cfg.extent.queue)
	e.report.Queue.Acked = acked
	return err
}

// tally compares what arrived with the numbers 0 to of-1.
func tally(got []link.Message, of int) Tally {
	t := Tally{Of: of}
	seen := map[uint32]bool{}
	last := int64(-1)
	for _, m := range got {
		if len(m.Payload) < 4 {
			continue
		}
		n := binary.BigEndian.Uint32(m.Payload)
		switch {
		case seen[n]:
			t.Twice++
			continue
		case int64(n) < last:
			t.Late++
		}
		seen[n] = true
		last = max(last, int64(n))
	}
	t.Arrived = len(seen)
	return t
}

// session asks whether the broker keeps a session and what came for it. fedmq
// needs none: what it needs is retained, or asked for again.
func (e *exam) session(ctx context.Context) error {
	id := e.prefix + "session"
	e.kept = append(e.kept, id)
	filter := link.Filter{Topic: e.own.Join(), QoS: 1}
	for range 2 * subscribeTries { // one leaves the session, the next finds it
		p, err := e.openAs(ctx, id, nil, true)
		if err != nil {
			return unlessSilent(ctx, err)
		}
		if p.Present {
			got, err := e.collect(ctx, p, 1)
			p.Close()
			e.report.Session = len(got) == 1
			return err
		}
		ok, err := soon(ctx, e.patience(), func(ctx context.Context) error { _, err := p.Subscribe(ctx, filter); return err })
		p.Close()
		switch {
		case err != nil:
			return err
		case !ok:
			continue
		}
		if err := e.sendOne(ctx, link.Message{Topic: filter.Topic, Payload: []byte("{}"), QoS: 1}); err != nil {
			return err
		}
	}
	return nil
}

// sendOne publishes one message over a connection of its own.
func (e *exam) sendOne(ctx context.Context, m link.Message) error {
	pub, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer pub.Close()
	_, err = e.publish(ctx, pub, m)
	return err
}

// shared asks for a shared subscription; fedmq uses none.
func (e *exam) shared(ctx context.Context) error {
	topic := e.own.Need()
	got, err := e.echo(ctx, link.Filter{Topic: "$share/fedmq-doctor/" + topic, QoS: 1}, topic, 1)
	e.report.Shared = len(got) == 1
	return err
}

// qos2 sends one message at QoS 2; fedmq uses none.
func (e *exam) qos2(ctx context.Context) error {
	got, err := e.echo(ctx, link.Filter{Topic: e.own.Need(), QoS: 2}, e.own.Need(), 2)
	e.report.QoS2 = len(got) == 1 && got[0].QoS == 2
	return err
}

// echo publishes to topic, and returns what a subscriber of filter gets of it.
// A broker that cuts a link has answered: nothing.
func (e *exam) echo(ctx context.Context, filter link.Filter, topic string, qos byte) ([]link.Message, error) {
	sub, pub, code, err := e.pair(ctx, filter)
	if err != nil {
		return nil, unlessSilent(ctx, err)
	}
	defer sub.Close()
	defer pub.Close()
	if code == deniedCode {
		return nil, nil
	}
	if _, err := e.publish(ctx, pub, link.Message{Topic: topic, Payload: []byte("{}"), QoS: qos}); err != nil {
		return nil, err
	}
	return e.collect(ctx, sub, 1)
}
