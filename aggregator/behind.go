package aggregator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/wire"
)

// behindError says what of a task has been seen that its disk does not know:
// only an older copy of the data directory explains it, as every order is on
// disk before it leaves.
type behindError struct {
	task *task
	seen wire.Stamp // the highest order seen
	who  string     // where
	disk wire.Stamp // what the task has on disk
}

func (e *behindError) Error() string {
	return fmt.Sprintf("%v: %s is epoch %d, round %d, attempt %d; on disk the task is at epoch %d, round %d. "+
		"The data directory is an older copy: restore the newer one, or go on above what was seen with --adopt-epoch",
		ErrBehind, e.who, e.seen.Epoch, e.seen.Round, e.seen.Attempt, e.disk.Epoch, e.disk.Round)
}

func (e *behindError) Unwrap() error { return ErrBehind }

// later reports whether an order is beyond what the task has on disk.
func (t *task) later(o wire.Stamp) bool { return o.Epoch > t.state.Epoch || o.Round > t.state.Round }

// behind reports what ends the task's work: the own order on the broker, once,
// and what joins claim, whenever one has come.
func (t *task) behind() error {
	own := t.shown.order.Stamp()
	if !t.begun {
		if t.seenLater() {
			return &behindError{t, own, "the task's own order on the broker", t.state.Stamp()}
		}
		t.begun = true
	}
	if !t.claimed {
		return nil
	}
	t.claimed = false
	obeying := t.obeying()
	if (t.a.cfg.Signer == nil && !t.a.cfg.AdoptEpoch) || len(t.claims) == 0 || obeying >= t.cfg.Quorum {
		return nil
	}
	all := append(slices.Collect(maps.Values(t.claims)), own)
	high := slices.MaxFunc(all, furthest)
	for _, o := range all {
		high.Epoch = max(high.Epoch, o.Epoch)
	}
	who := fmt.Sprintf("the highest order that %s claim to have seen", someOf(t.claims))
	return &behindError{t, high, who, t.state.Stamp()}
}

// furthest orders stamps by round first.
func furthest(a, b wire.Stamp) int { return cmp.Or(cmp.Compare(a.Round, b.Round), a.Compare(b)) }

// someOf names the first few members of a set of claims.
func someOf(claims map[string]wire.Stamp) string {
	paths := slices.Sorted(maps.Keys(claims))
	if n := len(paths); n > 5 {
		return fmt.Sprintf("%s and %d others", strings.Join(paths[:5], ", "), n-5)
	}
	return strings.Join(paths, ", ")
}

// mostClaimed bounds what a claim may say: no task has so many epochs or
// rounds, and adopting a higher one could leave no number above it.
const mostClaimed = 1 << 53

// claim notes what a member's join says that it has seen. It is a claim, not a
// proof: it stops a task only when those who do not make one are fewer than
// the quorum, so that no single member can stop the others.
func (t *task) claim(path string, j wire.Join) {
	seen := wire.Stamp{Epoch: j.SeenEpoch, Round: j.SeenRound, Attempt: j.SeenAttempt}
	if !t.later(seen) || j.SeenEpoch >= mostClaimed || j.SeenRound >= mostClaimed {
		delete(t.claims, path)
		return
	}
	if t.mayLog() {
		t.log.Warn().Str("member", path).Uint64("seen_epoch", seen.Epoch).Uint64("seen_round", seen.Round).
			Uint64("epoch", t.state.Epoch).Uint64("round", t.state.Round).
			Msg("a member has seen a later order and will not obey: is this data directory an old copy?")
	}
	if t.claims == nil {
		t.claims = map[string]wire.Stamp{}
	}
	if len(t.claims) < maxMembers {
		t.claims[path], t.claimed = seen, true
	}
}

// obeying counts the members that have not claimed to have seen more.
func (t *task) obeying() int {
	maps.DeleteFunc(t.claims, func(_ string, seen wire.Stamp) bool { return !t.later(seen) })
	n := 0
	for _, m := range t.machine.Members() {
		if _, claims := t.claims[m.Path]; !claims && !m.Left {
			n++
		}
	}
	return n
}
