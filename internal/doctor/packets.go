package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fedmq/fedmq/internal/link"
)

// smallest is the least packet that is tried, in bytes.
const smallest = 4 << 10

// meet is the first contact: one message there and back. It measures the time a
// message takes and finds the ways in which the rest would make no sense.
func (e *exam) meet(ctx context.Context) error {
	topic := e.own.Status()
	if err := e.takes(ctx, topic); err != nil {
		return err
	}
	sub, pub, code, err := e.pair(ctx, link.Filter{Topic: topic, QoS: 1})
	switch {
	case errors.Is(err, errSubscribe) && errors.Is(err, link.ErrCut):
		return fmt.Errorf("%w: it cut the link at SUBSCRIBE; %s", ErrDenied, e.wanted())
	case err != nil:
		return err
	}
	defer sub.Close()
	defer pub.Close()
	if code == deniedCode {
		return fmt.Errorf("%w: SUBSCRIBE %s was refused; %s", ErrDenied, topic, e.wanted())
	}
	began := time.Now()
	var got link.Message
	ok, err := soon(ctx, e.patience(), func(ctx context.Context) error {
		if _, err := pub.Publish(ctx, 1, link.Message{Topic: topic, Payload: []byte("{}"), QoS: 1}); err != nil {
			return err
		}
		got, err = sub.Receive(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if !ok {
		return e.noMessage(sub, pub)
	}
	took := time.Since(began)
	e.report.RoundTripMS = float64(took.Microseconds()) / 1000
	e.wait = min(max(leastWait, 20*took), mostWait)
	e.report.LiveFlag = got.Retained
	return nil
}

// wanted is what the user has to be allowed.
func (e *exam) wanted() string {
	return fmt.Sprintf("allow this user to read and write %s/_fl_v1/#, or name another node", e.report.Node)
}

// noMessage says why the first message did not arrive.
func (e *exam) noMessage(sub, pub *link.Probe) error {
	select {
	case <-sub.Lost():
		return errors.New("doctor: the broker ended the first connection when the second came: " +
			"it allows a user one connection at a time, and the examination needs two")
	case <-pub.Lost():
		return fmt.Errorf("%w: it cut the link at PUBLISH; %s", ErrDenied, e.wanted())
	default:
		return fmt.Errorf("%w: a message was lost on its way back within %s; %s", ErrDenied, e.patience(), e.wanted())
	}
}

// packets finds the largest PUBLISH that comes through.
func (e *exam) packets(ctx context.Context) error {
	size, slow, err := limit(e.cfg.extent.packet, func(size int) (bool, time.Duration, error) { return e.passes(ctx, size) })
	e.report.PacketBytes, e.report.PacketAtLeast, e.report.PacketSlow = size, size >= e.cfg.extent.packet || slow, slow
	return err
}

// passes sends one packet of size bytes over connections of its own: a broker
// cuts the link that exceeds its limit, or the subscriber's.
func (e *exam) passes(ctx context.Context, size int) (bool, time.Duration, error) {
	topic := e.own.Update()
	sub, pub, _, err := e.pair(ctx, link.Filter{Topic: topic, QoS: 1})
	if err != nil {
		return false, 0, unlessSilent(ctx, err)
	}
	defer sub.Close()
	defer pub.Close()
	payload := filler(payloadOf(size, topic))
	began := time.Now()
	ok, err := soon(ctx, e.patience(), func(ctx context.Context) error {
		if _, err := pub.Publish(ctx, 1, link.Message{Topic: topic, Payload: payload, QoS: 1}); err != nil {
			return err
		}
		m, err := sub.Receive(ctx)
		if err == nil && !bytes.Equal(m.Payload, payload) {
			return errors.New("other bytes")
		}
		return err
	})
	return ok, time.Since(began), err
}

// limit finds the largest size between smallest and hi that passes, to within a 64th
// (at least 128), or 0. It grows from below, so that no more is sent than needed;
// slow: it stopped where a packet took too long.
func limit(hi int, passes func(size int) (bool, time.Duration, error)) (best int, slow bool, err error) {
	var bad int
	for size := smallest; ; size = min(2*size, hi) {
		ok, took, err := passes(size)
		if err != nil {
			return best, false, err
		}
		if !ok {
			bad = size
			break
		}
		best = size
		if size == hi || took > slowPacket {
			return best, size < hi, nil
		}
	}
	for best > 0 && bad-best > max(128, best/64) {
		mid := best + (bad-best)/2
		ok, _, err := passes(mid)
		if err != nil {
			return best, false, err
		}
		if ok {
			best = mid
		} else {
			bad = mid
		}
	}
	return best, false, nil
}

// payloadOf is the payload of a QoS 1 PUBLISH of size bytes in all.
func payloadOf(size int, topic string) int { return size - overhead - len(topic) }

// overhead is a PUBLISH without topic and payload: type, length (of at most
// four bytes), length of the topic, packet id.
const overhead = 1 + 4 + 2 + 2

// filler is a payload that does not repeat itself soon.
func filler(n int) []byte {
	b := make([]byte, n)
	x := uint32(n) | 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
