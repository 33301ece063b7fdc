package transfer

import (
	"slices"

	"github.com/fedmq/fedmq/wire"
)

// Bounds of one upload (TR-23 to TR-27).
const (
	windowMost     = 32 // parts of one upload outstanding
	windowQuick    = 64 // the same, while its line is fast
	rangeMost      = 16 // parts of one range
	grantQuick  ms = 100
	grantFast   ms = 500
	grantSlow   ms = 4_000
	expiry      ms = 20_000
	expiryMost  ms = 300_000
	recallMin   ms = 1_000 // from a grant to a repeated offer that counts
	patienceOf     = 3     // grants in a row that may expire while others wait
)

// upload is an offer with what has come of it.
type upload struct {
	Upload
	blob  wire.BlobKey
	count uint32
	have  bitmap // nil while it waits
	proof leaves // of the parts that are there
	left  int    // parts that are not there
	place bool   // admitted

	fill   []Same // what its place is to be filled with, once that is known
	filled int    // bytes that this is

	out     []span // outstanding, in order of their grants
	owed    bitmap // parts in out
	nOwed   int
	again   bitmap // parts that were granted before and did not come
	window  int
	changed ms   // when the window last changed
	expired int  // times in a row
	took    ms   // the last range
	granted ms   // the last grant
	share   int  // of the budget, as it was last given out
	since   ms   // it has its place
	paused  ms   // since when it waits for its turn; 0: it does not
	slow    bool // it gave its place up for its pace (TR-31)
	recall  ms   // a repeated offer counts from here on, 0 for none
}

// span is one range of a grant.
type span struct {
	first, n uint32
	left     int // parts that have not come
	granted  ms
	last     ms // when a part of it last came, or granted
	again    bool
	lone     bool // the one part that an upload may always have
}

// serve takes over what came of the member's offer before, for the same round (TR-73).
func (u *upload) serve(old *upload) {
	if !u.Keep || u.Whole || old.Whole || !old.place || old.Round != u.Round {
		return
	}
	u.have, u.proof = newBitmap(u.Blob.Count()), newLeaves(u.Blob)
	u.fill = append(zeros(u.Blob, u.have), copies(u.Blob, old.Blob, old.have, u.have)...)
	u.proof.take(old.proof, u.fill)
}

// admit gives it a place, and returns what that is filled with (TR-72).
func (u *upload) admit(now ms) (fill []Same) {
	n := u.Blob.Count()
	if u.have == nil {
		u.have, u.proof = newBitmap(n), newLeaves(u.Blob)
		if !u.Whole {
			u.fill = zeros(u.Blob, u.have)
			u.proof.take(leaves{}, u.fill)
		}
	}
	u.place, u.owed, u.again = true, newBitmap(n), newBitmap(n)
	u.filled, fill, u.fill = 0, u.fill, nil
	for _, s := range fill {
		u.filled += s.N
	}
	u.left, u.since = n-u.have.count(), now
	u.begin(now)
	return fill
}

// travels is how many bytes of it come over the link.
func (u *upload) travels() int { return int(u.Blob.Length) - u.filled } // the schema's size

// wait is the opposite of admit: what came is forgotten.
func (u *upload) wait() {
	u.place, u.have, u.proof, u.owed, u.again = false, nil, leaves{}, nil, nil
	u.paused = 0
}

// begin starts with a window of one part.
func (u *upload) begin(now ms) {
	u.window, u.changed = 1, now
	u.expired, u.took, u.recall = 0, 0, 0
}

// drop takes back everything outstanding and returns how many parts it was.
// They may still come.
func (u *upload) drop() (parts int) {
	for i, w := range u.owed {
		u.again[i] |= w
	}
	clear(u.owed)
	parts, u.out, u.nOwed = u.nOwed, nil, 0
	return parts
}

// bound is how many of its parts outstanding are under the budget: all but the one that it
// may always have (TR-25).
func (u *upload) bound() int {
	n := u.nOwed
	for _, s := range u.out {
		if s.lone {
			n -= s.left
		}
	}
	return n
}

// wants returns how many parts to grant, of at most room under the budget
// (TR-22 to TR-24).
func (u *upload) wants(room int) int {
	n := u.todo()
	if n == 0 {
		return 0
	}
	n = min(n, room)
	if u.nOwed == 0 {
		return max(n, 1)
	}
	if n < min((u.most()+1)/2, u.left-u.nOwed) {
		return 0 // half a window at once, not a message for each part
	}
	return n
}

// most is how many parts of it may be outstanding.
func (u *upload) most() int { return min(u.window, u.share) }

// todo is how many of them are not.
func (u *upload) todo() int { return max(min(u.most(), u.left)-u.nOwed, 0) }

// grant takes n missing parts, in ranges.
func (u *upload) grant(now ms, n int) []wire.Range {
	lone := n == 1 && u.nOwed == 0
	var list []wire.Range
	for i := free(0, u.count, u.have, u.owed); n > 0 && i < u.count; i = free(i, u.count, u.have, u.owed) {
		s := span{first: i, granted: now, last: now, lone: lone}
		for ; n > 0 && s.left < rangeMost && i < u.count && !u.have.has(i) && !u.owed.has(i); i++ {
			u.owed.add(i)
			s.again = s.again || u.again.has(i)
			s.left++
			n--
		}
		s.n = i - s.first
		u.nOwed += s.left
		u.out = append(u.out, s)
		list = append(list, wire.Range{First: s.first, N: s.n})
	}
	u.granted = now
	return list
}

// came notes a part that was outstanding, and reports whether it completed its
// range.
func (u *upload) came(now ms, i uint32) bool {
	u.owed.del(i)
	u.again.del(i)
	u.nOwed--
	at := slices.IndexFunc(u.out, func(s span) bool { return s.first <= i && i < s.first+s.n })
	s := &u.out[at]
	s.last, u.expired = now, 0
	if s.left--; s.left > 0 {
		return false
	}
	done := *s
	u.out = slices.Delete(u.out, at, at+1)
	u.measure(now, done)
	return true
}

// measure sets window and expiry by a range that is complete (TR-23, TR-26).
// One whose parts were granted before shows how slow the link is, never how
// fast: they may have been on their way.
func (u *upload) measure(now ms, s span) {
	u.took = now - s.granted
	if s.granted < u.changed {
		return // of an earlier window
	}
	switch {
	case u.took > grantSlow:
		u.window = max(u.window/2, 1)
	case s.again:
	case u.took <= grantQuick:
		u.window = min(2*u.window, windowQuick)
	case u.took <= grantFast:
		u.window = min(2*u.window, windowMost)
	default:
		u.window = min(u.window+1, windowMost)
	}
	u.changed = now
}

// patience is how long after its last part a range expires (TR-26): longer and
// longer for a sender that brings nothing. queue is what the link needs for all that
// is outstanding.
func (u *upload) patience(queue ms) ms {
	d := max(expiry, 4*u.took, queue)
	for range u.expired - (patienceOf - 1) {
		d = min(2*d, expiryMost)
	}
	return min(d, expiryMost)
}

// expire takes back the ranges whose time is over. It returns their parts, and
// when the latest of them was granted, lone parts not counted. What was granted
// before the last change tells nothing new about the window.
func (u *upload) expire(now, queue ms) (parts int, granted ms) {
	granted = -1
	latest := ms(-1)
	patience := u.patience(queue)
	u.out = slices.DeleteFunc(u.out, func(s span) bool {
		if now < s.last+patience {
			return false
		}
		for i := s.first; i < s.first+s.n; i++ {
			if u.owed.has(i) {
				u.owed.del(i)
				u.again.add(i)
			}
		}
		u.nOwed -= s.left
		parts += s.left
		latest = max(latest, s.granted)
		if !s.lone {
			granted = max(granted, s.granted)
		}
		return true
	})
	if parts > 0 && latest >= u.changed {
		u.window, u.changed = max(u.window/2, 1), now
		u.expired++
	}
	return parts, granted
}

// wake returns when something of the upload is due, 0 for never.
func (u *upload) wake(queue ms) ms {
	at := u.recall
	if u.paused > 0 && (at == 0 || u.granted+turnLast < at) {
		at = u.granted + turnLast
	}
	for _, s := range u.out {
		if t := s.last + u.patience(queue); at == 0 || t < at {
			at = t
		}
	}
	return at
}
