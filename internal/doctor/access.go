package doctor

import (
	"context"
	"errors"

	"github.com/fedmq/fedmq/internal/link"
)

// Verdict says what an access list did with something it should deny.
type Verdict string

// The verdicts. Only Open is seen for sure: a broker that says nothing may have
// denied the writing or the reading.
const (
	Open   Verdict = "open"   // it came through
	Silent Verdict = "silent" // acknowledged, and nothing came
	Denied Verdict = "denied" // refused with a code
	Cut    Verdict = "cut"    // the broker ended the connection
)

// access tries what an access list denies: to write beside the own node, to
// read other nodes through a wildcard, and to leave a Will there. Nothing of it
// is retained.
func (e *exam) access(ctx context.Context) error {
	a := &e.report.Access
	for _, try := range []struct {
		verdict *Verdict
		filter  string
	}{{&a.Write, e.other.Status()}, {&a.Wildcard, e.beside}} {
		v, err := e.foreign(ctx, try.filter)
		if err != nil {
			return err
		}
		*try.verdict = v
	}
	v, err := e.foreignWill(ctx)
	a.Will = v
	return err
}

// foreign publishes beside the own node and listens with filter.
func (e *exam) foreign(ctx context.Context, filter string) (Verdict, error) {
	sub, pub, code, err := e.pair(ctx, link.Filter{Topic: filter, QoS: 1})
	if err != nil {
		return verdictOf(ctx, err)
	}
	defer sub.Close()
	defer pub.Close()
	if code == deniedCode {
		return Denied, nil
	}
	_, err = e.publish(ctx, pub, link.Message{Topic: e.other.Status(), Payload: []byte("{}"), QoS: 1})
	if err != nil {
		return "", err
	}
	return e.heard(ctx, sub, pub)
}

// heard is the verdict of a message that sub may get.
func (e *exam) heard(ctx context.Context, sub, pub *link.Probe) (Verdict, error) {
	got, err := e.collect(ctx, sub, 1)
	switch {
	case err != nil:
		return "", err
	case len(got) == 1:
		return Open, nil
	}
	select {
	case <-pub.Lost():
		return Cut, nil
	case <-sub.Lost():
		return Cut, nil
	default:
		return Silent, nil
	}
}

// foreignWill leaves a Will beside the own node.
func (e *exam) foreignWill(ctx context.Context) (Verdict, error) {
	topic := e.other.State()
	sub, pub, code, err := e.pair(ctx, link.Filter{Topic: topic, QoS: 1})
	if err != nil {
		return verdictOf(ctx, err)
	}
	defer sub.Close()
	defer pub.Close()
	dying, err := e.openAs(ctx, "", &link.Message{Topic: topic, Payload: []byte("{}"), QoS: 1}, false)
	switch {
	case err != nil:
		return verdictOf(ctx, err)
	case code == deniedCode:
		dying.Close()
		return Silent, nil
	}
	dying.Cut()
	return e.heard(ctx, sub, pub)
}

// verdictOf reads a connection's end as an answer.
func verdictOf(ctx context.Context, err error) (Verdict, error) {
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, link.ErrRefused):
		return Denied, nil
	case errors.Is(err, link.ErrCut), errors.Is(err, context.DeadlineExceeded):
		return Cut, nil
	}
	return "", err
}
