package strategy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// told is an update with what its site tells of the training.
type told struct {
	trained
	scalars map[string]float64
}

// roundOf folds updates that end at their W under a strategy, in the order given, and returns the model.
func roundOf(t *testing.T, s strategy.Setup, base []float64, sites []told) []float64 {
	t.Helper()
	s.Base = mustModel(t, model.F64, base)
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, site := range sites {
		u := toldUpdate(t, base, site)
		if err := a.Check(u); err != nil {
			t.Fatal(err)
		}
		a.Add(u)
	}
	return values(result(t, a))
}

func toldUpdate(t *testing.T, base []float64, site told) strategy.Update {
	t.Helper()
	delta := make([]float64, len(base))
	for i := range base {
		delta[i] = site.W[i] - base[i]
	}
	u := update(mustModel(t, model.F64, delta), site.N)
	u.Scalars = site.scalars
	return u
}

func near(t *testing.T, what string, got, want []float64, rel, abs float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-want[i]) <= abs+rel*math.Abs(want[i])) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// setup is a round of a strategy, on a grid that resolves the vectors.
func setup(name string, params strategy.Settings, w int) strategy.Setup {
	return strategy.Setup{Work: strategy.Train, Strategy: name, Params: params, Round: strategy.Round{GridB: 6, GridW: w}}
}

func TestFedNovaVectors(t *testing.T) {
	t.Parallel()
	cases := load(t, "fednova")
	if len(cases) != 3 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, v := range cases {
		in := parse[struct {
			Base    []float64
			Updates []trained
			Tau     []float64
		}](t, v.Input)
		p := parse[struct {
			Momentum float64
			EtaMu    float64 `json:"eta_mu"`
		}](t, v.Params)
		want := parse[struct{ Model []float64 }](t, v.Expected)
		s := setup("fednova", nil, 6)
		if p.EtaMu > 0 {
			s.Params = strategy.Settings{"mu": 1.}
		}
		var sites []told
		for i, u := range in.Updates {
			sites = append(sites, told{u, map[string]float64{"steps": in.Tau[i], "lr": max(p.EtaMu, .1*p.Momentum), "momentum": p.Momentum}})
		}
		near(t, v.ID, roundOf(t, s, in.Base, sites), want.Model, v.Tol.Rel, v.Tol.Abs)
		slices.Reverse(sites)
		near(t, v.ID+" reversed", roundOf(t, s, in.Base, sites), want.Model, v.Tol.Rel, v.Tol.Abs)
	}
}

// With as many steps each, FedNova is FedAvg; of one step too.
func TestFedNovaOfEqualSteps(t *testing.T) {
	t.Parallel()
	base := []float64{1, -2}
	for _, steps := range []float64{1, 7, 1e6} {
		for _, rho := range []float64{0, .5, .99} {
			sites := []told{
				{trained{W: []float64{1.5, -1}, N: 3}, map[string]float64{"steps": steps, "momentum": rho}},
				{trained{W: []float64{0.25, -2.5}, N: 5}, map[string]float64{"steps": steps, "momentum": rho}},
			}
			near(t, fmt.Sprint(steps, rho), roundOf(t, setup("fednova", nil, 4), base, sites), roundOf(t, setup("fedavg", nil, 4), base, sites), 1e-12, 1e-12+steps*1e-13) // a step of the grid is that of delta/a
		}
	}
}

func TestQFedAvgVectors(t *testing.T) {
	t.Parallel()
	cases := load(t, "qfedavg")
	if len(cases) != 3 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, v := range cases {
		base, rounds, models := v.rounds(t)
		in := parse[struct{ Losses [][]float64 }](t, v.Input)
		p := parse[struct {
			Q, L    float64
			Weights string
		}](t, v.Params)
		for i, list := range rounds {
			var sites []told
			for k, u := range list {
				if p.Weights == "uniform" {
					u.N = 1
				}
				sites = append(sites, told{u, map[string]float64{"loss0": in.Losses[i][k]}})
			}
			got := roundOf(t, setup("qfedavg", strategy.Settings{"q": p.Q, "L": p.L}, 6), base, sites)
			near(t, fmt.Sprint(v.ID, " round ", i+1), got, models[i], v.Tol.Rel, v.Tol.Abs)
			base = models[i]
		}
	}
}

// What a site may not say is refused by the name of the scalar; what the values are
// refused for is told first.
func TestScalarsRefused(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	good := map[string]float64{"steps": 5, "lr": .1, "momentum": 0, "loss0": .5}
	for _, c := range []struct {
		strategy, scalar string
		value            float64 // NaN of a kind of its own: left out
		x                float64
		want             error
		text             string
	}{
		{"fednova", "steps", 0, 1, strategy.ErrOutOfRange, "steps is 0, want 1"},
		{"fednova", "steps", -3, 1, strategy.ErrOutOfRange, "steps is -3"},
		{"fednova", "steps", 2.5, 1, strategy.ErrOutOfRange, "steps is 2.5, want a whole number"},
		{"fednova", "steps", nan, 1, strategy.ErrNotFinite, "steps is NaN"},
		{"fednova", "steps", inf, 1, strategy.ErrNotFinite, "steps is +Inf"},
		{"fednova", "steps", 1 << 48, 1, strategy.ErrOutOfRange, "would be summed"},
		{"fednova", "momentum", 1, 1, strategy.ErrOutOfRange, "momentum is 1, want less than 1"},
		{"fednova", "momentum", -.1, 1, strategy.ErrOutOfRange, "momentum is -0.1"},
		{"fednova", "steps", 0, nan, strategy.ErrNotFinite, "tensor"},
		{"fednova mu", "lr", 30, 1, strategy.ErrOutOfRange, "lr is 30, want less than 1/mu"},
		{"fednova mu", "momentum", .9, 1, strategy.ErrOutOfRange, "momentum is 0.9"},
		{"qfedavg", "loss0", -1e-9, 1, strategy.ErrOutOfRange, "loss0 is -1e-09, want 0"},
		{"qfedavg", "loss0", nan, 1, strategy.ErrNotFinite, "loss0 is NaN"},
		{"qfedavg", "loss0", 1e30, 1, strategy.ErrOutOfRange, ""},
		{"fednova", "", 0, 1, nil, ""},
		{"qfedavg", "", 0, 1, nil, ""},
	} {
		s := setup("fednova", nil, 6)
		if strings.HasSuffix(c.strategy, "mu") {
			s.Params = strategy.Settings{"mu": .05}
		} else if c.strategy == "qfedavg" {
			s = setup("qfedavg", strategy.Settings{"L": 10., "q": 1.}, 6)
		}
		s.Base = mustModel(t, model.F64, []float64{0})
		a, err := strategy.Registry{}.Begin(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		scalars := maps.Clone(good)
		if c.scalar != "" {
			scalars[c.scalar] = c.value
		}
		u := update(mustModel(t, model.F64, []float64{c.x}), 8)
		u.Scalars = scalars
		if err := a.Check(u); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s with %s %v: %v, want %v, %q", c.strategy, c.scalar, c.value, err, c.want, c.text)
		}
		u.Scalars = nil
		if err := a.Check(u); !errors.Is(err, strategy.ErrOutOfRange) && !math.IsNaN(c.x) {
			t.Errorf("%s without scalars: %v", c.strategy, err)
		}
	}
}

// Losses that are all 0 scale nothing: the model stays, and it is said.
func TestNothingToScaleBy(t *testing.T) {
	t.Parallel()
	s := setup("qfedavg", strategy.Settings{"L": 1e-6, "q": 5.}, 6)
	s.Base = mustModel(t, model.F64, []float64{3})
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := update(mustModel(t, model.F64, []float64{1}), 1)
	u.Scalars = map[string]float64{"loss0": 0}
	if err := a.Check(u); err != nil {
		t.Fatal(err)
	}
	a.Add(u)
	r, err := a.Result(nil, nil)
	if err != nil || values(r.Model)[0] != 3 || len(r.Notes) != 1 {
		t.Errorf("%v, notes %q, %v", r.Model, r.Notes, err)
	}
}

// Sums of strategies that add up scalars go up a tree with them (F-8), and those that no
// members can give are refused.
func TestTiersOfScalars(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]strategy.Setup{"fednova": setup("fednova", nil, 10), "qfedavg": setup("qfedavg", strategy.Settings{"L": 10., "q": .3}, 10)} {
		s.Base = mustModel(t, model.F64, []float64{1, 2, 3})
		begin := func() *strategy.Aggregation {
			a, err := strategy.Registry{}.Begin(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		flat, root := begin(), begin()
		for area := range 3 {
			below := begin()
			for k := range area {
				u := update(mustModel(t, model.F64, []float64{math.Sin(float64(area)), float64(k), .1}), uint64(k+2))
				u.Scalars = map[string]float64{"steps": float64(3*k + area), "momentum": .5, "loss0": float64(k) + .3}
				flat.Add(u)
				below.Add(u)
			}
			sums := tiered(below).AppendSums(nil)
			for at, v := range map[int]uint64{len(sums) - 8: 1 << 20, len(sums) - 24: 1 << 63} {
				odd := slices.Clone(sums)
				binary.LittleEndian.PutUint64(odd[at:], v)
				if err := tiered(root).AddSums(odd); !errors.Is(err, fold.ErrOutOfRange) {
					t.Errorf("%s: foreign sums: %v", name, err)
				}
			}
			if err := tiered(root).AddSums(sums); err != nil {
				t.Fatal(err)
			}
		}
		if want, got := result(t, flat), result(t, root); !bytes.Equal(got.Blob, want.Blob) {
			t.Errorf("%s: over a tree %x, flat %x", name, got.Blob, want.Blob)
		}
	}
}
