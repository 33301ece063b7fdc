package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
)

// deniedCode is the SUBACK code of a refusal.
const deniedCode = 0x80

// open makes one more connection.
func (e *exam) open(ctx context.Context) (*link.Probe, error) { return e.openAs(ctx, "", nil, false) }

// openAs makes a connection with a client id of its own, or with the one
// named, and a Will.
func (e *exam) openAs(ctx context.Context, id string, will *link.Message, persistent bool) (*link.Probe, error) {
	if id == "" {
		e.opened++
		id = fmt.Sprintf("%s%d", e.prefix, e.opened)
	}
	cfg := e.cfg.Link
	cfg.ClientID, cfg.Will, cfg.MaxPacket = id, will, e.cfg.extent.packet+64<<10
	return link.OpenProbe(ctx, cfg, persistent)
}

// subscribeTries is how often a SUBSCRIBE may cost the connection before that
// is a denial: a broker may lose one that follows its CONNACK at once.
const subscribeTries = 3

// errSubscribe: it was SUBSCRIBE that failed, and not CONNECT.
var errSubscribe = errors.New("doctor: SUBSCRIBE")

// subscriber opens a connection and subscribes; codes are the broker's answer.
func (e *exam) subscriber(ctx context.Context, filters ...link.Filter) (sub *link.Probe, codes []byte, err error) {
	for range subscribeTries {
		if sub, err = e.open(ctx); err != nil {
			return nil, nil, err
		}
		short, cancel := context.WithTimeout(ctx, e.patience())
		codes, err = sub.Subscribe(short, filters...)
		cancel()
		if err == nil {
			return sub, codes, nil
		}
		err = fmt.Errorf("%w: %w", errSubscribe, err)
		sub.Cut()
		if !errors.Is(err, link.ErrCut) {
			break
		}
	}
	return nil, nil, err
}

// pair opens a subscriber to one topic and a publisher.
func (e *exam) pair(ctx context.Context, f link.Filter) (sub, pub *link.Probe, code byte, err error) {
	sub, codes, err := e.subscriber(ctx, f)
	if err != nil {
		return nil, nil, 0, err
	}
	if pub, err = e.open(ctx); err != nil {
		sub.Cut()
		return nil, nil, 0, err
	}
	return sub, pub, codes[0], nil
}

// patience is how long an answer may take that a broker owes.
func (e *exam) patience() time.Duration { return 2*mostWait + e.wait }

// soon calls f with a context that ends after d. It reports whether f did
// without an error; the caller's own end is an error.
func soon(ctx context.Context, d time.Duration, f func(context.Context) error) (bool, error) {
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := f(short)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil, nil
}

// collect receives until n messages are there, nothing comes for the time a
// message may take, or the link is cut.
func (e *exam) collect(ctx context.Context, sub *link.Probe, n int) ([]link.Message, error) {
	return e.collectAfter(ctx, sub, n, e.wait)
}

// collectAfter waits for longer, or shorter, for the first one.
func (e *exam) collectAfter(ctx context.Context, sub *link.Probe, n int, first time.Duration) ([]link.Message, error) {
	var got []link.Message
	for len(got) < n {
		var m link.Message
		wait := e.wait
		if len(got) == 0 {
			wait = first
		}
		ok, err := soon(ctx, wait, func(ctx context.Context) (err error) { m, err = sub.Receive(ctx); return err })
		if err != nil || !ok {
			return got, err
		}
		got = append(got, m)
	}
	return got, nil
}

// publish sends messages and reports how many were acknowledged. Retained ones
// are noted for the end, and an interruption waits for them: cleared while it is
// on its way, a message would stay.
func (e *exam) publish(ctx context.Context, pub *link.Probe, messages ...link.Message) (acked int, err error) {
	const window = 64
	whole := ctx
	for _, m := range messages {
		if m.Retained {
			e.dirty[m.Topic] = true
			whole = context.WithoutCancel(ctx)
		}
	}
	_, err = soon(whole, e.patience(), func(ctx context.Context) (err error) {
		acked, err = pub.Publish(ctx, window, messages...)
		return err
	})
	return acked, errors.Join(err, ctx.Err())
}

// ErrLeft says that something of the examination is still at the broker.
var ErrLeft = errors.New("doctor: left behind at the broker")

// clean removes what the broker still keeps of this examination.
func (e *exam) clean(ctx context.Context) error {
	for _, id := range e.kept {
		p, err := e.openAs(ctx, id, nil, false)
		if err != nil {
			return fmt.Errorf("%w: the session of client %q: %w", ErrLeft, id, err)
		}
		p.Close()
	}
	if len(e.dirty) == 0 {
		return nil
	}
	p, err := e.open(ctx)
	if err == nil {
		var empty []link.Message
		for t := range e.dirty {
			empty = append(empty, link.Message{Topic: t, QoS: 1, Retained: true})
		}
		_, err = p.Publish(ctx, len(empty)/8+1, empty...)
		p.Close()
	}
	if err != nil {
		return fmt.Errorf("%w: up to %d retained topics below %s: %w", ErrLeft, len(e.dirty), e.report.Node, err)
	}
	clear(e.dirty)
	return nil
}

// unlessSilent drops the error of a broker that cut the link or kept silent.
func unlessSilent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case cutOff(err), errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return err
}

// cutOff tells whether an error is the broker's doing.
func cutOff(err error) bool { return errors.Is(err, link.ErrCut) || errors.Is(err, link.ErrRefused) }
