package transfer

import "github.com/fedmq/fedmq/wire"

// Times of a mender (TR-51, TR-52, TR-57).
const (
	mendFast   ms = 500   // from a publish to its PUBACK
	mendSlow   ms = 4_000 // the same
	mendPause  ms = 2_000 // between two times that one part is mended
	retryPause ms = 1_000 // after a publish that failed

	flights = 8 // in which a member may have one model published again (TR-58)
)

// Mender publishes the parts of one blob on its slot: all of them at first and
// after a reconnect, and those that members need (TR-50 and up). It starts
// disconnected.
type Mender struct {
	now       ms
	connected bool
	key       wire.BlobKey
	count     uint32

	due     bitmap // owed
	flying  bitmap
	nFlying int
	acked   bitmap // since All
	nAcked  int
	whole   bool   // Done was said, or All never called
	last    []ms   // when each part was handed out
	needed  bitmap // of due, for members' sake
	since   ms     // All
	flight  ms     // from All to the last acknowledgement; 0: not known
	members map[string]*allowance
	pause   ms  // nothing is handed out before
	window  int // parts in flight at most
	changed ms  // when the window last changed
}

// MendReady is what a Mender owes.
type MendReady struct {
	Publish []uint32 // parts to publish, retained; at most 8 are in flight, on a thin line one
	Needed  []uint32 // those of them that members asked for
	Done    bool     // every part has been acknowledged since All; said once
	Wake    int64    // when the next Tick is wanted, 0 for never
}

// NewMender returns a mender without a blob.
func NewMender() *Mender {
	return &Mender{whole: true, window: 1, members: map[string]*allowance{}}
}

// Next returns a mender for the next model. What members have had counts on, and what the
// line has shown.
func (m *Mender) Next() *Mender {
	next := NewMender()
	next.members, next.connected, next.window, next.changed = m.members, m.connected, m.window, m.changed
	return next
}

// Swift reports whether as many parts may be in flight as ever (TR-57).
func (m *Mender) Swift() bool { return m.connected && m.window == inFlight }

// allowance is what a member may still have published again, in models.
type allowance struct {
	left float64
	at   ms
}

// Hold sets the blob, and forgets what was owed of another. The same blob
// changes nothing.
func (m *Mender) Hold(blob wire.Blob) {
	key, n := blob.Key(), blob.Count()
	if m.count > 0 && key == m.key {
		return
	}
	*m = Mender{
		now: m.now, connected: m.connected, window: m.window, changed: m.changed, key: key, count: uint32(n), // at most topics.MaxParts
		members: m.members, due: newBitmap(n), needed: newBitmap(n), flying: newBitmap(n), acked: newBitmap(n), last: make([]ms, n), whole: true,
	}
}

// All owes every part once more.
func (m *Mender) All(now int64) {
	m.time(now)
	for i := range m.count {
		m.due.add(i)
	}
	clear(m.acked)
	clear(m.needed)
	m.nAcked, m.whole, m.since = 0, m.count == 0, m.now
}

// Need takes what a member asked for. Parts of another blob are not mended, nor
// those that may be on their way still (TR-51), nor more than a member's share
// (TR-58).
func (m *Mender) Need(now int64, member string, n wire.Need) {
	m.time(now)
	if m.count == 0 || n.Blob != m.key {
		return
	}
	share, part := m.share(member), 1/float64(m.count)
	for _, r := range n.Ranges {
		for i, end := r.First, clip(r, m.count); i < end && share.left >= part; i++ {
			if m.due.has(i) || m.flying.has(i) || m.fresh(i) {
				continue
			}
			m.due.add(i)
			m.needed.add(i)
			share.left -= part
		}
	}
}

// fresh reports whether a part was published within the time that the model needs
// to cross the line, two seconds at least.
func (m *Mender) fresh(i uint32) bool {
	return m.last[i] > 0 && (!m.whole || m.now-m.last[i] < max(m.flight, mendPause))
}

// share is what a member may have published again: one model at first, and one
// more in eight times the time that it needs.
func (m *Mender) share(member string) *allowance {
	a := m.members[member]
	if a == nil {
		a = &allowance{left: 1, at: m.now}
		m.members[member] = a
	}
	a.left = min(1, a.left+float64(m.now-a.at)/float64(flights*max(m.flight, mendPause)))
	a.at = m.now
	return a
}

// Sent reports what came of publishing a part; what failed is owed again, a
// second later (TR-52).
func (m *Mender) Sent(now int64, index uint32, ok bool) {
	m.time(now)
	if index >= m.count || !m.flying.has(index) {
		return
	}
	m.flying.del(index)
	m.nFlying--
	if !ok {
		m.due.add(index)
		m.pause = m.now + retryPause
		m.widen(m.window/2, m.last[index])
		return
	}
	m.measure(m.last[index])
	if !m.due.has(index) && !m.acked.has(index) { // not of before All
		m.acked.add(index)
		m.nAcked++
	}
}

// measure sets the window by a part that was handed out at a time (TR-57).
func (m *Mender) measure(at ms) {
	switch took := m.now - at; {
	case took <= mendFast:
		m.widen(2*m.window, at)
	case took <= mendSlow:
		m.widen(m.window+1, at)
	default:
		m.widen(m.window/2, at)
	}
}

// widen sets the window, once for all parts that were handed out before.
func (m *Mender) widen(parts int, at ms) {
	if at >= m.changed {
		m.window, m.changed = min(max(parts, 1), inFlight), m.now
	}
}

// Connected says that the link is up.
func (m *Mender) Connected(now int64) {
	m.time(now)
	m.connected, m.pause = true, 0
	m.window, m.changed = 1, m.now
}

// Disconnected says that the link is down: what was in flight is owed again.
func (m *Mender) Disconnected(now int64) {
	m.time(now)
	m.connected = false
	for i := range m.count {
		if m.flying.has(i) {
			m.due.add(i)
		}
	}
	clear(m.flying)
	m.nFlying = 0
}

// Tick passes the time.
func (m *Mender) Tick(now int64) { m.time(now) }

// Ready returns what is owed since the last call.
func (m *Mender) Ready() MendReady {
	var rd MendReady
	owed := m.due.count() > 0
	if m.connected && owed {
		if m.now < m.pause {
			rd.Wake = m.pause
			return rd
		}
		rd.Publish, rd.Needed = m.next()
	}
	if !m.whole && m.nAcked == int(m.count) {
		m.whole, rd.Done, m.flight = true, true, m.now-m.since
	}
	return rd
}

// next hands out parts in order of their index.
func (m *Mender) next() (list, needed []uint32) {
	for i := uint32(0); i < m.count && m.nFlying < m.window; i++ {
		if !m.due.has(i) || m.flying.has(i) {
			continue
		}
		if m.needed.has(i) {
			needed = append(needed, i)
			m.needed.del(i)
		}
		m.due.del(i)
		m.flying.add(i)
		m.nFlying++
		m.last[i] = m.now
		list = append(list, i)
	}
	return list, needed
}

// Progress returns how many parts have been acknowledged since All.
func (m *Mender) Progress() (done, count int) { return m.nAcked, int(m.count) }

func (m *Mender) time(now ms) { m.now = max(m.now, now) }
