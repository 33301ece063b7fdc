package strategy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
)

// Registry is what names in orders and records stand for: what fedmq brings,
// and beside it what a program has of its own. The zero value has what fedmq
// brings. Aggregator, replay and verification of one task want the same one.
type Registry struct {
	Strategies []Strategy
	Optimisers []Optimiser
	Encodings  []Encoding
}

// Names of what rounds have unless something else is configured.
const (
	FedAvg = "fedavg" // strategy
	SGD    = "sgd"    // server optimiser
	Dense  = "dense"  // encoding: the values as they are
)

// strategies are those that fedmq brings; optimisers are likewise.
var strategies = slices.Concat([]Strategy{
	fedAvg, fedBuff, fedNova, fedProx, flTrust, qFedAvg, scaffolded,
}, selectives)

// find is what a registry has of one kind, fedmq's first.
func find[T interface{ Name() string }](what, name string, lists ...[]T) (T, error) {
	all := slices.Concat(lists...)
	i := slices.IndexFunc(all, func(v T) bool { return v.Name() == name })
	if i < 0 {
		var none T
		return none, fmt.Errorf("%w: %s %.64q, known: %s", ErrUnknown, what, name, strings.Join(namesOf(all), ", "))
	}
	return all[i], nil
}

func namesOf[T interface{ Name() string }](all []T) (names []string) {
	for _, v := range all {
		names = append(names, v.Name())
	}
	return names
}

// Names returns the names of all strategies, fedmq's first.
func (g Registry) Names() []string { return namesOf(slices.Concat(strategies, g.Strategies)) }

// Check reports names that an order cannot say or that are taken, as what a record names
// must mean one thing, and parameters that no configuration can give.
func (g Registry) Check() error {
	return errors.Join(
		unique("strategy", g.Names()),
		unique("optimiser", namesOf(slices.Concat(optimisers, g.Optimisers))),
		unique("encoding", append(namesOf(g.Encodings), Dense)),
		g.foreign(),
		checkParams("strategy", slices.Concat(strategies, g.Strategies)),
		checkParams("optimiser", slices.Concat(optimisers, g.Optimisers)))
}

// word is a name as an order says it.
var word = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

func unique(what string, names []string) error {
	seen := map[string]bool{}
	for _, name := range names {
		if !word.MatchString(name) {
			return fmt.Errorf("strategy: %s with the name %.80q: want 1 to 64 of a-z 0-9 _ -", what, name)
		}
		if seen[name] {
			return fmt.Errorf("strategy: two with the name %q: a record that says so would mean either %s", name, what)
		}
		seen[name] = true
	}
	return nil
}

// Setup is what a round's order and record say of how it is folded.
type Setup struct {
	Work     string // of the order: a kind of [Works]
	Strategy string // for work that weighs; [FedAvg] if empty
	Server   string // likewise, the optimiser; [SGD] if empty

	// Params and ServerParams are theirs; what is missing has its default, as in records
	// of before there was such a parameter.
	Params, ServerParams Settings

	State []byte             // what strategy, optimiser and guard keep, as [Result] gave it after the round before; nil: they begin
	Guard map[string]float64 // for work that weighs, the [Guard.Values]; nil: none
	// Thresholds are the guard's, fixed when the round was opened for all its attempts: so
	// that a verdict does not depend on which update came first.
	Thresholds map[string]float64
	Round
}

// Begin starts an attempt. Before is the aggregation that was begun last, whose
// memory is used again, or nil. Errors wrap [ErrUnknown] or [ErrSetting], or are those
// of [Strategy.Begin].
func (g Registry) Begin(s Setup, before *Aggregation) (*Aggregation, error) {
	work, err := find("work", s.Work, works)
	if err != nil {
		return nil, err
	}
	a := &Aggregation{work: work, setup: s}
	if work.Weighs {
		a.setup.Strategy, a.setup.Server = cmp.Or(s.Strategy, FedAvg), cmp.Or(s.Server, SGD)
		if a.setup.Carried, err = carried(s.State, a.setup.Strategy); err != nil {
			return nil, err
		}
		if a.optimiser, a.setup.ServerParams, err = g.optimiser(a.setup.Server, s.ServerParams); err != nil {
			return nil, err
		}
		if a.guard, err = s.guarding(); err != nil {
			return nil, err
		}
	}
	var old Fold
	if before != nil && before.setup.Work == s.Work && before.setup.Strategy == a.setup.Strategy {
		old = before.Fold
	}
	if a.Fold, err = work.begin(g, a.setup, old); err == nil && a.Fold == nil {
		err = fmt.Errorf("strategy: %s began without a fold and without an error", a.setup.Strategy)
	}
	return a, err
}

// Aggregation is one attempt that is folded.
type Aggregation struct {
	Fold
	work      Work
	setup     Setup
	optimiser Optimiser // of work that weighs
	guard     *guarding // likewise
}

// Strategy returns the name of the strategy, "" for work that does not weigh.
func (a *Aggregation) Strategy() string { return a.setup.Strategy }

// partial is a fold whose mean is over some of an update's tensors; the others are the
// strategy's own.
type partial interface {
	Fold
	Averaged() model.Schema
}

// averagedOf are the tensors that a fold's mean is over.
func averagedOf(f Fold) model.Schema {
	if part, ok := f.(partial); ok {
		return part.Averaged()
	}
	return f.Schema()
}

// Result is what an attempt came to.
type Result struct {
	Model *model.Model // in the base's whole schema; the base itself after work that keeps it
	State []byte       // what strategy, optimiser and guard keep, for the next round; nil for nothing
	Notes []string     // for people
}

// Result finishes the attempt. The next model's bytes are n of room, which is
// asked once if at all, and must not give the base's; nil makes them. All is
// needed by a fold that NeedsAll. Errors wrap [ErrEmpty], [ErrNotFinite] or model.ErrSchema, or
// come from reading.
func (a *Aggregation) Result(all *Updates, room func(n int) []byte) (Result, error) {
	base := a.setup.Base
	if a.work.Keeps {
		return Result{Model: base, State: a.setup.State}, nil
	}
	if room == nil {
		room = func(n int) []byte { return make([]byte, n) }
	}
	blob := room(len(base.Blob))
	copy(blob, base.Blob)
	out := &Output{Next: &model.Model{Schema: base.Schema, Blob: blob}}
	if a.work.Weighs {
		out.carry = a.setup.Carried
		if err := out.along(averagedOf(a.Fold), a.optimiser, a.setup); err != nil {
			return Result{}, err
		}
	}
	if err := a.Finish(all, out); err != nil {
		return Result{}, err
	}
	if err := out.check(base.Schema); err != nil {
		return Result{}, err
	}
	if !a.work.Weighs {
		return Result{Model: out.Next, State: a.setup.State, Notes: out.notes}, nil
	}
	return Result{Model: out.Next, State: out.left(a.setup.Strategy, a.guard.left()), Notes: out.notes}, nil
}
