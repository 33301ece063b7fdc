package view_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

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
		if c.Name != names[i] || c.Without != want[i] || (c.Histogram == nil) != (want[i] != "") || (c.Quantiles == nil) != (want[i] != "") {
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
