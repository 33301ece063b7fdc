package broker

import "time"

// What a client sends beside messages, and acknowledgements of those it got, serves
// nobody: 20 connections that send PINGREQ as fast as they can keep both cores of a
// small machine from everybody else's messages.

const (
	paceUnit  = time.Millisecond // for a PINGREQ, a filter, an acknowledgement of nothing, a KiB of empty frames
	paceBurst = time.Second      // worth of units without a wait
)

// pace is when what a client has sent is paid for.
type pace struct{ due time.Time }

// charge counts n units, and returns how long the client has to wait for its next.
func (p *pace) charge(n int, now time.Time) time.Duration {
	if least := now.Add(-paceBurst); p.due.Before(least) {
		p.due = least
	}
	p.due = p.due.Add(time.Duration(n) * paceUnit)
	return max(0, p.due.Sub(now))
}
