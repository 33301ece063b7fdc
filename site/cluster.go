package site

import (
	"context"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/link"
)

// oneCluster refuses addresses of the broker that are not those of one cluster: what
// is said at one would never be heard at the other.
func (s *site) oneCluster(ctx context.Context) error {
	t := s.tasks[0]
	proven, err := s.conn.Prove(ctx, link.Proof{Said: t.member.Status(), Seen: t.owner.State(), Known: s.knows})
	if err == nil && !proven && ctx.Err() == nil {
		s.cfg.Log.Warn().Str("broker", link.Shown(s.cfg.Broker)).Msg("that these addresses are one cluster is not proven: some do not answer, or this user may not read what tells; those are used only once they show the aggregator that was heard at the others")
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of Run
	}
	return err
}

// knows tells whether a presence is that of the aggregator which was heard last.
func (s *site) knows(payload []byte) bool {
	var p presence
	last := s.lastOwner.Load()
	return last != nil && len(payload) <= maxState && json.Unmarshal(payload, &p) == nil && p.Instance != "" && p.Instance == *last
}
