package doctor

import (
	"context"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/link"
)

// filtersPerSub is how many parts a SUBSCRIBE asks for, as internal/link does.
const filtersPerSub = 8

// retained asks for retained parts by exact topic, as a site does, at either
// QoS.
func (e *exam) retained(ctx context.Context) error {
	pub, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer pub.Close()
	r := &e.report.Retained
	r.Of, r.PartBytes = e.cfg.extent.parts, partSize(e.report.PacketBytes, len(e.owner.ModelPart(0, 0)))
	if r.PartBytes <= 0 {
		return nil
	}
	var parts []link.Message
	for i := range r.Of {
		parts = append(parts, link.Message{Topic: e.owner.ModelPart(0, i), Payload: filler(r.PartBytes), QoS: 1, Retained: true})
	}
	if _, err := e.publish(ctx, pub, parts...); err != nil {
		return err
	}
	for qos, count := range []*int{&r.QoS0, &r.QoS1} {
		got, err := e.pull(ctx, parts, byte(qos))
		if err != nil {
			return err
		}
		*count = len(got)
		r.Flag = r.Flag || slices.ContainsFunc(got, func(m link.Message) bool { return m.Retained })
	}
	return nil
}

// pull subscribes to the topics of parts and returns what comes, each SUBSCRIBE
// over a connection of its own.
func (e *exam) pull(ctx context.Context, parts []link.Message, qos byte) ([]link.Message, error) {
	var all []link.Message
	for batch := range slices.Chunk(parts, filtersPerSub) {
		var filters []link.Filter
		for _, m := range batch {
			filters = append(filters, link.Filter{Topic: m.Topic, QoS: qos})
		}
		got, err := e.pullOnce(ctx, filters, len(batch))
		all = append(all, got...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// pullOnce returns up to n messages that come at a SUBSCRIBE; a broker that does
// not answer it sends none.
func (e *exam) pullOnce(ctx context.Context, filters []link.Filter, n int) ([]link.Message, error) {
	sub, _, err := e.subscriber(ctx, filters...)
	if err != nil {
		return nil, unlessSilent(ctx, err)
	}
	defer sub.Close()
	return e.collectAfter(ctx, sub, n, 3*e.wait) // a broker may have to search
}

// retainedSize finds the largest message that is kept: brokers may keep less
// than they pass on.
func (e *exam) retainedSize(ctx context.Context) error {
	r := &e.report.Retained
	if !r.Kept() || e.report.PacketBytes == 0 {
		return nil
	}
	kept := func(size int) (bool, time.Duration, error) { return e.keeps(ctx, size) }
	ok, _, err := kept(e.report.PacketBytes)
	if err != nil || ok {
		r.Bytes, r.AtLeast = e.report.PacketBytes, true
		return err
	}
	r.Bytes, _, err = limit(e.report.PacketBytes, kept)
	return err
}

// keeps tells whether one retained packet of size bytes is given back.
func (e *exam) keeps(ctx context.Context, size int) (bool, time.Duration, error) {
	pub, err := e.open(ctx)
	if err != nil {
		return false, 0, err
	}
	defer pub.Close()
	began := time.Now()
	topic := e.owner.ModelPart(1, 0)
	m := link.Message{Topic: topic, Payload: filler(payloadOf(size, topic)), QoS: 1, Retained: true}
	if _, err := e.publish(ctx, pub, m); err != nil {
		return false, 0, err
	}
	ok := false
	for _, qos := range []byte{1, 0} { // it is not the QoS that is to blame
		got, err := e.pull(ctx, []link.Message{m}, qos)
		if err != nil {
			return false, 0, err
		}
		if ok = len(got) == 1 && len(got[0].Payload) == len(m.Payload) && e.isRetained(got[0]); ok {
			break
		}
	}
	return ok, time.Since(began), nil
}

// isRetained tells a retained message from a live one that comes late, where the
// broker preserves the flag.
func (e *exam) isRetained(m link.Message) bool { return m.Retained || !e.report.Retained.Flag }

// wildcard counts how many of many retained messages come through one wildcard.
func (e *exam) wildcard(ctx context.Context) error {
	r := &e.report.Retained
	if !r.Kept() {
		return nil
	}
	pub, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer pub.Close()
	var small []link.Message
	for i := range e.cfg.extent.wildcard {
		small = append(small, link.Message{Topic: e.owner.ModelPart(2, i), Payload: []byte{byte(i), byte(i >> 8)}, QoS: 1, Retained: true})
	}
	if r.WildcardOf, err = e.publish(ctx, pub, small...); err != nil {
		return err
	}
	all := link.Filter{Topic: e.owner.Model() + "/2/+", QoS: 1}
	got, err := e.pullOnce(ctx, []link.Filter{all}, e.cfg.extent.wildcard)
	r.Wildcard = len(got)
	return err
}

// will cuts a connection and looks for its Will, live and retained.
func (e *exam) will(ctx context.Context) error {
	topic := e.own.State()
	sub, other, _, err := e.pair(ctx, link.Filter{Topic: topic, QoS: 1})
	if err != nil {
		return err
	}
	defer sub.Close()
	other.Close()
	e.dirty[topic] = true
	dying, err := e.openAs(ctx, "", &link.Message{Topic: topic, Payload: []byte("{}"), QoS: 1, Retained: true}, false)
	if err != nil {
		return unlessSilent(ctx, err)
	}
	dying.Cut()
	got, err := e.collect(ctx, sub, 1)
	if err != nil {
		return err
	}
	e.report.Will = len(got) == 1
	got, err = e.pull(ctx, []link.Message{{Topic: topic}}, 1)
	e.report.WillRetained = len(got) == 1
	return err
}

// restart leaves retained messages, waits for the broker to go and come back,
// and looks for them.
func (e *exam) restart(ctx context.Context) error {
	pub, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer pub.Close()
	var parts []link.Message
	for i := range filtersPerSub {
		parts = append(parts, link.Message{Topic: e.owner.ModelPart(3, i), Payload: filler(smallest / 2), QoS: 1, Retained: true})
	}
	if _, err := e.publish(ctx, pub, parts...); err != nil {
		return err
	}
	e.cfg.Restart()
	ctx, cancel := context.WithTimeout(ctx, RestartWait)
	defer cancel()
	select {
	case <-pub.Lost():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := e.comeback(ctx); err != nil {
		return err
	}
	got, err := e.pull(ctx, parts, 1)
	kept := len(got)
	e.report.RestartKept = &kept
	return err
}

// comeback waits until the broker takes connections again.
func (e *exam) comeback(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		p, err := e.open(ctx)
		if err == nil {
			p.Close()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
