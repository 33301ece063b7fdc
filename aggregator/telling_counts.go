package aggregator

import (
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
)

// count counts a refusal that nobody is proven to have earned.
func (t *telling) count(reason verdict.Reason) {
	if t.counts.refused == nil {
		t.counts.refused = map[string]int{}
	}
	t.counts.refused[reason.String()]++
	t.tally.refusal(reason.String())
	t.viewDue = true
}

// sent and received count payload bytes, for the next record and since the start.
func (t *telling) sent(n int) {
	t.counts.bytesDown += int64(n)
	t.tally.down += uint64(n) // a length
}

func (t *telling) received(n int) {
	t.counts.bytesUp += int64(n)
	t.tally.up += uint64(n) // a length
}

// traffic returns the payload bytes since the last record, up and down.
func (t *telling) traffic() (up, down int64) {
	up, down = t.counts.bytesUp, t.counts.bytesDown
	t.counts.bytesUp, t.counts.bytesDown = 0, 0
	return up, down
}

// refusal counts one refused message.
func (t *tally) refusal(reason string) {
	if t.refused == nil {
		t.refused = map[string]uint64{}
	}
	t.refused[reason]++
}

// noted counts a new record.
func (t *tally) noted(s summary) {
	switch {
	case s.Work == workInit, s.Verdict == record.Adopted: // no attempts
		return
	case s.Verdict == record.Committed:
		t.committed++
	default:
		t.abandoned++
	}
	t.seconds += max(s.Seconds, 0)
}
