package transfer

import "slices"

// A place is lent for a pace (TR-31, TR-32).
const (
	paceAfter ms = 10_000 // in its place, before an upload is measured
	paceEvery ms = 1_000  // between two looks, while others wait
	pacesKept    = 64     // of uploads that came complete
	paceShare    = 10     // of the median is too slow
)

// queue puts an upload that waits into the list, and returns how many come before
// it.
func (r *Receiver) queue(u *upload) int {
	at := len(r.list)
	for at > r.cfg.Uploads && r.list[at-1].rank() > u.rank() {
		at--
	}
	r.list = slices.Insert(r.list, at, u)
	return at
}

// rank is who goes first: who was counted before, others, and last who gave a place
// up (TR-32).
func (u *upload) rank() int {
	switch {
	case u.slow:
		return 2
	case u.Counted:
		return 0
	}
	return 1
}

// push makes room for an offer of a member that was counted before where too many
// are known: those that never were, and came last, are forgotten.
func (r *Receiver) push(u *upload) {
	for len(r.list) > r.cfg.Uploads && (len(r.list) >= r.cfg.Offers || r.waiting+len(u.Blob.Hashes) > waitBytes) {
		last := r.list[len(r.list)-1]
		if last.rank() == 0 {
			return
		}
		r.remove(last, false)
	}
}

// makeRoom takes places for those that wait: of members never counted for those
// that were, and of uploads that are too slow, the slowest first.
func (r *Receiver) makeRoom() {
	for r.waits() {
		if u := r.stranger(); u != nil {
			r.giveUp(u)
			continue
		}
		u := r.slowest()
		if u == nil {
			return
		}
		u.slow = true
		r.giveUp(u)
	}
}

// waits reports whether somebody waits who did not give up a place for its pace.
func (r *Receiver) waits() bool {
	return len(r.list) > r.cfg.Uploads && slices.ContainsFunc(r.list[r.cfg.Uploads:], func(u *upload) bool { return !u.slow })
}

// stranger is who came last of the admitted that never were counted, if one waits
// that was (TR-32).
func (r *Receiver) stranger() *upload {
	if r.list[r.cfg.Uploads].rank() > 0 {
		return nil
	}
	for _, u := range slices.Backward(r.admitted()) {
		if !u.Counted && u.left > 0 {
			return u
		}
	}
	return nil
}

// slowest is the slowest of the admitted that are too slow, nil without one.
func (r *Receiver) slowest() (slowest *upload) {
	median := r.median()
	for _, u := range r.admitted() {
		if u.tooSlow(r.now, median) && (slowest == nil || u.pace(r.now) < slowest.pace(r.now)) {
			slowest = u
		}
	}
	return slowest
}

// had is how long it has had its place, but for the time in which it waits for its turn.
func (u *upload) had(now ms) ms {
	if u.paused > 0 {
		now = u.paused
	}
	return now - u.since
}

// pace is how fast an upload comes, in bytes a millisecond. The part that is on
// its way counts, so that a thin line is not measured between two parts.
func (u *upload) pace(now ms) float64 {
	came := min((int(u.count)-u.left+1)*int(u.Blob.Data)-u.filled, u.travels())
	return float64(came) / float64(max(u.had(now), 1))
}

// tooSlow reports whether an upload is slower than its deadline needs, and than a
// tenth of the median of those that came complete, or has had its place for as
// long as the deadline (TR-31).
func (u *upload) tooSlow(now ms, median float64) bool {
	had := u.had(now)
	if u.Within <= 0 || u.left == 0 || had < paceAfter {
		return false
	}
	pace := u.pace(now)
	return pace < float64(u.travels())/float64(u.Within) && (pace < median/paceShare || had >= u.Within)
}

// paced remembers how fast an upload came that is complete.
func (r *Receiver) paced(u *upload) {
	if len(r.paces) == pacesKept {
		r.paces = slices.Delete(r.paces, 0, 1)
	}
	r.paces = append(r.paces, float64(u.travels())/float64(max(u.had(r.now), 1)))
}

// median is that of the paces remembered, 0 without any.
func (r *Receiver) median() float64 {
	if len(r.paces) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(r.paces))
	return s[len(s)/2]
}

// looks is when the places are to be looked at again, 0 while nobody waits.
func (r *Receiver) looks() ms {
	if !r.waits() || !slices.ContainsFunc(r.admitted(), func(u *upload) bool { return u.Within > 0 }) {
		return 0
	}
	return r.now + paceEvery
}
