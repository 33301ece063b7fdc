package site

import (
	"slices"

	"github.com/fedmq/fedmq/wire"
)

// lateOnly are the refusals of an update that is as good as any: it came too late, or was
// not asked for. They are in the status.
var lateOnly = []string{"stale_round", "not_in_cohort", "future_round", "unknown_member"}

// refusedUpdate logs that the aggregator takes no update of this site as it is: once for a
// reason, until one counts.
func (s *site) refusedUpdate(t *task, r wire.RefusalReply) {
	if r.Content.IsZero() || r.Reason == t.refused || slices.Contains(lateOnly, r.Reason) {
		return
	}
	t.refused = r.Reason
	s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", r.Round).Str("reason", r.Reason).Str("detail", clip(r.Detail)).
		Msg("the aggregator has refused this site's update")
}
