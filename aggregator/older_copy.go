package aggregator

import (
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/owner"
)

// behindError says what of a task has been seen that its disk does not know:
// only an older copy of the data directory explains it, as every order is on
// disk before it leaves.
type behindError struct {
	task *task
	stop *owner.Stop
}

func (e *behindError) Error() string {
	return fmt.Sprintf("%v: %s is epoch %d, round %d, attempt %d; on disk the task is at epoch %d, round %d. "+
		"The data directory is an older copy: restore the newer one, or go on above what was seen with --adopt-epoch",
		ErrBehind, e.who(), e.stop.Seen.Epoch, e.stop.Seen.Round, e.stop.Seen.Attempt, e.stop.Disk.Epoch, e.stop.Disk.Round)
}

func (e *behindError) Unwrap() error { return ErrBehind }

// who says where the highest order was seen, and names the first few members that
// claim it.
func (e *behindError) who() string {
	paths := e.stop.Who
	if len(paths) == 0 {
		return "the task's own order on the broker"
	}
	some := strings.Join(paths[:min(len(paths), 5)], ", ")
	if n := len(paths) - 5; n > 0 {
		some += fmt.Sprintf(" and %d others", n)
	}
	return fmt.Sprintf("the highest order that %s claim to have seen", some)
}

// stopped is the error of a task that cannot go on.
func (t *task) stopped(s *owner.Stop) error {
	if s.Fenced > 0 {
		return fmt.Errorf("%w: its order has epoch %d, this process has %d", ErrFenced, s.Fenced, s.Disk.Epoch)
	}
	return &behindError{t, s}
}

// claims tells of a member that will not obey.
func (t *task) claims(m owner.Claims) {
	if t.mayLog() {
		t.log.Warn().Str("member", m.Member).Uint64("seen_epoch", m.Seen.Epoch).Uint64("seen_round", m.Seen.Round).
			Uint64("epoch", t.state.Epoch).Uint64("round", t.state.Round).
			Msg("a member has seen a later order and will not obey: is this data directory an old copy?")
	}
}
