package aggregator

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/wire"
)

// setup is by which strategy rounds of training are folded that open from now on.
func (t Task) setup() strategy.Setup {
	return strategy.Setup{Work: strategy.Train, Strategy: t.Strategy, Params: t.StrategyParams}
}

// localOf is what the task's strategy needs of local training, as an order says it; nil:
// nothing.
func localOf(r strategy.Registry, t Task) (*wire.Local, error) {
	l, err := r.Local(t.setup())
	if err != nil || len(l.Needs) == 0 {
		return nil, err
	}
	return &wire.Local{Needs: l.Needs, Mu: l.Mu}, nil
}

// late is which updates of former rounds the strategy takes; nothing for most.
func (t Task) late(r strategy.Registry) strategy.Late {
	l, err := r.Late(t.setup())
	if err != nil { // Validate says so
		return strategy.Late{}
	}
	return l
}

// First is version 0 of the model: Init, with control variates where the strategy wants
// some. They are tensors of the model, from the task's beginning on.
func (t Task) First(r strategy.Registry) *model.Model {
	l, err := localOf(r, t)
	if err != nil || !l.Corrects() || t.Init == nil || t.Init.Blob != nil && t.Init.Check() != nil {
		return t.Init // Validate says what is wrong with it
	}
	m, err := t.Init.WithControls()
	if err != nil {
		return t.Init
	}
	return m
}
