package site

import (
	"context"

	"github.com/fedmq/fedmq/internal/link"
)

// oneCluster refuses addresses of the broker that are not those of one cluster: what
// is said at one would never be heard at the other.
func (s *site) oneCluster(ctx context.Context) error {
	t := s.tasks[0]
	proven, err := link.OneCluster(ctx, s.cfg.reach(), t.member.Status(), t.owner.State())
	if err == nil && !proven && ctx.Err() == nil {
		s.cfg.Log.Warn().Str("broker", link.Shown(s.cfg.Broker)).Msg("that these addresses are one cluster is not proven: some do not answer, or this user may not read what tells")
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of Run
	}
	return err
}
