package transfer

import "github.com/fedmq/fedmq/wire"

// inFlight is how many parts of a sender or a mender are published and not
// acknowledged (TR-42).
const inFlight = 8

// Sender sends the parts of one offered blob as they are granted (TR-40 and
// up).
type Sender struct {
	key   wire.BlobKey
	count uint32

	epoch, seq uint64 // of the last grant that counted
	queue      bitmap // granted, not handed out
	flying     bitmap // handed out, not answered
	nFlying    int
	sent       bitmap // acknowledged at least once
	nSent      int
}

// NewSender returns a sender without a grant.
func NewSender(blob wire.Blob) *Sender {
	n := blob.Count()
	return &Sender{
		key: blob.Key(), count: uint32(n), // at most topics.MaxParts
		queue: newBitmap(n), flying: newBitmap(n), sent: newBitmap(n),
	}
}

// Grant takes a grant of an aggregator's epoch for the round of this upload.
// It counts if it names this blob and comes after the last one by (epoch,
// seq); ok says so (TR-40). Parts beyond the blob, and those in the queue or
// in flight, are skipped.
func (s *Sender) Grant(_ int64, epoch uint64, g wire.Grant) (ok bool) {
	if g.Blob != s.key || epoch < s.epoch || epoch == s.epoch && g.Seq <= s.seq {
		return false
	}
	s.epoch, s.seq = epoch, g.Seq
	for _, r := range g.Ranges {
		for i, end := r.First, clip(r, s.count); i < end; i++ {
			if !s.flying.has(i) {
				s.queue.add(i)
			}
		}
	}
	return true
}

// Sent reports what came of publishing a part: ok once the broker has
// acknowledged it. What failed is not sent again before it is granted again
// (TR-41).
func (s *Sender) Sent(_ int64, index uint32, ok bool) {
	if index >= s.count || !s.flying.has(index) {
		return
	}
	s.flying.del(index)
	s.nFlying--
	if ok && !s.sent.has(index) {
		s.sent.add(index)
		s.nSent++
	}
}

// Disconnected drops what is granted; the aggregator grants again when the
// offer is repeated (TR-43).
func (s *Sender) Disconnected() {
	clear(s.queue)
	clear(s.flying)
	s.nFlying = 0
}

// Ready returns the parts to publish now, at most 8 are in flight; each is
// answered by Sent, or by Disconnected for all.
func (s *Sender) Ready() []uint32 { return s.Next(inFlight) }

// Next is Ready for at most so many parts (TR-44).
func (s *Sender) Next(most int) (next []uint32) {
	for i := uint32(0); s.nFlying < inFlight && len(next) < most; i++ {
		if i = s.first(i); i == s.count {
			break
		}
		s.queue.del(i)
		s.flying.add(i)
		s.nFlying++
		next = append(next, i)
	}
	return next
}

// Held reports whether a part could be published now that Next did not return.
func (s *Sender) Held() bool { return s.nFlying < inFlight && s.first(0) < s.count }

// first returns the first queued part from i on, count if there is none.
func (s *Sender) first(i uint32) uint32 {
	for i < s.count && !s.queue.has(i) {
		i++
	}
	return min(i, s.count)
}

// Progress returns how many parts the broker has acknowledged at least once.
func (s *Sender) Progress() (sent, count int) { return s.nSent, int(s.count) }
