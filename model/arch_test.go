package model_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
)

var mlp = model.Arch{Kind: "mlp", Inputs: 48, Hidden: []int{32}, Outputs: 1, Task: "regression", Seed: 1}

// The pinned id makes every CPU draw the same bits.
func TestInitPinned(t *testing.T) {
	t.Parallel()
	const want = "edb24033cb5adf1aa223747746fafb00f40aebe89966790e238bd3ff64249289"
	m, err := mlp.New(true)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.ContentID().String(); got != want {
		t.Errorf("initial model %s, want %s", got, want)
	}
}

func TestInitSeeds(t *testing.T) {
	t.Parallel()
	ids := map[model.Hash]uint64{}
	for seed := range uint64(50) {
		a := mlp
		a.Seed = seed
		m, err1 := a.New(false)
		again, err2 := a.New(false)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		id := m.ContentID()
		if other, ok := ids[id]; ok || id != again.ContentID() {
			t.Errorf("seed %d: again %v; same as seed %d: %v", seed, id == again.ContentID(), other, ok)
		}
		ids[id] = seed
	}
}

// He: mean 0 and variance 2/fan_in, each layer its own numbers, no bias.
func TestInitHe(t *testing.T) {
	t.Parallel()
	m, err := model.Arch{Kind: "mlp", Inputs: 400, Hidden: []int{400, 100}, Outputs: 400, Task: "regression", Seed: 7}.New(false)
	if err != nil {
		t.Fatal(err)
	}
	var first []float32
	for i, in := range []int{400, 400, 100} {
		w, err := m.Float32s(model.WeightName(i))
		if err != nil {
			t.Fatal(err)
		}
		var sum, sq, quad float64
		for _, x := range w {
			z := float64(x) / math.Sqrt(2/float64(in))
			sum, sq, quad = sum+z, sq+z*z, quad+z*z*z*z
		}
		n := float64(len(w))
		// Six standard errors of a mean, a variance and a fourth moment.
		if math.Abs(sum/n) > 6/math.Sqrt(n) || math.Abs(sq/n-1) > 9/math.Sqrt(n) || math.Abs(quad/n-2.9) > 60/math.Sqrt(n) {
			t.Errorf("layer %d: mean %g, variance %g, fourth moment %g of unit draws", i, sum/n, sq/n, quad/n)
		}
		if i > 0 && slices.Equal(first[:100], w[:100]) {
			t.Errorf("layer %d repeats layer 0", i)
		}
		first = w
		bias, err := m.Float32s(model.BiasName(i))
		if err != nil || slices.ContainsFunc(bias, func(b float32) bool { return b != 0 }) {
			t.Errorf("layer %d: bias %v, %v", i, bias[:3], err)
		}
	}
}

func TestArchZScore(t *testing.T) {
	t.Parallel()
	m, err := model.Arch{Kind: "softmax", Inputs: 2, Outputs: 3}.New(true)
	if err != nil {
		t.Fatal(err)
	}
	mean, err1 := m.Float64s(model.ZMeanName)
	sd, err2 := m.Float64s(model.ZSDName)
	w, err3 := m.Float32s(model.WeightName(0))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(mean, []float64{0, 0}) || !slices.Equal(sd, []float64{1, 1}) || !slices.Equal(w, make([]float32, 6)) {
		t.Errorf("mean %v, sd %v, weights %v", mean, sd, w)
	}
	shared := m.Schema.Shared()
	if len(shared) != 2 || !slices.Equal(shared[1].Shape, []int{3, 2}) {
		t.Errorf("an update carries %v", shared)
	}
}

func TestArchValidate(t *testing.T) {
	t.Parallel()
	with := func(change func(*model.Arch)) model.Arch {
		a := mlp
		a.Hidden = slices.Clone(mlp.Hidden)
		change(&a)
		return a
	}
	for name, a := range map[string]model.Arch{
		"nothing":        {},
		"unknown":        with(func(a *model.Arch) { a.Kind = "cnn" }),
		"no task":        with(func(a *model.Arch) { a.Task = "" }),
		"other task":     with(func(a *model.Arch) { a.Task = "ranking" }),
		"no hidden":      with(func(a *model.Arch) { a.Hidden = nil }),
		"deep":           with(func(a *model.Arch) { a.Hidden = make([]int, 17) }),
		"width 0":        with(func(a *model.Arch) { a.Hidden[0] = 0 }),
		"no input":       with(func(a *model.Arch) { a.Inputs = 0 }),
		"no output":      with(func(a *model.Arch) { a.Outputs = 0 }),
		"one class":      with(func(a *model.Arch) { a.Task = "classification" }),
		"too large":      with(func(a *model.Arch) { a.Inputs, a.Hidden[0] = 1<<24, 1<<24 }),
		"linear classes": {Kind: "linear", Inputs: 1, Outputs: 2, Task: "classification"},
		"softmax hidden": {Kind: "softmax", Inputs: 1, Outputs: 2, Hidden: []int{3}},
	} {
		if err := a.Validate(); !errors.Is(err, model.ErrArch) {
			t.Errorf("%s: %v, want ErrArch", name, err)
		}
		if m, err := a.New(false); err == nil {
			t.Errorf("%s: a model %v", name, m.Schema)
		}
	}
}
