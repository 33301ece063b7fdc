package owner

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/wire"
)

const (
	maxClaims = 1 << 14
	// mostClaimed bounds what a claim may say: no task has so many epochs or rounds,
	// and adopting a higher one could leave no number above it.
	mostClaimed = 1 << 53
)

// orderShown takes an own order that is not the one on the disk: before the start
// the highest is remembered, afterwards a higher one of another process fences.
func (t *Task) orderShown(ev OrderShown) {
	if !t.begun {
		if s := t.shown; ev.Epoch > s.Epoch || ev.Epoch == s.Epoch && ev.Round > s.Round {
			t.shown = ev.Shown
		}
		return
	}
	if ev.Epoch > t.state.Epoch || ev.Epoch == t.state.Epoch && bytes.Compare(ev.Instance[:], t.m.cfg.Instance[:]) > 0 {
		t.feed(round.Fenced{Epoch: ev.Epoch, Instance: ev.Instance})
		if t.stop == nil {
			t.stop = &Stop{Fenced: ev.Epoch, Disk: t.state.Stamp()}
		}
	}
}

// later reports an own order on the broker that the disk cannot know of: only a
// restored backup explains it, since every order is on disk before it is published.
func (t *Task) later() bool {
	return t.shown.Round > t.state.Round || t.shown.Round == t.state.Round && t.shown.Base != t.state.Base
}

// join passes a join on, and what it claims.
func (t *Task) join(ev Join) {
	claims := t.claim(ev.Member, ev.Seen)
	t.feed(ev.Join)
	if claims {
		t.heed()
	}
}

// beyond reports whether an order is beyond what the task has on disk.
func (t *Task) beyond(o wire.Stamp) bool { return o.Epoch > t.state.Epoch || o.Round > t.state.Round }

// claim notes what a member's join says that it has seen. It is a claim, not a
// proof: it stops a task only when those who do not make one are fewer than the
// quorum, so that no single member can stop the others.
func (t *Task) claim(member string, seen wire.Stamp) bool {
	if !t.beyond(seen) || seen.Epoch >= mostClaimed || seen.Round >= mostClaimed {
		delete(t.claims, member)
		return false
	}
	t.say(Claims{member, seen})
	if len(t.claims) >= maxClaims {
		return false
	}
	t.claims[member] = seen
	return true
}

// heed ends the task when what members claim outweighs those who obey.
func (t *Task) heed() {
	obeying := t.obeying()
	if !t.m.cfg.Heeds || len(t.claims) == 0 || obeying >= t.round.Quorum() {
		return
	}
	all := append(slices.Collect(maps.Values(t.claims)), t.shown.Stamp)
	high := slices.MaxFunc(all, furthest)
	for _, o := range all {
		high.Epoch = max(high.Epoch, o.Epoch)
	}
	t.end(high, slices.Sorted(maps.Keys(t.claims)))
}

// end stops the task: more was seen than the disk knows.
func (t *Task) end(seen wire.Stamp, who []string) {
	t.stop = &Stop{Seen: seen, Who: who, Disk: t.state.Stamp(), Shown: t.shown, Later: t.later()}
}

// furthest orders stamps by round first.
func furthest(a, b wire.Stamp) int { return cmp.Or(cmp.Compare(a.Round, b.Round), a.Compare(b)) }

// obeying counts the members that have not claimed to have seen more.
func (t *Task) obeying() int {
	maps.DeleteFunc(t.claims, func(_ string, seen wire.Stamp) bool { return !t.beyond(seen) })
	n := 0
	for _, m := range t.round.Members() {
		if _, claims := t.claims[m.Path]; !claims && !m.Left {
			n++
		}
	}
	return n
}
