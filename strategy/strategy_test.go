package strategy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// mustSchema returns the schema of tensors.
func mustSchema(t testing.TB, specs ...model.Spec) model.Schema {
	t.Helper()
	s, err := model.NewSchema(specs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustModel returns a model of one tensor "w".
func mustModel(t testing.TB, d model.DType, w []float64) *model.Model {
	t.Helper()
	var err error
	m := model.New(mustSchema(t, model.Spec{Name: "w", DType: d, Shape: []int{len(w)}}))
	if d == model.F64 {
		err = m.SetFloat64s("w", w)
	} else {
		x := make([]float32, len(w))
		for i := range w {
			x[i] = float32(w[i])
		}
		err = m.SetFloat32s("w", x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// round is one of training on a grid.
func round(base *model.Model, g fold.Grid) strategy.Setup {
	return strategy.Setup{Work: strategy.Train, Round: strategy.Round{Base: base, GridB: g.B, GridW: g.W}}
}

// begin starts a round of FedAvg.
func begin(t testing.TB, base *model.Model, g fold.Grid) *strategy.Aggregation {
	t.Helper()
	a, err := strategy.Registry{}.Begin(round(base, g), nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// update is one of weight n.
func update(delta *model.Model, n uint64) strategy.Update {
	return strategy.Update{Samples: n, Weight: n, Tensors: delta}
}

// add checks and adds.
func add(t testing.TB, a *strategy.Aggregation, delta *model.Model, n uint64) {
	t.Helper()
	if err := a.Check(update(delta, n)); err != nil {
		t.Fatal(err)
	}
	a.Add(update(delta, n))
}

// result is the model after a round.
func result(t testing.TB, a *strategy.Aggregation) *model.Model {
	t.Helper()
	r, err := a.Result(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Model
}

type trained struct {
	Member string    `json:"member"`
	W      []float64 `json:"w"`
	Delta  []float64 `json:"delta"`
	N      uint64    `json:"n"`
}

type vector struct {
	ID       string                     `json:"id"`
	Strategy string                     `json:"strategy"`
	Params   json.RawMessage            `json:"params"`
	Input    json.RawMessage            `json:"input"`
	Expected json.RawMessage            `json:"expected"`
	Tol      struct{ Rel, Abs float64 } `json:"tolerance"`
}

func load(t testing.TB, name string) []vector {
	t.Helper()
	b, err := os.ReadFile("../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []vector `json:"cases"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	var out []vector
	for _, v := range file.Cases {
		if v.Strategy == name {
			out = append(out, v)
		}
	}
	return out
}

func parse[T any](t testing.TB, raw json.RawMessage) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// rounds brings both forms of input to the one of whole models.
func (v vector) rounds(t testing.TB) (base []float64, rounds [][]trained, models [][]float64) {
	in := parse[struct {
		Base    []float64   `json:"base"`
		Rounds  [][]trained `json:"rounds"`
		Updates []trained   `json:"updates"`
	}](t, v.Input)
	want := parse[struct {
		Models [][]float64 `json:"models"`
		Delta  []float64   `json:"delta"`
	}](t, v.Expected)
	if in.Updates == nil {
		return in.Base, in.Rounds, want.Models
	}
	for i := range in.Updates {
		in.Updates[i].W = in.Updates[i].Delta
	}
	return make([]float64, len(want.Delta)), [][]trained{in.Updates}, [][]float64{want.Delta}
}

// f64 tensors carry the vectors' numbers; f32 ones round them to 24 bits.
func TestFedAvgVectors(t *testing.T) {
	t.Parallel()
	cases := load(t, "fedavg")
	if len(cases) < 4 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, v := range cases {
		for _, d := range []model.DType{model.F64, model.F32} {
			t.Run(fmt.Sprintf("%s/%v", v.ID, d), func(t *testing.T) {
				t.Parallel()
				tol := v.Tol // the case is shared by the types
				if d == model.F32 {
					tol.Rel, tol.Abs = 1e-6, 1e-6
				}
				base, rounds, models := v.rounds(t)
				for i, sites := range rounds {
					got := fedAvgRound(t, d, base, sites)
					for j, want := range models[i] {
						if !(math.Abs(got[j]-want) <= tol.Abs+tol.Rel*math.Abs(want)) {
							t.Errorf("round %d, w[%d] is %v, want %v", i+1, j, got[j], want)
						}
					}
					base = models[i]
				}
			})
		}
	}
}

// fedAvgRound trains one round in which each site ends at its W.
func fedAvgRound(t *testing.T, d model.DType, base []float64, sites []trained) []float64 {
	t.Helper()
	total := uint64(0)
	for _, s := range sites {
		total += s.N
	}
	g, err := fold.NewGrid(6, 1, total)
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, mustModel(t, d, base), g)
	for _, site := range sites {
		delta := make([]float64, len(base))
		for i := range base {
			delta[i] = site.W[i] - base[i]
		}
		add(t, s, mustModel(t, d, delta), site.N)
	}
	next := result(t, s)
	if d == model.F64 {
		w, err := next.Float64s("w")
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w32, err := next.Float32s("w")
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float64, len(w32))
	for i, x := range w32 {
		w[i] = float64(x)
	}
	return w
}

// The grid holds exactly the cohort that the weight cap was made for.
func TestWeightCapGrid(t *testing.T) {
	t.Parallel()
	cases := load(t, "weights")
	if len(cases) < 3 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, v := range cases {
		want := parse[struct {
			Cap     uint64   `json:"cap"`
			Weights []uint64 `json:"weights"`
			W       int      `json:"w"`
		}](t, v.Expected)
		g, err := fold.NewGrid(6, uint64(len(want.Weights)), want.Cap)
		if err != nil || g.W != want.W {
			t.Errorf("%s: grid %v, %v, want w %d", v.ID, g, err, want.W)
		}
		s := begin(t, mustModel(t, model.F32, []float64{1}), g)
		for _, n := range want.Weights {
			add(t, s, mustModel(t, model.F32, []float64{64}), n)
		}
		if next := result(t, s); !bytes.Equal(next.Blob, mustModel(t, model.F32, []float64{65}).Blob) {
			t.Errorf("%s: %v", v.ID, next)
		}
	}
}

// A federation in which nobody learns anything keeps the model's bits, round
// after round, zeros of both signs and subnormals included.
func TestNoOpFederation(t *testing.T) {
	t.Parallel()
	schema, err := model.NewSchema(
		model.Spec{Name: "a", Shape: []int{4}},
		model.Spec{Name: "b", DType: model.F64, Shape: []int{2}},
		model.Spec{Name: "k", DType: model.I64, Shape: []int{1}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	base := model.New(schema)
	negZero := math.Copysign(0, -1)
	err = errors.Join(
		base.SetFloat32s("a", []float32{float32(negZero), 0, -math.SmallestNonzeroFloat32, 0.1}),
		base.SetFloat64s("b", []float64{negZero, 1e300}))
	if err != nil {
		t.Fatal(err)
	}
	base.Bytes("k")[0] = 42
	id := base.ContentID()
	g := fold.Grid{B: 6, W: 20}
	m := base
	for range 5 {
		s := begin(t, m, g)
		for n := range uint64(3) {
			delta := model.New(schema.Shared())
			if err := delta.SetFloat32s("a", []float32{float32(negZero), float32(negZero), 0, 0}); err != nil {
				t.Fatal(err)
			}
			add(t, s, delta, n+1)
		}
		if m = result(t, s); m.ContentID() != id {
			t.Fatalf("the model has changed: %x, want %x", m.Blob, base.Blob)
		}
	}
}

func TestMixedTensors(t *testing.T) {
	t.Parallel()
	schema, err := model.NewSchema(
		model.Spec{Name: "f32", Shape: []int{1}},
		model.Spec{Name: "f64", DType: model.F64, Shape: []int{1}},
		model.Spec{Name: "kept", Shape: []int{1}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	base := model.New(schema)
	if err := errors.Join(base.SetFloat32s("f32", []float32{1}), base.SetFloat64s("f64", []float64{2}), base.SetFloat32s("kept", []float32{3})); err != nil {
		t.Fatal(err)
	}
	before := base.ContentID()
	s := begin(t, base, fold.Grid{B: 6, W: 20})
	for _, v := range []struct {
		x float64
		n uint64
	}{{1, 1}, {5, 3}} {
		delta := model.New(schema.Shared())
		if err := errors.Join(delta.SetFloat32s("f32", []float32{float32(v.x)}), delta.SetFloat64s("f64", []float64{-v.x})); err != nil {
			t.Fatal(err)
		}
		add(t, s, delta, v.n)
	}
	next := result(t, s)
	a, err1 := next.Float32s("f32")
	b, err2 := next.Float64s("f64")
	k, err3 := next.Float32s("kept")
	if err := errors.Join(err1, err2, err3); err != nil || a[0] != 5 || b[0] != -2 || k[0] != 3 {
		t.Errorf("%v %v %v, %v, want 5, -2, 3", a, b, k, err)
	}
	if base.ContentID() != before {
		t.Error("the base has changed")
	}
	// A new attempt starts over, on another grid.
	again, err := strategy.Registry{}.Begin(round(next, fold.Grid{B: 5, W: 10}), s)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := again.Result(nil, nil); !errors.Is(err, strategy.ErrEmpty) {
		t.Errorf("after Begin: %v, %v", r, err)
	}
}

// The verdict is of the worst fault, wherever it stands, and nothing is added.
func TestCheck(t *testing.T) {
	t.Parallel()
	schema, err := model.NewSchema(model.Spec{Name: "a", Shape: []int{2}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, model.New(schema), fold.Grid{B: 6, W: 4})
	nan, inf := math.NaN(), math.Inf(1)
	for _, tc := range []struct {
		a    float64
		b    float64
		n    uint64
		want error
	}{
		{64, -64, 16, nil},
		{65, 0, 1, fold.ErrOutOfRange},
		{0, 64.1, 1, fold.ErrOutOfRange},
		{65, nan, 1, fold.ErrNotFinite},
		{inf, 65, 1, fold.ErrNotFinite},
		{0, 0, 0, fold.ErrOutOfRange},
		{nan, 0, 0, fold.ErrNotFinite},
		{1, 1, 17, fold.ErrFull},
		{1, 65, 17, fold.ErrOutOfRange},
		{1, inf, 17, fold.ErrNotFinite},
	} {
		delta := model.New(schema)
		if err := errors.Join(delta.SetFloat32s("a", []float32{0, float32(tc.a)}), delta.SetFloat64s("b", []float64{tc.b})); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(update(delta, tc.n)); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%v: %v", tc, err)
		}
	}
	if _, err := s.Result(nil, nil); !errors.Is(err, strategy.ErrEmpty) {
		t.Errorf("after checks alone: %v", err)
	}
	short := model.New(schema)
	short.Blob = short.Blob[1:]
	for name, delta := range map[string]*model.Model{"short": short, "other": mustModel(t, model.F32, []float64{1})} {
		if err := s.Check(update(delta, 1)); !errors.Is(err, model.ErrSchema) {
			t.Errorf("%s: %v, want ErrSchema", name, err)
		}
	}
}

func TestBeginRefuses(t *testing.T) {
	t.Parallel()
	one := func(spec model.Spec) *model.Model {
		spec.Name, spec.Shape = "t", []int{1}
		s, err := model.NewSchema(spec)
		if err != nil {
			t.Fatal(err)
		}
		return model.New(s)
	}
	short := one(model.Spec{})
	short.Blob = nil
	good := fold.Grid{B: 6, W: 20}
	for name, tc := range map[string]struct {
		base *model.Model
		grid fold.Grid
		want error
	}{
		"integer mean": {one(model.Spec{DType: model.I64}), good, strategy.ErrUnsupported},
		"integer max":  {one(model.Spec{DType: model.I64, Rule: model.Max}), good, strategy.ErrUnsupported},
		"f16":          {one(model.Spec{DType: model.F16}), good, strategy.ErrUnsupported},
		"float max":    {one(model.Spec{Rule: model.Max}), good, strategy.ErrUnsupported},
		"all kept":     {one(model.Spec{Rule: model.Keep}), good, strategy.ErrUnsupported},
		"short":        {short, good, model.ErrSchema},
		"grid":         {one(model.Spec{}), fold.Grid{B: 6, W: 60}, fold.ErrGrid},
		"NaN":          {mustModel(t, model.F32, []float64{math.NaN()}), good, fold.ErrNotFinite},
		"infinity":     {mustModel(t, model.F64, []float64{math.Inf(-1)}), good, fold.ErrNotFinite},
	} {
		if _, err := (strategy.Registry{}).Begin(round(tc.base, tc.grid), nil); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// A mean that leaves the range of float32 is no model.
func TestOverflow(t *testing.T) {
	t.Parallel()
	base := mustModel(t, model.F32, []float64{math.MaxFloat32})
	g := fold.Grid{B: 110, W: 4}
	s := begin(t, base, g)
	add(t, s, mustModel(t, model.F32, []float64{math.Ldexp(1, 110)}), 1)
	if r, err := s.Result(nil, nil); !errors.Is(err, fold.ErrNotFinite) {
		t.Errorf("%v, %v, want ErrNotFinite", r, err)
	}
}
