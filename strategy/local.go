package strategy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/trainer"
)

// Local is what a strategy needs of local training.
type Local struct {
	Needs []string // of package trainer's Need constants, ascending; none: nothing
	Mu    float64  // of NeedMu
}

// Steering is a strategy that needs something of local training. An order says what,
// and a site whose trainer lacks it is refused before it trains.
type Steering interface {
	Strategy
	Local() Local
}

// Local returns what the strategy of a setup needs of local training, nothing for one
// that does not say. Errors wrap [ErrUnknown], or [ErrUnsupported] for needs that no
// order can say.
func (g Registry) Local(of Setup) (Local, error) {
	s, _, err := g.strategy(cmp.Or(of.Strategy, FedAvg), of.Params)
	if err != nil {
		return Local{}, err
	}
	steering, ok := s.(Steering)
	if !ok {
		return Local{}, nil
	}
	l := steering.Local()
	switch unknown := trainer.Lacking(trainer.Needs(), l.Needs); {
	case len(unknown) > 0:
		return Local{}, fmt.Errorf("%w: strategy %s needs %.64q of trainers, known: %s", ErrUnsupported, s.Name(), unknown[0], strings.Join(trainer.Needs(), ", "))
	case !slices.IsSorted(l.Needs) || len(slices.Compact(slices.Clone(l.Needs))) < len(l.Needs):
		return Local{}, fmt.Errorf("%w: strategy %s needs %v: want them ascending, each once", ErrUnsupported, s.Name(), l.Needs)
	case !(l.Mu >= 0) || math.IsInf(l.Mu, 0):
		return Local{}, fmt.Errorf("%w: strategy %s has a mu of %v, want 0 or more", ErrUnsupported, s.Name(), l.Mu)
	}
	return l, nil
}

// Weighting is a strategy that does not take every weighting of members.
type Weighting interface {
	// Weightings are those that it takes, of samples, uniform and sqrt; the first is its
	// default.
	Weightings() []string
}

// Weightings returns those that the strategy of a setup takes, its default first. Errors
// wrap [ErrUnknown] or [ErrSetting].
func (g Registry) Weightings(of Setup) ([]string, error) {
	s, _, err := g.strategy(cmp.Or(of.Strategy, FedAvg), of.Params)
	if w, ok := s.(Weighting); ok && err == nil {
		return w.Weightings(), nil
	}
	return []string{"samples", "uniform", "sqrt"}, err
}

// scalar is a number that an update tells, from least to most.
func scalar(u Update, name string, least, most float64) (float64, error) {
	v, ok := u.Scalars[name]
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: the scalar %s is missing", ErrOutOfRange, name)
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, fmt.Errorf("%w: the scalar %s is %v", ErrNotFinite, name, v)
	case v < least || v > most:
		return 0, fmt.Errorf("%w: the scalar %s is %v, want %v to %v", ErrOutOfRange, name, v, least, most)
	}
	return v, nil
}
