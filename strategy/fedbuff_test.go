package strategy_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// buffer folds updates under FedBuff, in the order given.
func buffer(t *testing.T, params strategy.Settings, base []float64, list []strategy.Update) []float64 {
	t.Helper()
	s := setup("fedbuff", params, 12)
	s.Base = mustModel(t, model.F64, base)
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		if err := a.Check(u); err != nil {
			t.Fatal(err)
		}
		a.Add(u)
	}
	return values(result(t, a))
}

func TestFedBuffVectors(t *testing.T) {
	t.Parallel()
	cases := load(t, "fedbuff")
	if len(cases) != 2 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, v := range cases {
		in := parse[struct {
			Base    []float64
			Updates []struct {
				trained
				Staleness uint64
			}
		}](t, v.Input)
		p := parse[struct {
			K                  float64
			Staleness, Weights string
		}](t, v.Params)
		want := parse[struct{ Model []float64 }](t, v.Expected)
		var list []strategy.Update
		for _, u := range in.Updates {
			n := u.N
			if p.Weights == "uniform" {
				n = 1
			}
			up := update(mustModel(t, model.F64, u.Delta), n)
			up.Staleness = u.Staleness
			list = append(list, up)
		}
		params := strategy.Settings{"K": p.K, "staleness": p.Staleness}
		got := buffer(t, params, in.Base, list)
		near(t, v.ID, got, want.Model, v.Tol.Rel, v.Tol.Abs)
		slices.Reverse(list)
		if other := buffer(t, params, in.Base, list); !slices.Equal(got, other) {
			t.Errorf("%s: %v in another order, %v", v.ID, other, got)
		}
	}
}

// What an update counts times, by how far it is behind.
func TestStaleness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		params strategy.Settings
		tau    uint64
		want   float64
	}{
		{strategy.Settings{"staleness": "none"}, 9, 1},
		{strategy.Settings{"staleness": "sqrt"}, 0, 1},
		{strategy.Settings{"staleness": "sqrt"}, 3, .5}, // not 1/(1+sqrt 3), as others have it
		{strategy.Settings{"staleness": "poly"}, 3, .5},
		{strategy.Settings{"staleness": "poly", "a": 0.}, 9, 1},
		{strategy.Settings{"staleness": "poly", "a": 1.}, 3, .25},
		{strategy.Settings{"staleness": "poly", "a": 2.}, 3, 1. / 16},
		{strategy.Settings{"staleness": "poly", "a": 1.5}, 3, 1. / 8},
		{strategy.Settings{"staleness": "hinge"}, 4, 1},
		{strategy.Settings{"staleness": "hinge"}, 6, 1. / 21},
		{strategy.Settings{"staleness": "hinge", "a": 1., "b": 0.}, 1, .5},
	} {
		u := update(mustModel(t, model.F64, []float64{1}), 1)
		u.Staleness = c.tau
		got := buffer(t, c.params, []float64{0}, []strategy.Update{u})
		if math.Abs(got[0]-c.want) > 1e-12 { // a step of the grid
			t.Errorf("%v, %d versions behind: %v, want %v", c.params, c.tau, got[0], c.want)
		}
	}
}

// A parameter that would have no effect is refused, and so is one out of its range.
func TestFedBuffSettings(t *testing.T) {
	t.Parallel()
	for want, params := range map[string]strategy.Settings{
		"no effect with staleness sqrt: it is of poly and hinge": {"a": 1.},
		"no effect with staleness poly: it is of hinge":          {"staleness": "poly", "b": 1.},
		"want 0 to 4 with staleness poly":                        {"staleness": "poly", "a": 5.},
		"K: 0, want whole numbers from 1 to 10000":               {"K": 0.},
		"max_staleness: 1001":                                    {"max_staleness": 1001.},
		`staleness: "linear", want none, sqrt, poly, hinge`:      {"staleness": "linear"},
		`no parameter "k"; it has K, staleness`:                  {"k": 3.},
	} {
		_, err := strategy.Registry{}.Settings("fedbuff", params)
		if !errors.Is(err, strategy.ErrSetting) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", params, err, want)
		}
	}
	late, err := strategy.Registry{}.Late(setup("fedbuff", strategy.Settings{"K": 3., "max_staleness": 2.}, 6))
	if err != nil || late != (strategy.Late{Most: 2, Buffer: 3}) {
		t.Errorf("%+v, %v", late, err)
	}
	if late, err := (strategy.Registry{}).Late(setup("fedavg", nil, 6)); err != nil || late != (strategy.Late{}) {
		t.Errorf("fedavg: %+v, %v", late, err)
	}
}

// What is further behind than max_staleness is in no sum, whoever folds.
func TestTooStale(t *testing.T) {
	t.Parallel()
	s := setup("fedbuff", strategy.Settings{"max_staleness": 2.}, 6)
	s.Base = mustModel(t, model.F64, []float64{0})
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := update(mustModel(t, model.F64, []float64{1}), 1)
	for tau, ok := range map[uint64]bool{0: true, 2: true, 3: false} {
		if u.Staleness = tau; (a.Check(u) == nil) != ok {
			t.Errorf("%d versions behind: %v", tau, a.Check(u))
		}
	}
}
