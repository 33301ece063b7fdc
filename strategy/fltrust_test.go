package strategy_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

func trusting(t *testing.T, root []float64, d model.DType, base []float64) *strategy.Aggregation {
	t.Helper()
	s := round(mustModel(t, d, base), fold.Grid{B: 6, W: 10})
	s.Strategy = "fltrust"
	if root != nil {
		s.Root = mustModel(t, d, root)
	}
	a, err := strategy.Registry{}.Begin(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFLTrustVectors(t *testing.T) {
	t.Parallel()
	cases := load(t, "fltrust")
	if len(cases) < 1 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, v := range cases {
		in := parse[struct {
			Root    []float64 `json:"root_delta"`
			Updates []trained `json:"updates"`
		}](t, v.Input)
		want := parse[struct {
			Trust []float64 `json:"trust"`
			Delta []float64 `json:"delta"`
		}](t, v.Expected)
		a := trusting(t, in.Root, model.F64, make([]float64, len(in.Root)))
		for i, u := range in.Updates {
			delta := mustModel(t, model.F64, u.Delta)
			if err := a.Check(update(delta, 1)); err != nil {
				t.Fatal(err)
			}
			a.Add(update(delta, 1))
			alone := trusting(t, in.Root, model.F64, make([]float64, len(in.Root))) // one that counts has the length of the root's
			alone.Add(update(delta, 1))
			length := 0.0
			for _, x := range values(result(t, alone)) {
				length += x * x
			}
			if counts := length > 0; counts != (want.Trust[i] > 0) || counts && math.Abs(math.Sqrt(length)-math.Sqrt(.25+1+.04)) > 1e-9 {
				t.Errorf("%s: update %d alone has the length %v, its trust is %v", v.ID, i, math.Sqrt(length), want.Trust[i])
			}
		}
		for j, got := range values(result(t, a)) {
			if !(math.Abs(got-want.Delta[j]) <= v.Tol.Abs+v.Tol.Rel*math.Abs(want.Delta[j])) {
				t.Errorf("%s: w[%d] is %v, want %v", v.ID, j, got, want.Delta[j])
			}
		}
	}
}

// What does not point where the aggregator's own update does changes nothing, and the
// record says so if nothing is left; nothing is trusted for its length.
func TestFLTrust(t *testing.T) {
	t.Parallel()
	base := []float64{1, math.Copysign(0, -1), .5}
	a := trusting(t, []float64{0, 1, 0}, model.F32, base)
	for _, x := range [][]float64{{0, -60, 0}, {5, 0, 0}, {0, 0, 0}} {
		if err := a.Check(update(mustModel(t, model.F32, x), 1)); err != nil {
			t.Fatal(err)
		}
		a.Add(update(mustModel(t, model.F32, x), 1))
	}
	r, err := a.Result(nil, nil)
	if err != nil || string(r.Model.Blob) != string(mustModel(t, model.F32, base).Blob) || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "the model stays as it is") {
		t.Errorf("%v, notes %q, %v", r.Model, r.Notes, err)
	}
	long := trusting(t, []float64{0, 1, 0}, model.F32, base)
	long.Add(update(mustModel(t, model.F32, []float64{0, 50, 0}), 1))
	if got := values(result(t, long)); got[1] != 1 {
		t.Errorf("a long update: %v", got)
	}
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		if err := long.Check(update(mustModel(t, model.F32, []float64{0, x, 0}), 1)); !errors.Is(err, strategy.ErrNotFinite) {
			t.Errorf("%v: %v", x, err)
		}
	}
	if _, is := long.Fold.(strategy.Tiered); is {
		t.Error("it would go up a tree")
	}
	none := trusting(t, nil, model.F32, base)
	if err := none.Check(update(mustModel(t, model.F32, []float64{0, 1, 0}), 1)); !errors.Is(err, strategy.ErrOutOfRange) {
		t.Errorf("without an update of its own: %v", err)
	}
	s := round(mustModel(t, model.F32, base), fold.Grid{B: 6, W: 10})
	s.Strategy, s.Root = "fltrust", mustModel(t, model.F64, base)
	if _, err := (strategy.Registry{}).Begin(s, nil); !errors.Is(err, model.ErrSchema) {
		t.Errorf("of another schema: %v", err)
	}
}
