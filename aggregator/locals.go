package aggregator

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// localProblems reports patterns that an order cannot carry, or that mean nothing.
func (t Task) localProblems(r strategy.Registry) (errs []error) {
	if l, err := localOf(r, t); err == nil && l.Corrects() && !t.Locals.IsZero() {
		errs = append(errs, fmt.Errorf("strategy.share, strategy.keep_local: %s steers the training of all tensors alike, so that none can stay at a site; want another strategy, such as fedprox", t.Strategy))
	}
	for _, of := range []struct {
		key  string
		list []string
	}{{"share", t.Locals.Share}, {"keep_local", t.Locals.Keep}} {
		if len(of.list) > maxPatterns {
			errs = append(errs, fmt.Errorf("strategy.%s: %d patterns, want at most %d", of.key, len(of.list), maxPatterns))
		}
		for _, p := range of.list {
			if p == "" || len(p) > model.MaxName {
				errs = append(errs, fmt.Errorf("strategy.%s: the pattern %.80q has %d bytes, want 1 to %d", of.key, p, len(p), model.MaxName))
			}
		}
	}
	if t.Init == nil {
		return errs
	}
	for _, p := range t.Locals.Idle(t.Init.Schema) {
		errs = append(errs, fmt.Errorf("strategy.share, strategy.keep_local: no tensor that a site could keep has the pattern %.80q; fedmq model show lists their names", p))
	}
	if len(errs) == 0 && !t.Locals.IsZero() && len(t.Locals.Names(t.Init.Schema)) == 0 {
		errs = append(errs, errors.New("strategy.share has no effect: every tensor has one of its patterns, so that none stays at a site; leave it out, or name fewer"))
	}
	return errs
}
