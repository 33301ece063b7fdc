package aggregator

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/wire"
)

// localOf is what the task's strategy needs of local training, as an order says it; nil:
// nothing.
func localOf(r strategy.Registry, t Task) (*wire.Local, error) {
	l, err := r.Local(setup(round.Params{Folding: t.folding()}, nil, nil))
	if err != nil || len(l.Needs) == 0 {
		return nil, err
	}
	return &wire.Local{Needs: l.Needs, Mu: l.Mu}, nil
}
