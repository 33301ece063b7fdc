package aggregator

import (
	"context"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
)

// oneCluster refuses addresses of the broker that are not those of one cluster: what
// is said at one would never be heard at the other.
func (a *aggregator) oneCluster(ctx context.Context) error {
	proven, err := a.conn.Prove(ctx, link.Proof{Said: a.self.State(), Seen: a.self.State(), Known: a.isOwn})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of Run
	}
	if err == nil && !proven {
		a.log.Warn().Str("broker", link.Shown(a.cfg.Broker)).Msg("that these addresses are one cluster is not proven: some do not answer, or this user may not read what it writes; those are used only once they show this aggregator's presence")
	}
	return err
}

// isOwn tells whether a presence is of this process.
func (a *aggregator) isOwn(payload []byte) bool {
	var v view.State
	return json.Unmarshal(payload, &v) == nil && v.Instance == a.instance.String()
}
