package strategy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// optimised is a case of a server optimiser.
type optimised struct {
	vector
	server  string
	params  strategy.Settings
	variant string // paper, adam or flower; "" for none
	m, v    []float64
}

func optimisedCases(t *testing.T) (out []optimised) {
	t.Helper()
	for _, name := range []string{"fedavgm", "fedadagrad", "fedadam", "fedyogi"} {
		for _, v := range load(t, "fedavg+"+name) {
			c := optimised{vector: v, server: strings.Replace(strings.TrimPrefix(name, "fed"), "avgm", "momentum", 1)}
			given := parse[map[string]any](t, v.Params)
			c.variant, _ = given["variant"].(string)
			delete(given, "variant")
			c.params = given
			if c.variant == "adam" {
				c.params["bias_correction"] = "true"
			}
			kept := parse[struct{ M, V []float64 }](t, v.Expected)
			c.m, c.v = kept.M, kept.V
			out = append(out, c)
		}
	}
	return out
}

// The server optimisers give the numbers of the papers, state included; what another
// program means by the same name is told apart from them.
func TestOptimiserVectors(t *testing.T) {
	t.Parallel()
	tried := map[string]int{}
	for _, c := range optimisedCases(t) {
		base, rounds, models := c.rounds(t)
		got, state := c.run(t, base, rounds)
		if c.variant == "flower" {
			tried["flower"]++
			if c.agrees(got, models) {
				t.Errorf("%s: the product gives the other definition", c.ID)
			}
			if twin := c.flower(base, rounds); !c.agrees(twin, models) {
				t.Errorf("%s: %v, want %v", c.ID, twin, models)
			}
			continue
		}
		tried[c.server]++
		if !c.agrees(got, models) {
			t.Errorf("%s: %v, want %v", c.ID, got, models)
		}
		if want := append(append([]float64{}, c.m...), c.v...); len(want) > 0 {
			if len(state) == len(c.v) { // without beta1 the mean itself is m
				want = c.v
			}
			if !c.agrees([][]float64{state}, [][]float64{want}) {
				t.Errorf("%s: the state %v, want %v", c.ID, state, want)
			}
		}
	}
	if want := map[string]int{"flower": 7, "momentum": 4, "adagrad": 3, "adam": 6, "yogi": 2}; fmt.Sprint(tried) != fmt.Sprint(want) {
		t.Errorf("tried %v, want %v", tried, want)
	}
}

// run runs all rounds, from state to state, and returns the models and the last state.
func (c optimised) run(t *testing.T, base []float64, rounds [][]trained) (models [][]float64, kept []float64) {
	t.Helper()
	var state []byte
	for _, sites := range rounds {
		a := c.begin(t, base, sites, state)
		made, err := a.Result(nil, nil)
		if err != nil {
			t.Fatal(c.ID, err)
		}
		base, state = values(made.Model), made.State
		models = append(models, base)
	}
	raw := state[1+int(state[0])+16 : len(state)-9]
	kept = make([]float64, len(raw)/8)
	fold.Values(kept, raw, model.F64)
	return models, kept
}

func (c optimised) begin(t *testing.T, base []float64, sites []trained, state []byte) *strategy.Aggregation {
	t.Helper()
	total := uint64(0)
	for _, s := range sites {
		total += s.N
	}
	g, err := fold.NewGrid(6, 1, total)
	if err != nil {
		t.Fatal(err)
	}
	s := round(mustModel(t, model.F64, base), g)
	s.Server, s.ServerParams, s.State = c.server, c.params, state
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(c.ID, err)
	}
	for _, site := range sites {
		delta := make([]float64, len(base))
		for i := range base {
			delta[i] = site.W[i] - base[i]
		}
		add(t, a, mustModel(t, model.F64, delta), site.N)
	}
	return a
}

func (c optimised) agrees(got, want [][]float64) bool {
	for i := range want {
		for j, w := range want[i] {
			if !(math.Abs(got[i][j]-w) <= c.Tol.Abs+c.Tol.Rel*math.Abs(w)) {
				return false
			}
		}
	}
	return len(got) == len(want)
}

// flower is what Flower 1.27 means: v begins with 0, and the rate of Adam is scaled.
func (c optimised) flower(base []float64, rounds [][]trained) (models [][]float64) {
	eta, b1, b2, tau := c.params.Number("eta"), c.params.Number("beta1"), c.params.Number("beta2"), c.params.Number("tau")
	m, v := make([]float64, len(base)), make([]float64, len(base))
	for t, sites := range rounds {
		total, next := 0.0, make([]float64, len(base))
		for _, s := range sites {
			total += float64(s.N)
		}
		rate := eta
		if c.server == "adam" {
			rate = eta * math.Sqrt(1-math.Pow(b2, float64(t+2))) / (1 - math.Pow(b1, float64(t+2)))
		}
		for i := range base {
			d := 0.0
			for _, s := range sites {
				d += (s.W[i] - base[i]) * float64(s.N) / total
			}
			m[i] = b1*m[i] + (1-b1)*d
			switch c.server {
			case "adagrad":
				v[i] += d * d
			case "adam":
				v[i] = b2*v[i] + (1-b2)*d*d
			case "yogi":
				v[i] -= (1 - b2) * d * d * math.Copysign(1, v[i]-d*d)
			}
			next[i] = base[i] + rate*m[i]/(math.Sqrt(v[i])+tau)
		}
		models, base = append(models, next), next
	}
	return models
}

// Other parameters are another optimiser: what was kept is dropped, and the note of the
// round says so. The steps are counted from then on.
func TestOtherParameters(t *testing.T) {
	t.Parallel()
	base := mustModel(t, model.F64, []float64{1})
	step := func(params strategy.Settings, state []byte) strategy.Result {
		s := round(base, fold.Grid{B: 6, W: 10})
		s.Server, s.ServerParams, s.State = "momentum", params, state
		a, err := strategy.Registry{}.Begin(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.Add(update(mustModel(t, model.F64, []float64{2}), 1))
		r, err := a.Result(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := step(nil, nil)
	said := step(strategy.Settings{"beta": .9}, first.State) // what was the default all along
	if len(said.Notes) != 0 || values(said.Model)[0] != 1+2+.9*2 {
		t.Errorf("%v, notes %q", values(said.Model), said.Notes)
	}
	other := step(strategy.Settings{"beta": .5}, said.State)
	if want := []string{"what the server optimiser momentum has kept is dropped: it begins anew with other parameters"}; fmt.Sprint(other.Notes) != fmt.Sprint(want) || values(other.Model)[0] != 3 {
		t.Errorf("%v, notes %q", values(other.Model), other.Notes)
	}
	if r := step(strategy.Settings{"beta": .5}, other.State); len(r.Notes) != 0 || values(r.Model)[0] != 1+2+.5*2 {
		t.Errorf("%v, notes %q", values(r.Model), r.Notes)
	}
}

// Coordinates without an update keep their bits under every optimiser.
func TestOptimisersKeepBits(t *testing.T) {
	t.Parallel()
	for _, about := range (strategy.Registry{}).AboutServers() {
		base := mustModel(t, model.F64, []float64{math.Copysign(0, -1), 5e-324, .1})
		var state []byte
		for range 3 {
			s := round(base, fold.Grid{B: 6, W: 10})
			s.Server, s.State = about.Name, state
			a, err := strategy.Registry{}.Begin(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			a.Add(update(mustModel(t, model.F64, []float64{0, 0, 0}), 1))
			r, err := a.Result(nil, nil)
			if err != nil || string(r.Model.Blob) != string(base.Blob) {
				t.Fatalf("%s: %v, %v", about.Name, r.Model, err)
			}
			state = r.State
		}
	}
}
