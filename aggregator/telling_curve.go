package aggregator

import (
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

const curveEvery = 10 * time.Second // between two publications of the curve

// curveDue is when the curve wants to be published, 0 for never. It is not more
// often than every 10 s, but at once when the task halts.
func (t *telling) curveDue() int64 {
	switch {
	case !t.curve.due || !t.by.connected():
		return 0
	case t.of.current().Phase == round.Halted:
		return 1
	}
	return t.curve.at + curveEvery.Milliseconds()
}

func (t *telling) publishCurve(c *curve, now int64) {
	if at := t.curveDue(); at == 0 || now < at || c.last == nil {
		return
	}
	t.curve.due, t.curve.at = false, now
	t.by.post(link.Message{Topic: t.topics.History(), Payload: c.history(t.task, now), QoS: 1, Retained: true})
}
