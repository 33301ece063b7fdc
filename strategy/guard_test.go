package strategy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// both is the guard of the vectors.
func both() strategy.Guard {
	return strategy.Guard{Zero: strategy.DefaultZeroing(), Clip: strategy.DefaultClipping()}
}

// guarded begins a round of a guard after rounds that left a state.
func guarded(t testing.TB, g strategy.Guard, base *model.Model, state []byte) (*strategy.Aggregation, map[string]float64) {
	t.Helper()
	thresholds, err := g.Thresholds(state)
	if err != nil {
		t.Fatal(err)
	}
	s := round(base, fold.Grid{B: 24, W: 20})
	s.State, s.Guard, s.Thresholds = state, g.Values(), thresholds
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, thresholds
}

// withNorms is an update with this largest value and this norm, of f64.
func withNorms(t testing.TB, most, norm float64) *model.Model {
	t.Helper()
	const n = 400
	x := make([]float64, n)
	x[0] = most
	for i := 1; i < n; i++ {
		x[i] = -math.Sqrt((norm*norm - most*most) / (n - 1))
	}
	return mustModel(t, model.F64, x)
}

func close9(a, b float64) bool { return math.Abs(a-b) <= 1e-12+1e-9*math.Abs(b) }

type guardRounds struct {
	Rounds []struct{ Linf, L2 []float64 } `json:"rounds"`
}

type guardWant struct {
	Rounds []struct {
		Z       float64    `json:"z"`
		Most    float64    `json:"Z"`
		C       *float64   `json:"C"`
		Refused []string   `json:"refused"`
		Scale   []*float64 `json:"scale"`
		ZNext   float64    `json:"z_next"`
		CNext   float64    `json:"C_next"`
	} `json:"rounds"`
}

// The rounds of the vector, in any order of arrival, and taken in one pass where the fold
// can: thresholds, who is refused, how much is clipped, and one state.
func TestGuardVector(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, "guard") {
		var in guardRounds
		var want guardWant
		if err := errors.Join(json.Unmarshal(v.Input, &in), json.Unmarshal(v.Expected, &want)); err != nil {
			t.Fatal(err)
		}
		base := mustModel(t, model.F64, make([]float64, 400))
		var state []byte
		for r, w := range want.Rounds {
			var left []byte
			for order := range 3 {
				a, th := guarded(t, both(), base, state)
				if !close9(th["z"], w.Z) || !close9(th["Z"], w.Most) || (w.C == nil) != (th["C"] == 0) || w.C != nil && !close9(th["C"], *w.C) {
					t.Fatalf("round %d: %v, want %+v", r+1, th, w)
				}
				refused := 0
				for _, k := range rand.New(rand.NewPCG(1, uint64(order))).Perm(len(w.Scale)) { // few
					delta := withNorms(t, in.Rounds[r].Linf[k], in.Rounds[r].L2[k])
					refused += guardOne(t, a, delta, w.Scale[k], order == 2)
				}
				if refused != len(w.Refused) {
					t.Errorf("round %d: %d are refused, want %v", r+1, refused, w.Refused)
				}
				a.Refused(refused)
				made, err := a.Result(nil, nil)
				if err != nil || left != nil && !bytes.Equal(left, made.State) {
					t.Fatalf("round %d: another state in another order; %v", r+1, err)
				}
				left = made.State
			}
			state = left
			next, err := both().Thresholds(state)
			if err != nil || !close9(next["z"], w.ZNext) || !close9(next["C"], w.CNext) {
				t.Errorf("round %d leaves %v, want %+v; %v", r+1, next, w, err)
			}
		}
	}
}

// guardOne has an update judged, whose scale is to be that of the vector; nil: it is
// refused.
func guardOne(t *testing.T, a *strategy.Aggregation, delta *model.Model, scale *float64, onePass bool) (refused int) {
	t.Helper()
	u := update(delta, 3)
	if onePass {
		got, taken, err := a.Take(update(nil, 3), viewOf(delta))
		if err != nil || taken != (scale != nil && *scale == 1) || taken && got.Norm != strategy.Norm(delta) {
			t.Fatalf("taken %v with the norm %v, scale %v; %v", taken, got.Norm, scale, err)
		}
		if taken {
			a.Count(got)
			return 0
		}
	}
	err := a.Check(u)
	if (scale == nil) != errors.Is(err, strategy.ErrOutlier) || scale != nil && err != nil {
		t.Fatalf("%v, want the scale %v", err, scale)
	}
	if scale == nil {
		return 1
	}
	u = a.Measure(u)
	if got := u.Clip; *scale == 1 && got != 0 || *scale < 1 && !close9(got, *scale) {
		t.Errorf("clipped with %v, want %v", got, *scale)
	}
	a.Add(u)
	return 0
}

// The vectors of clip: a fixed C, in a sum with coefficients, and for a fold that reads
// all updates.
func TestClipVectors(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, "clip") {
		var in, want struct {
			Delta []float64
			Norm  float64
		}
		var params struct{ C float64 }
		if err := errors.Join(json.Unmarshal(v.Input, &in), json.Unmarshal(v.Expected, &want), json.Unmarshal(v.Params, &params)); err != nil {
			t.Fatal(err)
		}
		g := strategy.Guard{Clip: &strategy.Clipping{Initial: params.C}}
		own := strategy.Registry{Strategies: []strategy.Strategy{steps, median{}}}
		delta := mustModel(t, model.F64, in.Delta)
		for _, name := range []string{"fedavg", "steps", "acme-median"} {
			s := round(mustModel(t, model.F64, make([]float64, len(in.Delta))), fold.Grid{B: 6, W: 4})
			s.Strategy, s.Guard, s.Thresholds = name, g.Values(), map[string]float64{"C": params.C}
			a, err := own.Begin(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			u := update(delta, 4)
			u.Scalars = map[string]float64{"steps": 1}
			if err := a.Check(u); err != nil {
				t.Fatal(err)
			}
			u = a.Measure(u)
			a.Add(u)
			u.Tensors = nil
			all := &strategy.Updates{Schema: a.Schema(), List: []strategy.Update{u}, ReadAt: func(p []byte, _, off int) error { copy(p, delta.Blob[off:]); return nil }}
			made, err := a.Result(all, nil)
			if err != nil || !close9(u.Norm, want.Norm) {
				t.Fatalf("%s, %s: the norm %v, want %v; %v", v.ID, name, u.Norm, want.Norm, err)
			}
			for i, x := range values(made.Model) {
				if !close9(x, want.Delta[i]) {
					t.Errorf("%s, %s: %v, want %v", v.ID, name, values(made.Model), want.Delta)
				}
			}
			if th, err := g.Thresholds(made.State); err != nil || th["C"] != params.C {
				t.Errorf("%s: C is %v after a round; %v", v.ID, th, err)
			}
		}
	}
}

// hold runs rounds of ten, of whom some send the same monster each time, and returns the
// first in which it counts, 0 for none.
func hold(t *testing.T, rounds, hostile int, monster float64, g strategy.Guard) int {
	t.Helper()
	var state []byte
	base := mustModel(t, model.F64, make([]float64, 1))
	for r := range rounds {
		a, _ := guarded(t, g, base, state)
		refused := 0
		for k := range 10 {
			u := update(mustModel(t, model.F64, []float64{0.3}), 1)
			if k < hostile {
				u = update(mustModel(t, model.F64, []float64{monster}), 1)
			}
			switch err := a.Check(u); {
			case errors.Is(err, strategy.ErrOutlier):
				refused++
			case err != nil:
				t.Fatal(err)
			case k < hostile:
				return r + 1
			default:
				a.Add(u)
			}
		}
		a.Refused(refused)
		made, err := a.Result(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		state = made.State
	}
	return 0
}

// Who sends monsters round for round does not raise the threshold until they count; who
// has values within what the first round would take comes to count.
func TestGuardHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hostile int
		monster float64
		want    int
	}{{2, 50, 0}, {4, 50, 0}, {1, 1e6, 0}, {2, 44, 0}, {1, 25, 2}, {2, 20, 1}, {0, 0, 0}} {
		if got := hold(t, 100, c.hostile, c.monster, strategy.DefaultGuard()); got != c.want {
			t.Errorf("%d of 10 with %v count from round %d on, want %d", c.hostile, c.monster, got, c.want)
		}
	}
	if got := hold(t, 1, 2, 50, strategy.Guard{}); got != 1 {
		t.Error("without a guard a monster does not count")
	}
}

// Where nothing moves the thresholds get small, but never 0, and come back.
func TestGuardOfNothing(t *testing.T) {
	t.Parallel()
	g := both()
	g.Zero.Rate, g.Clip.Rate, g.Clip.Quantile = 10, 1, 0.5
	g.Zero.Quantile = 0.5
	base := mustModel(t, model.F64, make([]float64, 2))
	step := func(state []byte, x float64) []byte {
		a, _ := guarded(t, g, base, state)
		u := update(mustModel(t, model.F64, []float64{x, 0}), 1)
		if err := a.Check(u); err != nil {
			t.Fatal(err)
		}
		a.Add(u)
		made, err := a.Result(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return made.State
	}
	state := step(nil, 0)
	if th, err := g.Thresholds(state); err != nil || th["C"] != 0 || th["beta"] != 1 {
		t.Errorf("after a round of zeros %v, %v: no norm is a C", th, err)
	}
	state = step(state, 1e-3)
	for range 300 {
		state = step(state, 0)
	}
	th, err := g.Thresholds(state)
	if err != nil || th["z"] != 0x1p-149 || th["C"] != 0x1p-149 || th["Z"] != 1 {
		t.Errorf("%v, %v", th, err)
	}
	for range 30 {
		state = step(state, 0.5)
	}
	if th, err = g.Thresholds(state); err != nil || th["z"] < 1e-3 {
		t.Errorf("after rounds of .5 %v, %v", th, err)
	}
}

// A guard is its settings by name, and no others are one.
func TestGuardValues(t *testing.T) {
	t.Parallel()
	for _, g := range []strategy.Guard{{}, strategy.DefaultGuard(), both(), {Clip: &strategy.Clipping{Initial: 2}}, {Clip: &strategy.Clipping{Initial: 2, Quantile: 0.5, Rate: 1}}} {
		again, err := strategy.GuardOf(g.Values())
		if err != nil || !maps.Equal(again.Values(), g.Values()) || (again.Zero == nil) != (g.Zero == nil) || (again.Clip == nil) != (g.Clip == nil) {
			t.Errorf("%v: %v, %v", g.Values(), again.Values(), err)
		}
	}
	good := both().Values()
	for name, c := range map[string]struct {
		change func(map[string]float64)
		want   string
	}{
		"another":  {func(m map[string]float64) { m["luck"] = 1 }, `unknown setting "luck"`},
		"too many": {func(m map[string]float64) { m["zero.luck"] = 1 }, "and no others"},
		"too few":  {func(m map[string]float64) { delete(m, "zero.rate") }, "and no others"},
		"range":    {func(m map[string]float64) { m["zero.quantile"] = 1.5 }, "zero.quantile is 1.5, want 0.5 to 1"},
		"nan":      {func(m map[string]float64) { m["zero.rate"] = math.NaN() }, "and no others"},
		"clip":     {func(m map[string]float64) { m["clip.quantile"] = 1 }, "clip.quantile is 1, want 0.5 to 0.99"},
		"low":      {func(m map[string]float64) { m["zero.initial"] = 0 }, "zero.initial is 0"},
	} {
		m := maps.Clone(good)
		c.change(m)
		if g, err := strategy.GuardOf(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", name, g, err, c.want)
		}
	}
}

// Thresholds that are not the guard's, and states that no guard has left, are errors.
func TestForeignGuardState(t *testing.T) {
	t.Parallel()
	base := mustModel(t, model.F64, []float64{0})
	for _, th := range []map[string]float64{nil, {"z": 10}, {"z": 10, "Z": 22}, {"z": 0, "Z": 1}, {"z": 10, "Z": 21, "C": -1}} {
		s := round(base, fold.Grid{B: 6, W: 10})
		s.Guard, s.Thresholds = both().Values(), th
		if _, err := (strategy.Registry{}).Begin(s, nil); !errors.Is(err, strategy.ErrOutOfRange) {
			t.Errorf("%v: %v", th, err)
		}
	}
	a, _ := guarded(t, both(), base, nil)
	a.Add(update(mustModel(t, model.F64, []float64{1}), 1))
	made, err := a.Result(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		odd := bytes.Clone(made.State)
		odd[len(odd)-1-i] = 0xff
		odd[len(odd)-1-i/8*8] = 0xff // the sign and the exponent of each number
		if _, err := both().Thresholds(odd); !errors.Is(err, model.ErrSchema) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if _, err := both().Thresholds(made.State[:len(made.State)-1]); !errors.Is(err, model.ErrSchema) {
		t.Errorf("a state that ends early: %v", err)
	}
	// A guard that is off keeps nothing; one that is on again begins anew.
	off, _ := guarded(t, strategy.Guard{}, base, made.State)
	off.Add(update(mustModel(t, model.F64, []float64{1}), 1))
	if r, err := off.Result(nil, nil); err != nil || r.State != nil {
		t.Errorf("off: %x, %v", r.State, err)
	}
}

// A verdict names tensor, place, value and limit, and the setting that helps; what is not
// finite, or beyond the grid, is told first.
func TestOutlier(t *testing.T) {
	t.Parallel()
	schema := mustSchema(t, model.Spec{Name: "a", Shape: []int{3}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{2, 2}})
	s := round(model.New(schema), fold.Grid{B: 6, W: 4})
	s.Guard, s.Thresholds = strategy.DefaultGuard().Values(), map[string]float64{"z": 10, "Z": 21}
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	of := func(at int, v float64, n uint64) strategy.Update {
		m := model.New(schema)
		fill(m, func(i int) float64 {
			if i == at {
				return v
			}
			return 0
		})
		return update(m, n)
	}
	for _, c := range []struct {
		u    strategy.Update
		want error
	}{
		{of(0, 21, 1), nil},
		{of(0, -22, 1), strategy.ErrOutlier},
		{of(6, 21.5, 1), strategy.ErrOutlier},
		{of(0, 65, 1), strategy.ErrOutOfRange},
		{of(0, math.NaN(), 1), strategy.ErrNotFinite},
		{of(0, -22, 17), strategy.ErrOutlier},
		{of(0, 1, 17), strategy.ErrFull},
	} {
		if err := a.Check(c.u); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	// One pass takes what is within z, and leaves the rest to a closer look.
	for x, want := range map[float64]bool{10: true, 10.5: false, -21: false, 22: false} {
		u := of(2, x, 1)
		got, taken, err := a.Take(update(nil, 1), viewOf(u.Tensors))
		if taken != want || err != nil {
			t.Errorf("%v: taken %v, %v", x, taken, err)
		}
		if taken {
			if err := a.Back(got, viewOf(u.Tensors)); err != nil {
				t.Error(err)
			}
		}
	}
	want := `tensor "b": value [1 1] is -21.5, at most 21 in this round (Z of the guard)`
	if err := a.Check(of(6, -21.5, 1)); !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(fmt.Sprint(err), "strategy: {guard: {zero: {initial: 22}}}") {
		t.Errorf("%v, want %q", err, want)
	}
}

// The change of control variates has thresholds and a state of its own: neither is clipped
// or refused for what the other is.
func TestGuardOfControls(t *testing.T) {
	t.Parallel()
	g := both()
	g.Controls = true
	values := g.Values()
	if again, err := strategy.GuardOf(values); err != nil || !maps.Equal(again.Values(), values) || values["controls"] != 1 {
		t.Errorf("%v: %v", values, err)
	}
	begin := func(state []byte, change func(map[string]float64)) (*strategy.Aggregation, *model.Model) {
		t.Helper()
		th, err := g.Thresholds(state)
		if err != nil {
			t.Fatal(err)
		}
		change(th)
		s := setup("scaffold", strategy.Settings{"eta_g": 1.}, 1)
		s.Base, s.Enrolled, s.State, s.Guard, s.Thresholds = steered(t, model.F64), 1, state, values, th
		a, err := strategy.Registry{}.Begin(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a, s.Base
	}
	a, base := begin(nil, func(th map[string]float64) {
		if th["z"] != 10 || th["c.Z"] != 21 || len(th) != 4 {
			t.Errorf("in the first round %v", th)
		}
		th["c.z"], th["c.Z"], th["C"], th["c.C"] = 1, 3, 1, 2
	})
	for _, c := range []struct {
		x, c []float64
		want string
	}{
		{[]float64{20, 0, 0}, []float64{2, 0, 0}, ""},
		{[]float64{0, 0, 22}, []float64{0, 0, 0}, `tensor "z": value [0] is 22, at most 21`},
		{[]float64{0, 0, 0}, []float64{0, 4, 0}, `tensor "fedmq.c/a": value [1] is 4, at most 3`},
	} {
		err := a.Check(control(t, base, c.x, c.c))
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, strategy.ErrOutlier) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, %v: %v, want %q", c.x, c.c, err, c.want)
		}
	}
	u := control(t, base, []float64{4, 0, 0}, []float64{0, 0, 2})
	if _, taken, err := a.Take(u, viewOf(u.Tensors)); taken || err != nil {
		t.Errorf("taken in one pass: %v, %v", taken, err)
	}
	a.Add(u)
	r, err := a.Result(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	from := floats(t, base, "a", "z")
	near(t, "model", floats(t, r.Model, "a", "z"), []float64{from[0] + 1, from[1], from[2]}, 1e-9, 1e-9)
	near(t, "control variates", floats(t, r.Model, "fedmq.c/a", "fedmq.c/z"), []float64{0, 0, 2}, 1e-9, 1e-9)
	th, err := g.Thresholds(r.State)
	if err != nil || th["beta"] != 1 || th["c.beta"] != 0 || th["z"] >= 10 || th["c.z"] <= 1 || th["C"] <= 1 || th["c.C"] >= 2 {
		t.Errorf("after a round %v, %v", th, err)
	}
	// A task that goes on without control variates keeps the rest.
	g.Controls = false
	if th, err := g.Thresholds(r.State); err != nil || th["beta"] != 1 || len(th) != 4 {
		t.Errorf("without control variates %v, %v", th, err)
	}
}
