package view_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/model"
)

// What there is no room for is left out from the end, histograms first, and counted.
func TestStatisticsWithin(t *testing.T) {
	t.Parallel()
	s := view.Statistics{Schema: view.StatisticsSchema, Task: "q", Levels: []float64{.5}}
	for i := range 200 {
		s.Columns = append(s.Columns, view.Column{Name: fmt.Sprint("column ", i), Count: 1e6, Mean: new(math.Pi), Histogram: &view.Histogram{Counts: make([]float64, 100)}})
	}
	const most = 15 << 10
	whole := len(view.JSON(s))
	for n, want := range map[int]view.LeftOut{20: {}, 100: {Histograms: 74}, 200: {Columns: 20, Histograms: 180}} {
		v := s
		v.Columns = slices.Clone(s.Columns[:n])
		got := v.Within(most)
		b := view.JSON(got)
		if len(b) > most || len(got.Columns)+got.LeftOut.Columns != n {
			t.Errorf("%d columns: %d bytes of %d, %+v", n, len(b), whole, got.LeftOut)
		}
		with := 0
		for i, c := range got.Columns {
			if c.Name != s.Columns[i].Name {
				t.Errorf("%d columns: %q at %d", n, c.Name, i)
			}
			if c.Histogram != nil {
				with++
			}
		}
		if with+got.LeftOut.Histograms != len(got.Columns) || got.LeftOut != want {
			t.Errorf("%d columns: %d histograms, %+v, want %+v", n, with, got.LeftOut, want)
		}
		if !json.Valid(b) || s.Columns[0].Histogram == nil {
			t.Error("the whole was changed")
		}
	}
}

// Each reason why there is no histogram has its word.
func TestColumns(t *testing.T) {
	t.Parallel()
	v := model.Survey{Features: 5, Bins: 2, Quantiles: 1}
	m := model.New(v.Model())
	for name, x := range map[string][]float64{
		model.StatNName: {40, 40, 40, 0, 40}, model.StatMeanName: {1, 2, 3, 0, 5}, model.StatM2Name: {39, 0, 0, 0, 0}, model.SurveySites: {3, 2, 3, 0, 3}, model.SurveyLeast: {3}, model.SurveyLevels: {.5},
		model.SurveyLo: {0, 0, 0, 0, 0}, model.SurveyHi: {2, 1, 1, 0, 1}, model.SurveyHidden: {1, 0, 0, 0, 2}, model.SurveyQuantiles: {1.5, 0, 0, 0, 0},
		model.SurveyCounts: {1, 20, 15, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		model.SurveyDrift:  {.25, -1, -1, -1, -1}, model.SurveyWorst: {.5, -1, -1, -1, -1}, model.SurveyWorstSite: {7, 0, 0, 0, 0},
	} {
		if err := m.SetFloat64s(name, x); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"a", "b", "c", "d", "e"}
	levels, got, err := view.Columns(m, names, []string{"bar", "", "", "", ""}, func(i uint32) string { return fmt.Sprint("site ", i) })
	if err != nil || !slices.Equal(levels, []float64{.5}) {
		t.Fatal(levels, err)
	}
	want := []view.Without{"", view.WithoutSites, view.WithoutRange, view.WithoutRows, view.WithoutRows}
	for i, c := range got {
		if c.Name != names[i] || c.Without != want[i] || (c.Histogram == nil) != (want[i] != "") || (c.Quantiles == nil) != (want[i] != "") || (c.Mean == nil) != (i == 1 || i == 3) {
			t.Errorf("%+v, want %q", c, want[i])
		}
	}
	a := got[0]
	if a.Unit != "bar" || *a.Variance != 1 || a.SD() != 1 || *a.Drift != .25 || *a.Worst != .5 || a.WorstSite != "site 7" || a.Histogram.Under != 1 || a.Histogram.Over != 3 || a.Hidden != 1 || a.Min != nil {
		t.Errorf("%+v", a)
	}
	if d := got[3]; d.Mean != nil || !math.IsNaN(d.SD()) {
		t.Errorf("of no rows: %+v", d)
	}
	if _, _, err := view.Columns(m, names[:4], names[:4], nil); err == nil {
		t.Error("four names for five columns")
	}
}

// A quantile is never said to be closer than the hidden rows let it be known, nor to lie at the end of a
// range that it is beyond; indexes of what is largely hidden or outside are left out.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n      float64
		counts []float64 // below 0, four bins up to 4, above
		want   string    // of 0, .05, .5 and 1
		index  bool
	}{
		"all is told":            {100, []float64{0, 0, 40, 60, 0, 0}, "1, 1.125, 2.166, 3", true},
		"a little is hidden":     {100, []float64{0, 10, 40, 46, 0, 0}, "<1, 0.48, 1.95, >2", true},
		"much is hidden":         {100, []float64{0, 0, 40, 0, 0, 0}, "<2, <2, -, >1", false},
		"hidden around a middle": {100, []float64{0, 30, 15, 0, 45, 0}, "<1, <1, 1..4, >3", false},
		"all is above":           {100, []float64{0, 0, 0, 0, 0, 100}, ">4, >4, >4, >4", false},
		"all is below":           {100, []float64{100, 0, 0, 0, 0, 0}, "<0, <0, <0, <0", false},
		"43 % are above":         {100, []float64{0, 0, 0, 57, 0, 43}, "2, 2.087, 2.877, >4", true},
	} {
		v := model.Survey{Features: 1, Bins: 4, Quantiles: 4}
		m, levels := model.New(v.Model()), []float64{0, .05, .5, 1}
		made := make([]float64, 4)
		for i, p := range levels {
			made[i] = fold.Quantile(p, c.counts, 0, 4)
		}
		for tensor, x := range map[string][]float64{
			model.StatNName: {c.n}, model.SurveySites: {3}, model.SurveyLeast: {3}, model.SurveyHi: {4}, model.SurveyLevels: levels, model.SurveyQuantiles: made,
			model.SurveyCounts: c.counts, model.SurveyHidden: {1}, model.SurveyDrift: {.1}, model.SurveyWorst: {.1},
		} {
			if err := m.SetFloat64s(tensor, x); err != nil {
				t.Fatal(err)
			}
		}
		_, got, err := view.Columns(m, []string{"a"}, []string{""}, func(uint32) string { return "b" })
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, q := range got[0].Quantiles {
			texts = append(texts, quantileText(q))
		}
		if text := strings.Join(texts, ", "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		if (got[0].Worst != nil) != c.index || (got[0].Drift != nil) != c.index {
			t.Errorf("%s: drift %v, worst %v", name, got[0].Drift, got[0].Worst)
		}
	}
}

func quantileText(q view.Quantile) string {
	switch {
	case q.Value != nil:
		return fmt.Sprintf("%.4g", math.Floor(*q.Value*1000+1e-9)/1000)
	case q.From != nil && q.To != nil:
		return fmt.Sprintf("%g..%g", *q.From, *q.To)
	case q.From != nil:
		return fmt.Sprintf(">%g", *q.From)
	case q.To != nil:
		return fmt.Sprintf("<%g", *q.To)
	}
	return "-"
}
