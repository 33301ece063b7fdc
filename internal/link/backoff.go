package link

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"
)

// Numbers of the back-off (C-9, C-14).
const (
	minSpread   = 5 * time.Second
	minWait     = 250 * time.Millisecond // mochi takes an id's new subscriptions away while the old connection still ends
	perMember   = 5 * time.Millisecond
	maxInterval = 30 * time.Second
	shortLife   = 10 * time.Second // a link that ends sooner ended right after CONNECT
	takeoverWin = 60 * time.Second
	takeoverSay = 2 // short lives within takeoverWin: id in use?
	takeoverMax = 5 // more than this: one of the two gives way
	maxTakeover = 5 * time.Minute
)

// backoff decides how long to wait before the next CONNECT.
type backoff struct {
	members atomic.Int64   // that share the broker
	jitter  func() float64 // in [0, 1)

	fails int         // attempts failed in a row
	quick []time.Time // ends of short lives within takeoverWin
	taken int         // short lives since the client id looks taken
}

func newBackoff() *backoff { return &backoff{jitter: random} }

// spread is what the reconnects of all parties are spread over.
func (b *backoff) spread() time.Duration {
	return max(minSpread, time.Duration(b.members.Load())*perMember)
}

// failed returns the wait after an attempt that brought no CONNACK: uniform
// over the spread at first, then the upper half of a window that doubles to
// 30 s (or the spread, if that is longer).
func (b *backoff) failed() time.Duration {
	b.fails++
	spread := b.spread()
	if b.fails == 1 {
		return b.part(0, spread)
	}
	limit := max(maxInterval, spread)
	window := min(spread<<min(b.fails-1, 10), limit)
	return b.part(window/2, window)
}

// lost returns the wait after the loss of a link that lived for some time, and
// whether the client id looks taken (C-14). It is said at the second loss; after
// some more the wait doubles from half a minute on, so that one of the two gives
// way. blamed: the loss has another known explanation.
func (b *backoff) lost(now time.Time, lived time.Duration, blamed bool) (wait time.Duration, inUse bool) {
	b.fails = 0
	b.quick = slices.DeleteFunc(b.quick, func(t time.Time) bool { return now.Sub(t) >= takeoverWin })
	if lived >= takeoverWin {
		b.taken = 0
	}
	if lived >= shortLife || blamed {
		return b.part(minWait, b.spread()), false
	}
	b.quick = append(b.quick, now)
	if b.taken == 0 && len(b.quick) <= takeoverMax {
		return b.part(minWait, b.spread()), len(b.quick) >= takeoverSay
	}
	window := min(maxInterval<<min(b.taken, 10), maxTakeover)
	b.taken++
	return b.part(window, 2*window), true
}

func (b *backoff) part(from, to time.Duration) time.Duration {
	return from + time.Duration(b.jitter()*float64(to-from))
}

// random returns a uniform number in [0, 1).
func random() float64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return float64(binary.LittleEndian.Uint64(b[:])>>11) / (1 << 53)
}
