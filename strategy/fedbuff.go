package strategy

import (
	"cmp"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/exact"
)

// buffered is FedBuff: a round takes the first K updates that come, of whatever version
// they were trained on, and each counts the less the older that is: the mean of
// s(tau) delta, with tau versions since the one that the site began with. K 1 takes each
// update as it comes, as FedAsync does.
type buffered struct {
	Linear
	k    int
	most uint64
	of   func(tau float64) float64 // s; nil: 1
}

var fedBuff = buffered{Linear: Linear{ID: "fedbuff", About: About{
	Kind: KindAsynchronous, Summary: "the mean of the first K updates that come, of former rounds too, which count the less the more versions they are behind", Paper: "Nguyen et al. 2021, https://arxiv.org/abs/2106.06639",
}}}

// Words of the parameter staleness.
const (
	staleNone  = "none"
	staleSqrt  = "sqrt"
	stalePoly  = "poly"
	staleHinge = "hinge"
)

const hingeFrom = 4

// Params has how many updates are taken, and what staleness costs them.
func (buffered) Params() []Param {
	return []Param{
		{Name: "K", Default: 10., Min: 1, Max: 10_000, Whole: true, Doc: "updates that close a round of training, in place of the task's goal"},
		{Name: "staleness", Default: staleSqrt, Words: []string{staleNone, staleSqrt, stalePoly, staleHinge}, Doc: "what an update of staleness t, the versions that it is behind, counts times: none 1, sqrt (1+t)^-1/2, poly (1+t)^-a, hinge 1 up to b and then 1/(a(t-b)+1)"},
		{Name: "a", Default: "auto", Words: []string{"auto"}, Max: 1000, Doc: "of poly, at most 4, and of hinge; auto is 0.5 and 10"},
		{Name: "b", Default: float64(hingeFrom), Max: 1000, Doc: "of hinge"},
		{Name: "max_staleness", Default: 10., Max: 1000, Whole: true, Doc: "versions that an update may be behind; with 0 none may, and sites stop training for each new order"},
	}
}

// Configure is [Configurable].
func (f buffered) Configure(s Settings) (Strategy, error) {
	f.k, f.most, f.of = int(s.Number("K")), uint64(s.Number("max_staleness")), nil
	by, a, b := s.Text("staleness"), s.Number("a"), s.Number("b")
	auto := s.Text("a") == "auto"
	switch {
	case !auto && by != stalePoly && by != staleHinge:
		return nil, fmt.Errorf("a: %v has no effect with staleness %s: it is of poly and hinge", a, by)
	case b != hingeFrom && by != staleHinge:
		return nil, fmt.Errorf("b: %v has no effect with staleness %s: it is of hinge", b, by)
	case by == stalePoly && a > 4:
		return nil, fmt.Errorf("a: %v, want 0 to 4 with staleness poly", a)
	}
	switch by {
	case staleSqrt:
		f.of = func(tau float64) float64 { return 1 / math.Sqrt(1+tau) }
	case stalePoly:
		if auto {
			a = .5
		}
		f.of = func(tau float64) float64 { return 1 / exact.Pow(1+tau, a) }
	case staleHinge:
		if auto {
			a = 10
		}
		f.of = func(tau float64) float64 {
			if tau <= b {
				return 1
			}
			return 1 / (float64(a*(tau-b)) + 1)
		}
	}
	return f, nil
}

// Weightings are uniform, as in the paper, and samples.
func (buffered) Weightings() []string { return []string{"uniform", "samples"} }

// Late is [Asynchronous].
func (f buffered) Late() Late { return Late{Most: f.most, Buffer: f.k} }

// Begin starts an attempt.
func (f buffered) Begin(r Round, before Fold) (Fold, error) {
	l := f.Linear
	l.Coefficient = func(u Update) (float64, error) {
		switch {
		case u.Staleness > f.most:
			return 1, fmt.Errorf("%w: the staleness is %d, max_staleness is %d", ErrOutOfRange, u.Staleness, f.most)
		case f.of == nil:
			return 1, nil
		}
		return f.of(float64(u.Staleness)), nil
	}
	return l.Begin(r, before)
}

// Asynchronous is a strategy whose rounds take updates of former rounds, too: sites go on
// training when a new order comes. Its folds see how far each is behind.
type Asynchronous interface {
	Strategy
	Late() Late
}

// Late is which updates of former rounds a strategy takes.
type Late struct {
	Most   uint64 // versions that the base of an update may be behind: its staleness; at most [MostLate]
	Buffer int    // accepted updates that close a round; 0: the task's goal
}

// MostLate is the largest Most of a [Late].
const MostLate = 1000

// Late returns what the strategy of a setup takes of former rounds, nothing for one that
// does not say. Errors wrap [ErrUnknown] or [ErrSetting], or [ErrUnsupported] for what no
// round can do.
func (g Registry) Late(of Setup) (Late, error) {
	s, _, err := g.strategy(cmp.Or(of.Strategy, FedAvg), of.Params)
	async, ok := s.(Asynchronous)
	if !ok || err != nil {
		return Late{}, err
	}
	l := async.Late()
	if l.Most > MostLate || l.Buffer < 0 {
		return Late{}, fmt.Errorf("%w: strategy %s takes updates %d versions behind and %d of them, want at most %d, and 0 or more", ErrUnsupported, s.Name(), l.Most, l.Buffer, MostLate)
	}
	return l, nil
}
