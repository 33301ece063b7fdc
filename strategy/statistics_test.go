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

// moments is a statistics update.
func moments(t *testing.T, n, mean, m2 []float64) *model.Model {
	t.Helper()
	m := model.New(model.StatisticsSchema(len(n), 0))
	if err := errors.Join(m.SetFloat64s(model.StatNName, n), m.SetFloat64s(model.StatMeanName, mean), m.SetFloat64s(model.StatM2Name, m2)); err != nil {
		t.Fatal(err)
	}
	return m
}

// scaled is a model with a place for a z-score of two features.
func scaled(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.Arch{Kind: "linear", Inputs: 2, Outputs: 1}.New(true)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wide is a model with a place for as many features as an update has.
func wide(t *testing.T, update *model.Model) *model.Model {
	t.Helper()
	m, err := model.Arch{Kind: "linear", Inputs: max(1, update.Schema.Elements()/3), Outputs: 1}.New(true)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// statistics begins a statistics round.
func statistics(t *testing.T, base *model.Model) *strategy.Aggregation {
	t.Helper()
	a, err := strategy.Registry{}.Begin(strategy.Setup{Work: strategy.Statistics, Round: strategy.Round{Base: base}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// updates reads models as a fold does at its end.
func updates(list ...*model.Model) *strategy.Updates {
	all := &strategy.Updates{Schema: list[0].Schema, ReadAt: func(p []byte, i, off int) error {
		copy(p, list[i].Blob[off:])
		return nil
	}}
	for range list {
		all.List = append(all.List, strategy.Update{Samples: 1, Weight: 1})
	}
	return all
}

// The rows 1, 2, 3 and 5, 7 of one feature; the other feature is seen by nobody.
func TestStatistics(t *testing.T) {
	t.Parallel()
	base := scaled(t)
	pool := statistics(t, base)
	list := []*model.Model{
		moments(t, []float64{3, 0}, []float64{2, 0}, []float64{2, 0}),
		moments(t, []float64{2, 0}, []float64{6, 9}, []float64{2, 9}), // n = 0: the rest says nothing
	}
	for _, u := range list {
		if !u.Schema.Equal(pool.Schema()) {
			t.Errorf("schema %v", pool.Schema())
		}
		if err := pool.Check(update(u, 1)); err != nil || pool.Measure(update(u, 1)).Norm != 0 {
			t.Fatal(err)
		}
		pool.Add(update(u, 1))
	}
	made, err := pool.Result(updates(list...), nil)
	if err != nil {
		t.Fatal(err)
	}
	next := made.Model
	if len(made.Notes) != 1 || !strings.HasPrefix(made.Notes[0], "the features [1], counted from 0, are the same") {
		t.Errorf("notes %q", made.Notes)
	}
	mean, _ := next.Float64s(model.ZMeanName)
	sd, _ := next.Float64s(model.ZSDName)
	if mean[0] != 3.6 || math.Abs(sd[0]-math.Sqrt(23.2/5)) > 1e-15 || mean[1] != 0 || sd[1] != 1 {
		t.Errorf("mean %v, sd %v", mean, sd)
	}
	if before, _ := base.Float64s(model.ZMeanName); before[0] != 0 {
		t.Error("the base was changed")
	}
}

func TestStatisticsRefuses(t *testing.T) {
	t.Parallel()
	one := []float64{1}
	for _, c := range []struct {
		name   string
		update *model.Model
		want   error
	}{
		{"NaN", moments(t, one, []float64{math.NaN()}, one), fold.ErrNotFinite},
		{"half a row", moments(t, []float64{0.5}, one, one), fold.ErrOutOfRange},
		{"mean beyond the bound", moments(t, one, []float64{1e101}, one), fold.ErrOutOfRange},
		{"M2 beyond the bound", moments(t, one, one, []float64{1e251}), fold.ErrOutOfRange},
		{"other tensors", scaled(t), model.ErrSchema},
	} {
		if err := statistics(t, wide(t, c.update)).Check(update(c.update, 1)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := statistics(t, scaled(t)).Check(update(moments(t, one, one, one), 1)); !errors.Is(err, model.ErrSchema) {
		t.Errorf("one feature for two: %v", err)
	}
	plain, err := model.Arch{Kind: "linear", Inputs: 2, Outputs: 1}.New(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (strategy.Registry{}).Begin(strategy.Setup{Work: strategy.Statistics, Round: strategy.Round{Base: plain}}, nil); !errors.Is(err, model.ErrTensor) || len(strategy.StatisticsOf(plain.Schema)) != 0 {
		t.Errorf("a model without a z-score: %v", err)
	}
}

func TestNorm(t *testing.T) {
	t.Parallel()
	m := model.New(mustSchema(t, model.Spec{Name: "a", Shape: []int{2}}, model.Spec{Name: "b", DType: model.I64}, model.Spec{Name: "c", DType: model.F64}))
	if err := errors.Join(m.SetFloat32s("a", []float32{2, -3}), m.SetFloat64s("c", []float64{6})); err != nil {
		t.Fatal(err)
	}
	m.Bytes("b")[0] = 100 // integers are not measured
	if got := strategy.Norm(m); got != 7 {
		t.Errorf("norm %v, want 7", got)
	}
}

// The rows of each class are added up over the sites.
func TestStatisticsOfClasses(t *testing.T) {
	t.Parallel()
	base, err := model.Arch{Kind: "softmax", Inputs: 2, Outputs: 3, Counted: true}.New(true)
	if err != nil {
		t.Fatal(err)
	}
	site := func(rows ...float64) *model.Model {
		m := model.New(model.StatisticsSchema(2, 3))
		ones := []float64{1, 1}
		if err := errors.Join(m.SetFloat64s(model.StatNName, ones), m.SetFloat64s(model.StatMeanName, ones), m.SetFloat64s(model.StatClassesName, rows)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	pool, list := statistics(t, base), []*model.Model{site(5, 0, 1<<31), site(7, 0, 2)}
	for _, u := range list {
		if err := pool.Check(update(u, 1)); err != nil {
			t.Fatal(err)
		}
		pool.Add(update(u, 1))
	}
	made, err := pool.Result(updates(list...), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := made.Model.Float64s(model.ClassRowsName)
	mean, _ := made.Model.Float64s(model.ZMeanName)
	if err != nil || rows[0] != 12 || rows[1] != 0 || rows[2] != 1<<31+2 || mean[1] != 1 {
		t.Errorf("rows %v, mean %v, %v", rows, mean, err)
	}
	for bad, want := range map[float64]error{-1: fold.ErrOutOfRange, 0.5: fold.ErrOutOfRange, 1 << 32: fold.ErrOutOfRange, math.Inf(1): fold.ErrNotFinite} {
		if err := pool.Check(update(site(1, bad, 1), 1)); !errors.Is(err, want) {
			t.Errorf("%v rows: %v, want %v", bad, err, want)
		}
	}
	if err := pool.Check(update(moments(t, []float64{1, 1}, []float64{1, 1}, []float64{1, 1}), 1)); !errors.Is(err, model.ErrSchema) {
		t.Errorf("no classes: %v", err)
	}
}
