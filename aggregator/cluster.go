package aggregator

import (
	"context"

	"github.com/fedmq/fedmq/internal/link"
)

// oneCluster refuses addresses of the broker that are not those of one cluster: what
// is said at one would never be heard at the other.
func (a *aggregator) oneCluster(ctx context.Context) error {
	proven, err := link.OneCluster(ctx, a.cfg.reach(a.log), a.self.State(), a.self.State())
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of Run
	}
	if err == nil && !proven {
		a.log.Warn().Str("broker", link.Shown(a.cfg.Broker)).Msg("that these addresses are one cluster is not proven: some do not answer, or this user may not read what it writes")
	}
	return err
}
