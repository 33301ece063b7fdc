package doctor

import (
	"context"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/link"
)

// Two small messages, so often: after a few the system takes the connection for a
// conversation, and does not acknowledge at once what it may with its next word.
const (
	pairs     = 12
	pairBytes = 64
)

// inARow measures how much later the second of two small messages comes to whoever
// publishes both. It is nothing to speak of, unless the broker leaves Nagle's
// algorithm on: then the second waits until TCP has the first acknowledged, which
// takes 40 ms where there is nothing to say meanwhile, as at QoS 0.
func (e *exam) inARow(ctx context.Context) error {
	topic := e.own.Status()
	both, codes, err := e.subscriber(ctx, link.Filter{Topic: topic})
	if err != nil {
		return unlessSilent(ctx, err)
	}
	defer both.Close()
	if codes[0] == deniedCode {
		return nil
	}
	m := link.Message{Topic: topic, Payload: filler(pairBytes)}
	var later []float64
	for range pairs {
		var first, second time.Time
		ok, err := soon(ctx, e.patience(), func(ctx context.Context) error {
			if _, err := both.Publish(ctx, 1, m, m); err != nil {
				return err
			}
			if _, err := both.Receive(ctx); err != nil {
				return err
			}
			first = time.Now()
			_, err := both.Receive(ctx)
			second = time.Now()
			return err
		})
		if err != nil || !ok { // a broker may drop what has QoS 0
			return err
		}
		later = append(later, float64(second.Sub(first).Microseconds())/1000)
	}
	later = later[pairs/2:]
	slices.Sort(later)
	e.report.InARowMS = later[len(later)/2]
	return nil
}

// holdsBack reports whether what is small waits at the broker for something else than
// the line: on a thin one the second message is late because of its own bytes.
func (r *Report) holdsBack() bool { return r.InARowMS >= max(5, r.RoundTripMS/2) }
