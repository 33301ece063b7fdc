package strategy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/strategytest"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// The state of an optimiser goes from round to round; model and state are those
// of a twin that has everything at once, over tensors of any sizes.
func TestOptimiser(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var specs []model.Spec
		for i := range rapid.IntRange(1, 4).Draw(t, "tensors") {
			n := rapid.SampledFrom([]int{1, 3, 2047, 2048, 2049, 5000}).Draw(t, "n")
			d := rapid.SampledFrom([]model.DType{model.F32, model.F64}).Draw(t, "dtype")
			rule := rapid.SampledFrom([]model.Rule{model.Mean, model.Mean, model.Keep}).Draw(t, "rule")
			specs = append(specs, model.Spec{Name: fmt.Sprint("t", i), DType: d, Shape: []int{n}, Rule: rule})
		}
		specs[0].Rule = model.Mean
		schema, err := model.NewSchema(specs...)
		if err != nil {
			t.Fatal(err)
		}
		g := strategy.Registry{Optimisers: []strategy.Optimiser{strategytest.Half{}}}
		base := model.New(schema)
		fill(base, func(i int) float64 { return float64(i%7) - 3 })
		var state []byte
		twin, m := values(shared(base)), make([]float64, schema.Shared().Elements())
		for r := range 3 {
			s := round(base, fold.Grid{B: 6, W: 10})
			s.Server, s.State = "halfkept", state
			a, err := g.Begin(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			delta := model.New(schema.Shared())
			fill(delta, func(i int) float64 { return float64((i+r)%5) / 4 })
			a.Add(update(delta, 3)) // exact on this grid: the mean is the update
			before := bytes.Clone(state)
			made, err := a.Result(nil, nil)
			if err != nil || !bytes.Equal(before, state) {
				t.Fatal("the state that was given has changed, or", err)
			}
			for i, d := range values(delta) {
				m[i] = d + 0.5*m[i]
				twin[i] += m[i]
			}
			base, state = made.Model, made.State
			if got := values(shared(base)); !same(got, twin) {
				t.Fatalf("round %d: other values than the twin's", r+1)
			}
			if n, got := stateOf(state); !same(got, m) || n != uint64(r+1) {
				t.Fatalf("round %d: another state than the twin's", r+1)
			}
		}
	})
}

// fill writes the values of all tensors, as far as they are averaged.
func fill(m *model.Model, of func(i int) float64) {
	i, rest := 0, m.Blob
	for _, spec := range m.Schema {
		v := make([]float64, spec.Elements())
		for j := range v {
			v[j] = of(i)
			i++
		}
		fold.PutValues(rest, spec.DType, v)
		rest = rest[spec.Bytes():]
	}
}

// shared is what is averaged of a model.
func shared(m *model.Model) *model.Model {
	out := &model.Model{Schema: m.Schema.Shared()}
	for _, spec := range out.Schema {
		out.Blob = append(out.Blob, m.Bytes(spec.Name)...)
	}
	return out
}

func values(m *model.Model) (all []float64) {
	rest := m.Blob
	for _, spec := range m.Schema {
		v := make([]float64, spec.Elements())
		fold.Values(v, rest, spec.DType)
		all, rest = append(all, v...), rest[spec.Bytes():]
	}
	return all
}

// stateOf reads a state of the optimiser "halfkept" (F-17).
func stateOf(state []byte) (steps uint64, v []float64) {
	state = state[len("\x08halfkept"):]
	n := binary.LittleEndian.Uint64(state) - 8
	v = make([]float64, n/8)
	fold.Values(v, state[16:16+n], model.F64)
	return binary.LittleEndian.Uint64(state[8:]), v
}

func same(a, b []float64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// A state is of one optimiser: another begins anew and says so, one without a
// state leaves none.
func TestOtherOptimiser(t *testing.T) {
	t.Parallel()
	g := strategy.Registry{Optimisers: []strategy.Optimiser{strategytest.Half{}, away{}}}
	base := mustModel(t, model.F64, []float64{1})
	step := func(server string, state []byte) strategy.Result {
		s := round(base, fold.Grid{B: 6, W: 10})
		s.Server, s.State = server, state
		a, err := g.Begin(s, nil)
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
	first := step("halfkept", nil)
	size, err := g.StateSize("halfkept", nil, base.Schema)
	if err != nil || len(first.State) != size+len("\x08halfkept")+8+9 || len(first.Notes) != 0 {
		t.Errorf("a state of %d bytes, %d of them the optimiser's: %v; notes %q", len(first.State), size, err, first.Notes)
	}
	if r := step("sgd", first.State); r.State != nil || len(r.Notes) != 1 {
		t.Errorf("sgd has the state %x, notes %q", r.State, r.Notes)
	}
	other := bytes.Replace(first.State, []byte("\x08halfkept"), []byte("\x04adam"), 1)
	if r := step("halfkept", other); !bytes.Equal(r.State, first.State) || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "halfkept begins anew") {
		t.Errorf("after adam: state %x, want %x; notes %q", r.State, first.State, r.Notes)
	}
	wider := round(mustModel(t, model.F64, []float64{1, 2}), fold.Grid{B: 6, W: 10})
	wider.Server, wider.State = "halfkept", first.State
	a, err := g.Begin(wider, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(update(mustModel(t, model.F64, []float64{2, 2}), 1))
	if _, err := a.Result(nil, nil); !errors.Is(err, model.ErrSchema) || !strings.Contains(err.Error(), "a state of 16 bytes for halfkept, want 24") {
		t.Errorf("a state of another model: %v", err)
	}
	if n, err := g.StateSize("", nil, base.Schema); n != 0 || err != nil {
		t.Errorf("sgd: %d, %v", n, err)
	}
	if _, err := g.StateSize("lamb", nil, base.Schema); !errors.Is(err, strategy.ErrUnknown) {
		t.Errorf("lamb: %v", err)
	}
}

// An optimiser that runs away ends the round, not the next one.
func TestOptimiserOverflows(t *testing.T) {
	t.Parallel()
	g := strategy.Registry{Optimisers: []strategy.Optimiser{away{}}}
	s := round(mustModel(t, model.F64, []float64{0}), fold.Grid{B: 6, W: 10})
	s.Server = "away"
	a, err := g.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(update(mustModel(t, model.F64, []float64{1}), 1))
	if r, err := a.Result(nil, nil); !errors.Is(err, strategy.ErrNotFinite) {
		t.Errorf("%v, %v, want ErrNotFinite", r, err)
	}
}

type away struct{ strategytest.Half }

func (away) Name() string { return "away" }

func (away) Step(_, _ []float64, _ uint64, slots [][]float64) { slots[0][0] = math.Inf(1) }

// steps divides an update by the steps that its trainer took, and refuses one
// that does not say.
var steps = strategy.Linear{ID: "steps", Coefficient: func(u strategy.Update) (float64, error) {
	if n := u.Scalars["steps"]; n >= 1 {
		return 1 / n, nil
	}
	return 0, fmt.Errorf("%w: steps is %v, want 1 or more", strategy.ErrOutOfRange, u.Scalars["steps"])
}}

func TestCoefficient(t *testing.T) {
	t.Parallel()
	g := strategy.Registry{Strategies: []strategy.Strategy{steps}}
	s := round(mustModel(t, model.F64, []float64{1}), fold.Grid{B: 6, W: 10})
	s.Strategy = "steps"
	a, err := g.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	of := func(x, steps float64, n uint64) strategy.Update {
		u := update(mustModel(t, model.F64, []float64{x}), n)
		u.Scalars = map[string]float64{"steps": steps}
		return u
	}
	for _, c := range []struct {
		u    strategy.Update
		want error
	}{
		{of(8, 4, 3), nil},
		{of(8, 0, 3), strategy.ErrOutOfRange},
		{of(math.NaN(), 0, 3), strategy.ErrNotFinite},
		{of(8, math.NaN(), 3), strategy.ErrOutOfRange},
		{of(8, 4, 2000), strategy.ErrFull},
	} {
		if err := a.Check(c.u); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%v: %v, want %v", c.u.Scalars, err, c.want)
		}
	}
	a.Add(of(8, 4, 3))
	a.Add(of(-4, 1, 1))
	if got := values(result(t, a)); got[0] != 1+(3*8./4-4)/4 {
		t.Errorf("%v", got)
	}
}

// A coefficient may look at all values of an update: it is asked for once when one is added,
// not for each tensor.
func TestCoefficientAskedOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	own := strategy.Linear{ID: "own", Coefficient: func(strategy.Update) (float64, error) { asked++; return .5, nil }}
	schema := mustSchema(t, model.Spec{Name: "a", Shape: []int{2}}, model.Spec{Name: "b", Shape: []int{2}}, model.Spec{Name: "c", DType: model.F64})
	s := round(model.New(schema), fold.Grid{B: 6, W: 10})
	s.Strategy = "own"
	a, err := strategy.Registry{Strategies: []strategy.Strategy{own}}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	delta := model.New(schema)
	fill(delta, func(int) float64 { return 1 })
	a.Add(update(delta, 1))
	if asked != 1 {
		t.Errorf("asked %d times for an update of %d tensors", asked, len(schema))
	}
	for i, x := range values(result(t, a)) {
		if x != .5 {
			t.Errorf("value %d is %v", i, x)
		}
	}
}

// What a strategy keeps goes from round to round beside what the optimiser keeps; under
// another strategy it ends.
func TestCarry(t *testing.T) {
	t.Parallel()
	var got int
	g := strategy.Registry{Strategies: []strategy.Strategy{counting{&got}}, Optimisers: []strategy.Optimiser{strategytest.Half{}}}
	base := mustModel(t, model.F32, []float64{1})
	step := func(name, server string, state []byte) []byte {
		got = 0
		s := round(base, fold.Grid{B: 6, W: 10})
		s.Strategy, s.Server, s.State = name, server, state
		a, err := g.Begin(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.Add(update(mustModel(t, model.F32, []float64{1}), 1))
		r, err := a.Result(nil, nil)
		if err != nil || name == "counting" && len(r.Notes) > 0 {
			t.Fatal(r.Notes, err)
		}
		return r.State
	}
	for _, server := range []string{"sgd", "halfkept"} {
		var state []byte
		for _, want := range []int{1, 2, 3} {
			if state = step("counting", server, state); got != want {
				t.Errorf("%s: round %d, want %d", server, got, want)
			}
		}
		other := step("fedavg", server, state)
		if (other == nil) != (server == "sgd") {
			t.Errorf("%s: fedavg leaves %x", server, other)
		}
		if step("counting", server, other); got != 1 {
			t.Errorf("%s: begun anew with round %d", server, got)
		}
		for n := range state {
			s := round(base, fold.Grid{B: 6, W: 10})
			s.Strategy, s.State = "counting", state[:n]
			if _, err := g.Begin(s, nil); !errors.Is(err, model.ErrSchema) {
				t.Errorf("%s: the first %d bytes of a state: %v", server, n, err)
			}
		}
		s := round(base, fold.Grid{B: 6, W: 10})
		s.State = append(bytes.Clone(state), 0)
		if _, err := g.Begin(s, nil); !errors.Is(err, model.ErrSchema) {
			t.Errorf("%s: a byte too many: %v", server, err)
		}
	}
}

// counting is FedAvg that counts its rounds.
type counting struct{ rounds *int }

type countingFold struct {
	strategy.Fold
	rounds int
}

func (counting) Name() string { return "counting" }

func (c counting) Begin(r strategy.Round, _ strategy.Fold) (strategy.Fold, error) {
	f, err := strategy.Linear{}.Begin(r, nil)
	*c.rounds = len(r.Carried) + 1
	return countingFold{f, *c.rounds}, err
}

func (f countingFold) Finish(all *strategy.Updates, out *strategy.Output) error {
	out.Carry(make([]byte, f.rounds))
	return f.Fold.Finish(all, out)
}

// Sums that go up a tree give the bits of all updates at one place (F-8).
func TestTiers(t *testing.T) {
	t.Parallel()
	base := mixed(t)
	flat, root := begin(t, base, fold.Grid{B: 6, W: 10}), begin(t, base, fold.Grid{B: 6, W: 10})
	for area := range 3 {
		below := begin(t, base, fold.Grid{B: 6, W: 10})
		for k := range area { // the first has nobody
			delta := mixed(t)
			fill(delta, func(i int) float64 { return math.Sin(float64(i + 3*k + 7*area)) })
			add(t, flat, delta, uint64(k+2))
			add(t, below, delta, uint64(k+2))
		}
		if err := tiered(root).AddSums(tiered(below).AppendSums(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if want, got := result(t, flat), result(t, root); !bytes.Equal(got.Blob, want.Blob) {
		t.Errorf("over a tree %x, flat %x", got.Blob, want.Blob)
	}
}

func tiered(a *strategy.Aggregation) strategy.Tiered { return a.Fold.(strategy.Tiered) }

// Sums that no members of that weight can give are refused, and change nothing.
func TestForeignSums(t *testing.T) {
	t.Parallel()
	base := mustModel(t, model.F32, []float64{0})
	good := func() []byte { // of two members, the weight 8 together
		a := begin(t, base, fold.Grid{B: 6, W: 4})
		add(t, a, mustModel(t, model.F32, []float64{64}), 5)
		add(t, a, mustModel(t, model.F32, []float64{64}), 3)
		return tiered(a).AppendSums(nil)
	}
	set := func(at int, v uint64) []byte {
		b := good()
		binary.LittleEndian.PutUint64(b[8*at:], v)
		return b
	}
	most := binary.LittleEndian.Uint64(good()[16:])
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"good":            {good(), nil},
		"short":           {good()[1:], strategy.ErrOutOfRange},
		"too heavy":       {set(0, 9), strategy.ErrFull},
		"overflows":       {set(0, math.MaxUint64), strategy.ErrFull},
		"more than can":   {set(2, most+1), strategy.ErrOutOfRange},
		"less than can":   {set(2, -most-1), strategy.ErrOutOfRange},
		"nobody's weight": {set(1, 0), strategy.ErrOutOfRange},
		"crowd":           {set(1, 9), strategy.ErrOutOfRange},
	} {
		a := begin(t, base, fold.Grid{B: 6, W: 4})
		add(t, a, mustModel(t, model.F32, []float64{1}), 8)
		before := tiered(a).AppendSums(nil)
		if err := tiered(a).AddSums(c.b); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		} else if err != nil && !bytes.Equal(tiered(a).AppendSums(nil), before) {
			t.Errorf("%s: the sums have changed", name)
		}
	}
}

// masked is an encoding whose bytes tell nothing.
type masked struct{ eighths }

func (masked) Name() string { return "masked" }
func (masked) Opaque()      {}

// What is sealed or masked travels whole, and what nobody knows (TR-74).
func TestWhole(t *testing.T) {
	t.Parallel()
	g := strategy.Registry{Encodings: []strategy.Encoding{eighths{}, masked{}}}
	for encoding, want := range map[string]bool{"": false, strategy.Dense: false, "eighths": false, "masked": true, "other": true} {
		if got := g.Whole(encoding); got != want {
			t.Errorf("%q: %v", encoding, got)
		}
	}
}
