package strategy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// broken is a strategy that does not keep to what is wanted of it.
type broken struct {
	begin  func(strategy.Fold) strategy.Fold
	schema model.Schema
	finish func(*strategy.Output)
}

func (broken) Name() string { return "broken" }

func (b broken) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	v, err := strategy.NewValues(r)
	if b.schema == nil {
		b.schema = v.Schema()
	}
	return b.begin(brokenFold{v, b}), err
}

type brokenFold struct {
	*strategy.Values
	b broken
}

func (f brokenFold) Schema() model.Schema { return f.b.schema }
func (brokenFold) Add(strategy.Update)    {}
func (brokenFold) NeedsAll() bool         { return false }
func (f brokenFold) Finish(_ *strategy.Updates, out *strategy.Output) error {
	f.b.finish(out)
	return nil
}

// What a strategy of somebody's own does wrong is an error that says what, before a model
// of it is in a record; a block that no model has is a panic that says so.
func TestBrokenStrategy(t *testing.T) {
	t.Parallel()
	schema := func(specs ...model.Spec) model.Schema { return mustSchema(t, specs...) }
	w := model.Spec{Name: "w", Shape: []int{3}}
	base := model.New(schema(w))
	wider := model.New(schema(model.Spec{Name: "w", Shape: []int{4}}))
	good := broken{begin: func(f strategy.Fold) strategy.Fold { return f }, finish: func(*strategy.Output) {}}
	finishes := func(fn func(*strategy.Output)) broken { b := good; b.finish = fn; return b }
	mean := func(at, n int) broken { return finishes(func(o *strategy.Output) { o.Mean(at, make([]float64, n)) }) }
	updates := func(s model.Schema) broken { b := good; b.schema = s; return b }
	nothing := good
	nothing.begin = func(strategy.Fold) strategy.Fold { return nil }
	for name, c := range map[string]struct {
		b    broken
		want string
	}{
		"good":                  {mean(1, 2), ""},
		"nothing is said":       {good, ""},
		"no coordinate":         {mean(3, 0), ""},
		"no fold":               {nothing, "broken began without a fold"},
		"another tensor":        {updates(schema(model.Spec{Name: "x", Shape: []int{3}})), `tensor "x"`},
		"a wider tensor":        {updates(wider.Schema), `tensor "w"`},
		"no model":              {finishes(func(o *strategy.Output) { o.Next = nil }), "other tensors than the base"},
		"a model of its own":    {finishes(func(o *strategy.Output) { o.Next = wider }), "other tensors than the base"},
		"a model that is short": {finishes(func(o *strategy.Output) { o.Next.Blob = o.Next.Blob[:4] }), "the next model"},
		"too many coordinates":  {mean(0, 4), "panic: strategy: a mean of 4 coordinates from 0 on, the fold's schema has 3"},
		"beyond the end":        {mean(4, 0), "panic: strategy: a mean of 0 coordinates from 4 on"},
		"before the beginning":  {mean(-1, 1), "panic: strategy: a mean of 1 coordinates from -1 on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := strategy.Registry{Strategies: []strategy.Strategy{c.b}}
			s := round(base, fold.Grid{B: 6, W: 10})
			s.Strategy = "broken"
			err := attempt(g, s)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// attempt begins and finishes a round without updates.
func attempt(g strategy.Registry, s strategy.Setup) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New(fmt.Sprint("panic: ", p))
		}
	}()
	a, err := g.Begin(s, nil)
	if err != nil {
		return err
	}
	_, err = a.Result(nil, nil)
	return err
}
