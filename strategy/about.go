package strategy

import (
	"cmp"
	"slices"
)

// Kinds of strategies.
const (
	KindLinear       = "linear"       // a weighted sum: streamed, in any order, in any tree
	KindSelective    = "selective"    // it looks at all updates of a round together
	KindAsynchronous = "asynchronous" // updates of former rounds count, too
)

// Described is a strategy or an optimiser that says what it is, for people.
type Described interface {
	Kind() string    // of a strategy: one of the kinds above; of an optimiser ""
	Summary() string // in a line
	Paper() string   // where it comes from
}

// Minimum is a strategy that needs more than one update: a round with fewer accepted ones
// is given up, and a task whose cohort cannot reach that is refused.
type Minimum interface{ Minimum() int }

// About is what people are told of a strategy, or of a server optimiser.
type About struct {
	Name, Kind, Summary, Paper string
	Params                     []Param
}

// AboutStrategies tells of all strategies, fedmq's first.
func (g Registry) AboutStrategies() []About { return abouts(strategies, g.Strategies) }

// AboutServers tells of all server optimisers, fedmq's first.
func (g Registry) AboutServers() []About { return abouts(optimisers, g.Optimisers) }

// AboutStrategy tells of one, [FedAvg] for "", if there is one by this name.
func (g Registry) AboutStrategy(name string) (About, bool) {
	v, err := find("strategy", cmp.Or(name, FedAvg), strategies, g.Strategies)
	return aboutOf(v), err == nil
}

// AboutServer tells of one server optimiser, [SGD] for "", likewise.
func (g Registry) AboutServer(name string) (About, bool) {
	v, err := find("server optimiser", cmp.Or(name, SGD), optimisers, g.Optimisers)
	return aboutOf(v), err == nil
}

func abouts[T interface{ Name() string }](lists ...[]T) (out []About) {
	for _, v := range slices.Concat(lists...) {
		out = append(out, aboutOf(v))
	}
	return out
}

func aboutOf[T interface{ Name() string }](v T) (a About) {
	if any(v) == nil {
		return a
	}
	a.Name = v.Name()
	if c, ok := any(v).(configurable[T]); ok {
		a.Params = c.Params()
	}
	if d, ok := any(v).(Described); ok {
		a.Kind, a.Summary, a.Paper = d.Kind(), d.Summary(), d.Paper()
	}
	return a
}

// MinimumOf is the fewest accepted updates of a round under a strategy with these
// parameters, 1 for most. Errors wrap [ErrUnknown] or [ErrSetting].
func (g Registry) MinimumOf(name string, params Settings) (int, error) {
	s, _, err := g.strategy(cmp.Or(name, FedAvg), params)
	if m, ok := s.(Minimum); ok && err == nil {
		return max(1, m.Minimum()), nil
	}
	return 1, err
}
