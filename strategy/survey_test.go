package strategy_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// shape is a survey of two features with three bins; the second has a range.
var shape = model.Survey{Features: 2, Bins: 3, Quantiles: 2, Extremes: true}

func surveyed(t *testing.T, least float64) *model.Model {
	t.Helper()
	m := model.New(shape.Model())
	put(t, m, map[string][]float64{
		model.SurveyLo: {0, 0}, model.SurveyHi: {0, 30}, model.SurveyLevels: {.5, 1}, model.SurveyLeast: {least},
	})
	return m
}

func put(t *testing.T, m *model.Model, values map[string][]float64) {
	t.Helper()
	for name, v := range values {
		if err := m.SetFloat64s(name, v); err != nil {
			t.Fatal(err)
		}
	}
}

// rowsOf is what a site tells of rows of the second feature; those of the first are twice
// as large.
func rowsOf(t *testing.T, lo, hi float64, x ...float64) *model.Model {
	t.Helper()
	v := map[string][]float64{
		model.StatNName: {0, 0}, model.StatMeanName: {0, 0}, model.StatM2Name: {0, 0}, model.SurveyMissing: {0, 2}, model.SurveyHidden: {0, 0},
		model.SurveyMin: {0, 0}, model.SurveyMax: {0, 0}, model.SurveyCounts: make([]float64, 10),
	}
	for f, by := range []float64{2, 1} {
		all := fold.Moments{N: []float64{0}, Mean: []float64{0}, M2: []float64{0}}
		for i, a := range x {
			a *= by
			all.Merge(fold.Moments{N: []float64{1}, Mean: []float64{a}, M2: []float64{0}})
			if i == 0 {
				v[model.SurveyMin][f], v[model.SurveyMax][f] = a, a
			}
			v[model.SurveyMin][f], v[model.SurveyMax][f] = min(v[model.SurveyMin][f], a), max(v[model.SurveyMax][f], a)
			if f == 1 {
				v[model.SurveyCounts][5+fold.Bin(a, 0, 30, 3)]++
			} else if lo < hi {
				v[model.SurveyCounts][fold.Bin(a, lo, hi, 3)]++
			}
		}
		v[model.StatNName][f], v[model.StatMeanName][f], v[model.StatM2Name][f] = all.N[0], all.Mean[0], all.M2[0]
	}
	m := model.New(shape.Update())
	put(t, m, v)
	return m
}

// gather is a round of a survey.
func gather(t *testing.T, base *model.Model, list ...*model.Model) map[string][]float64 {
	t.Helper()
	a := statistics(t, base)
	all := updates(list...)
	for i, u := range list {
		if !u.Schema.Equal(a.Schema()) {
			t.Fatalf("schema %v", a.Schema())
		}
		if err := a.Check(update(u, 1)); err != nil {
			t.Fatal(err)
		}
		a.Add(update(u, 1))
		all.List[i].Index = uint32(10 + i)
	}
	made, err := a.Result(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(base.Blob, made.Model.Blob)
	out := map[string][]float64{}
	for _, spec := range base.Schema {
		out[spec.Name], _ = base.Float64s(spec.Name)
	}
	return out
}

// The first round finds the range of a feature that has none, the next one counts; what
// the first one with a histogram counted is the reference of those after it.
func TestSurvey(t *testing.T) {
	t.Parallel()
	base := surveyed(t, 3)
	a, b, c := rowsOf(t, 0, 0, 1, 2, 12), rowsOf(t, 0, 0, 3, 11, 14, 31), rowsOf(t, 0, 0, 25, 26, -1)
	got := gather(t, base, a, b, c)
	sd := math.Sqrt(got[model.StatM2Name][0] / 10)
	for name, want := range map[string][]float64{
		model.StatNName: {10, 10}, model.StatMeanName: {24.8, 12.4}, model.SurveySites: {3, 3}, model.SurveyMissing: {0, 6}, model.SurveyMin: {-2, -1}, model.SurveyMax: {62, 31},
		model.SurveyCounts: {0, 0, 0, 0, 0, 1, 3, 3, 2, 1}, model.SurveyReference: {0, 0, 0, 0, 0, 1, 3, 3, 2, 1}, model.SurveyDrift: {-1, -1},
		model.SurveyLo: {24.8 - 4*sd, 0}, model.SurveyHi: {24.8 + 4*sd, 30}, model.SurveyWorstSite: {0, 12},
	} {
		for i, x := range want {
			if math.Abs(got[name][i]-x) > 1e-12 {
				t.Errorf("%s is %v, want %v", name, got[name], want)
				break
			}
		}
	}
	if q := got[model.SurveyQuantiles][2:]; math.Abs(q[0]-(10+10./3)) > 1e-12 || q[1] != 30 {
		t.Errorf("quantiles %v", q)
	}
	if want := fold.PSI([]float64{1, 0, 0, 2, 0}, []float64{1, 3, 3, 2, 1}); got[model.SurveyWorst][1] != want || got[model.SurveyWorst][0] != -1 {
		t.Errorf("worst %v, want %v of the second", got[model.SurveyWorst], want)
	}

	lo, hi := got[model.SurveyLo][0], got[model.SurveyHi][0]
	d := rowsOf(t, lo, hi, 21, 22, 23)
	got = gather(t, base, rowsOf(t, lo, hi, 1, 2, 12), rowsOf(t, lo, hi, 3, 11, 14, 31), d)
	if n := got[model.SurveyCounts][:5]; n[1]+n[2]+n[3] != 10 || got[model.SurveyDrift][0] != -1 || got[model.SurveyLo][0] != lo {
		t.Errorf("counts %v, drift %v", n, got[model.SurveyDrift])
	}
	if want := fold.PSI([]float64{0, 3, 3, 3, 1}, []float64{1, 3, 3, 2, 1}); got[model.SurveyDrift][1] != want || want < .1 {
		t.Errorf("drift %v, want %v", got[model.SurveyDrift][1], want)
	}
	if ref := got[model.SurveyReference][5:]; !slices.Equal(ref, []float64{1, 3, 3, 2, 1}) {
		t.Errorf("the reference is %v now", ref)
	}
}

// A histogram of fewer sites than asked for would tell of one of them.
func TestSurveyOfFew(t *testing.T) {
	t.Parallel()
	empty := rowsOf(t, 0, 0)
	got := gather(t, surveyed(t, 3), rowsOf(t, 0, 0, 1, 2), rowsOf(t, 0, 0, 3), empty)
	if got[model.SurveySites][1] != 2 || got[model.StatNName][1] != 3 || got[model.SurveyWorst][1] != -1 {
		t.Errorf("%v", got)
	}
	if got[model.SurveyMin][1] != model.NoMin || got[model.SurveyMax][1] != model.NoMax {
		t.Errorf("extremes of two sites: %v..%v", got[model.SurveyMin], got[model.SurveyMax])
	}
	for _, name := range []string{model.StatMeanName, model.StatM2Name, model.SurveyLo, model.SurveyCounts, model.SurveyReference, model.SurveyQuantiles} {
		if x := got[name]; slices.ContainsFunc(x, func(v float64) bool { return v != 0 }) {
			t.Errorf("%s of two sites: %v", name, x)
		}
	}
	if got = gather(t, surveyed(t, 1), rowsOf(t, 0, 0, 1, 2), empty); got[model.SurveyCounts][6] != 2 {
		t.Errorf("one site, and few are allowed: %v", got[model.SurveyCounts])
	}
	if got = gather(t, surveyed(t, 3), empty, empty, empty); got[model.SurveyLo][0] != 0 || got[model.SurveyHi][0] != 0 {
		t.Errorf("a range of no rows: %v..%v", got[model.SurveyLo], got[model.SurveyHi])
	}
	if got = gather(t, surveyed(t, 1), rowsOf(t, 0, 0, 7, 7)); !(got[model.SurveyLo][0] < 14 && 14 < got[model.SurveyHi][0]) {
		t.Errorf("a range of one value: %v..%v", got[model.SurveyLo], got[model.SurveyHi])
	}
}

// A site that does not tell its extremes leaves those of the others as they are.
func TestSurveyExtremes(t *testing.T) {
	t.Parallel()
	silent := func(x ...float64) *model.Model {
		m := rowsOf(t, 0, 0, x...)
		put(t, m, map[string][]float64{model.SurveyMin: {model.NoMin, model.NoMin}, model.SurveyMax: {model.NoMax, model.NoMax}})
		return m
	}
	one, two := rowsOf(t, 0, 0, 5, 6), rowsOf(t, 0, 0, 7, 8)
	for name, list := range map[string][]*model.Model{"first": {silent(1, 2), one, two}, "between": {one, silent(1, 2), two}, "last": {one, two, silent(29, 30)}} {
		if got := gather(t, surveyed(t, 3), list...); got[model.SurveyMin][1] != 5 || got[model.SurveyMax][1] != 8 || got[model.StatNName][1] != 6 {
			t.Errorf("a silent site %s: %v..%v", name, got[model.SurveyMin], got[model.SurveyMax])
		}
	}
	if got := gather(t, surveyed(t, 3), silent(1), silent(2), silent(3)); got[model.SurveyMin][1] != model.NoMin || got[model.SurveyMax][1] != model.NoMax || got[model.StatMeanName][1] != 2 {
		t.Errorf("three silent sites: %v..%v", got[model.SurveyMin], got[model.SurveyMax])
	}
}

func TestSurveyRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tensor string
		value  []float64
		want   error
	}{
		"half a row":                        {model.StatNName, []float64{.5, 3}, strategy.ErrOutOfRange},
		"a mean without end":                {model.StatMeanName, []float64{math.Inf(1), 3}, strategy.ErrNotFinite},
		"a mean beyond the bound":           {model.StatMeanName, []float64{1e101, 3}, strategy.ErrOutOfRange},
		"missing rows below 0":              {model.SurveyMissing, []float64{0, -1}, strategy.ErrOutOfRange},
		"a NaN of hidden bins":              {model.SurveyHidden, []float64{0, math.NaN()}, strategy.ErrNotFinite},
		"half a value in a bin":             {model.SurveyCounts, []float64{0, 0, 0, 0, 0, 0, .5, 0, 0, 0}, strategy.ErrOutOfRange},
		"more values in bins than rows":     {model.SurveyCounts, []float64{0, 0, 0, 0, 0, 2, 2, 0, 0, 0}, strategy.ErrOutOfRange},
		"bins of a feature without a range": {model.SurveyCounts, []float64{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, strategy.ErrOutOfRange},
		"the least above the greatest":      {model.SurveyMin, []float64{0, 99}, strategy.ErrOutOfRange},
		"a NaN as the greatest":             {model.SurveyMax, []float64{math.NaN(), 3}, strategy.ErrNotFinite},
		"a greatest beyond the bound":       {model.SurveyMax, []float64{1e101, 3}, strategy.ErrOutOfRange},
	} {
		u := rowsOf(t, 0, 0, 1, 2, 3)
		put(t, u, map[string][]float64{c.tensor: c.value})
		if err := statistics(t, surveyed(t, 3)).Check(update(u, 1)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := statistics(t, surveyed(t, 3)).Check(update(moments(t, []float64{1, 1}, []float64{1, 1}, []float64{1, 1}), 1)); !errors.Is(err, model.ErrSchema) {
		t.Errorf("moments alone: %v", err)
	}
}

// What follows from numbers whose quotients have no end is the same on every machine.
func TestSurveyBits(t *testing.T) {
	t.Parallel()
	v := model.Survey{Features: 5, Bins: 11, Quantiles: 3, Extremes: true}
	base := model.New(v.Model())
	put(t, base, map[string][]float64{
		model.SurveyLevels: {.05, 1. / 3, .95}, model.SurveyLeast: {3}, model.SurveyLo: {-1. / 3, 0, 0, -7, 1e-3}, model.SurveyHi: {2. / 3, 0, 1. / 7, 11, 1e3},
	})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		lo, _ := base.Float64s(model.SurveyLo)
		hi, _ := base.Float64s(model.SurveyHi)
		var list []*model.Model
		for range 5 {
			u, x := model.New(v.Update()), map[string][]float64{}
			for _, spec := range u.Schema {
				x[spec.Name] = make([]float64, spec.Elements())
			}
			for f := range v.Features {
				total := 0.0
				for i := range 2 + v.Bins {
					if lo[f] < hi[f] {
						c := float64(rnd.Uint64() % 1000)
						x[model.SurveyCounts][f*(2+v.Bins)+i], total = c, total+c
					}
				}
				x[model.StatNName][f] = total + float64(1+rnd.Uint64()%1000)
				x[model.StatMeanName][f] = float64(int64(rnd.Uint64())>>20) / 3
				x[model.StatM2Name][f] = float64(rnd.Uint64()>>12) / 7
				x[model.SurveyMin][f], x[model.SurveyMax][f] = -float64(rnd.Uint64()>>40), float64(rnd.Uint64()>>40)
			}
			put(t, u, x)
			list = append(list, u)
		}
		gather(t, base, list...)
	}
	const want = "dae49319236c90c6621880d8412e64267a565ff15b2c7f780d2f216a9632180c"
	if got := base.ContentID().String(); got != want {
		t.Errorf("%s, want %s on every machine", got, want)
	}
}
