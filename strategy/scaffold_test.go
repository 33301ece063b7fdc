package strategy_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// steered is a model of two tensors with control variates.
func steered(t *testing.T, d model.DType) *model.Model {
	t.Helper()
	m, err := model.New(mustSchema(t, model.Spec{Name: "a", DType: d, Shape: []int{2}}, model.Spec{Name: "z", DType: d, Shape: []int{1}},
		model.Spec{Name: "kept", Shape: []int{1}, Rule: model.Keep})).WithControls()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// floats reads the tensors that a test names, in order.
func floats(t *testing.T, m *model.Model, names ...string) (all []float64) {
	t.Helper()
	for _, name := range names {
		i := m.Schema.Index(name)
		all = append(all, values(&model.Model{Schema: model.Schema{m.Schema[i]}, Blob: m.Bytes(name)})...)
	}
	return all
}

// control makes an update: of a and z, and of their control variates.
func control(t *testing.T, base *model.Model, x, c []float64) strategy.Update {
	t.Helper()
	s, err := base.Schema.Controlled()
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	of := func(v []float64) func(int) float64 { return func(i int) float64 { return v[i] } }
	for _, part := range []struct {
		name string
		v    []float64
	}{{"a", x[:2]}, {"z", x[2:]}, {"fedmq.c/a", c[:2]}, {"fedmq.c/z", c[2:]}} {
		one := &model.Model{Schema: model.Schema{s[s.Index(part.name)]}, Blob: m.Bytes(part.name)}
		fill(one, of(part.v))
	}
	return strategy.Update{Samples: 9, Weight: 1, Tensors: m, Scalars: map[string]float64{"steps": 5, "lr": .1, "momentum": 0}}
}

// The control variates of the vectors, in both types; c is kept in 64 bits.
func TestScaffoldVector(t *testing.T) {
	t.Parallel()
	found := 0
	for _, v := range load(t, "scaffold") {
		if v.ID != "scaffold-server" {
			continue
		}
		found++
		in := parse[struct {
			C      []float64
			DeltaC [][]float64 `json:"delta_c"`
		}](t, v.Input)
		p := parse[struct{ N int }](t, v.Params)
		want := parse[struct{ C []float64 }](t, v.Expected)
		for _, d := range []model.DType{model.F64, model.F32} {
			s := setup("scaffold", strategy.Settings{"eta_g": .5}, 2)
			s.Base, s.Enrolled = steered(t, d), p.N
			u := control(t, s.Base, []float64{0, 0, 0}, in.C)
			for _, name := range []string{"fedmq.c/a", "fedmq.c/z"} {
				copy(s.Base.Bytes(name), u.Tensors.Bytes(name))
			}
			var state []byte
			for range 2 { // the second time on what the first has kept
				a, err := strategy.Registry{}.Begin(s, nil)
				if err != nil {
					t.Fatal(err)
				}
				for i, dc := range in.DeltaC {
					u := control(t, s.Base, []float64{1, 2, float64(i)}, dc)
					if err := a.Check(u); err != nil {
						t.Fatal(err)
					}
					a.Add(u)
				}
				r, err := a.Result(nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Notes) > 0 {
					t.Errorf("notes %q", r.Notes)
				}
				if state == nil {
					tol := 1e-9
					if d == model.F32 {
						tol = 1e-6
					}
					near(t, v.ID, floats(t, r.Model, "fedmq.c/a", "fedmq.c/z"), want.C, tol, tol)
					near(t, "model", floats(t, r.Model, "a", "z", "kept"), []float64{.5, 1, .25, 0}, 1e-9, 1e-9)
				}
				state = r.State
				s.Base, s.State = r.Model, r.State
			}
			move := func(i int) float64 { return in.C[i] + 2*(want.C[i]-in.C[i]) }
			near(t, "twice", floats(t, s.Base, "fedmq.c/a", "fedmq.c/z"), []float64{move(0), move(1), move(2)}, 1e-6, 1e-6)
		}
	}
	if found != 1 {
		t.Errorf("%d vectors", found)
	}
}

// The same updates give the same bits in any order, and over memory that was used before.
func TestScaffoldOrder(t *testing.T) {
	t.Parallel()
	s := setup("scaffold", nil, 4)
	s.Base, s.Enrolled = steered(t, model.F32), 3
	var list []strategy.Update
	for k := range 3 {
		x := float64(k) + .1
		list = append(list, control(t, s.Base, []float64{x, -x / 3, math.Sin(x)}, []float64{x / 7, -x, math.Cos(x)}))
	}
	var before *strategy.Aggregation
	var first strategy.Result
	for range 2 {
		a, err := strategy.Registry{}.Begin(s, before)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			a.Add(u)
		}
		r, err := a.Result(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && (!bytes.Equal(r.Model.Blob, first.Model.Blob) || !bytes.Equal(r.State, first.State)) {
			t.Error("other bits in another order")
		}
		before, first = a, r
		slices.Reverse(list)
	}
}

func TestScaffoldRefuses(t *testing.T) {
	t.Parallel()
	s := setup("scaffold", nil, 4)
	s.Base = mustModel(t, model.F32, []float64{1})
	if _, err := (strategy.Registry{}).Begin(s, nil); !errors.Is(err, strategy.ErrUnsupported) || !strings.Contains(err.Error(), "no control variates") {
		t.Errorf("a model without control variates: %v", err)
	}
	s.Base = steered(t, model.F32)
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*strategy.Update)
		want   error
	}{
		"no lr":    {func(u *strategy.Update) { delete(u.Scalars, "lr") }, strategy.ErrOutOfRange},
		"no steps": {func(u *strategy.Update) { u.Scalars["steps"] = 0 }, strategy.ErrOutOfRange},
		"NaN of c": {func(u *strategy.Update) {
			u.Tensors.Bytes("fedmq.c/z")[3], u.Tensors.Bytes("fedmq.c/z")[2] = 0x7f, 0xc0
		}, strategy.ErrNotFinite},
		"far":          {func(u *strategy.Update) { *u = control(t, s.Base, []float64{0, 0, 0}, []float64{0, 65, 0}) }, strategy.ErrOutOfRange},
		"nothing of c": {func(u *strategy.Update) { u.Tensors = u.Tensors.WithoutControls() }, model.ErrSchema},
	} {
		u := control(t, s.Base, []float64{1, 1, 1}, []float64{1, 1, 1})
		if c.change(&u); !errors.Is(a.Check(u), c.want) {
			t.Errorf("%s: %v, want %v", name, a.Check(u), c.want)
		}
	}
	if l, err := (strategy.Registry{}).Local(s); err != nil || fmt.Sprint(l.Needs) != "[correction sgd steps]" {
		t.Errorf("%v, %v", l, err)
	}
}
