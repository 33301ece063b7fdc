package site

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// Bins with few rows are emptied and counted, below and above the range too.
func TestCleanseVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Statistics struct {
			MinCount []struct {
				MinCount float64 `json:"min_count"`
				Counts   []float64
				Expected struct {
					Counts     []float64
					Suppressed float64
				}
			} `json:"min_count"`
		}
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Statistics.MinCount) < 2 {
		t.Fatal(len(v.Statistics.MinCount), err)
	}
	for _, c := range v.Statistics.MinCount {
		s := model.Survey{Features: 1, Bins: len(c.Counts) - 2}
		told := told(t, s, map[string][]float64{model.StatNName: {100}, model.StatMeanName: {7}, model.SurveyCounts: c.Counts})
		held, err := cleanse(told, s, c.MinCount, true)
		if err != nil || len(held) > 0 {
			t.Fatal(held, err)
		}
		counts, _ := told.Float64s(model.SurveyCounts)
		hidden, _ := told.Float64s(model.SurveyHidden)
		n, _ := told.Float64s(model.StatNName)
		if !slices.Equal(counts, c.Expected.Counts) || hidden[0] != c.Expected.Suppressed || n[0] != 100 {
			t.Errorf("%v became %v with %v hidden, want %v and %v", c.Counts, counts, hidden, c.Expected.Counts, c.Expected.Suppressed)
		}
	}
}

func told(t *testing.T, s model.Survey, values map[string][]float64) *model.Model {
	t.Helper()
	m := model.New(s.Update())
	for name, v := range values {
		if err := m.SetFloat64s(name, v); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// Of a feature with too few rows nothing leaves the site, and others are let be.
func TestCleanse(t *testing.T) {
	t.Parallel()
	s := model.Survey{Features: 2, Bins: 2, Extremes: true}
	m := told(t, s, map[string][]float64{
		model.StatNName: {9, 10}, model.StatMeanName: {1, 2}, model.StatM2Name: {3, 4}, model.SurveyMissing: {5, 6}, model.SurveyMin: {-1, -2}, model.SurveyMax: {7, 8},
		model.SurveyCounts: {0, 9, 0, 0, 0, 10, 0, 0},
	})
	held, err := cleanse(m, s, 10, true)
	if err != nil || !slices.Equal(held, []int{0}) {
		t.Fatal(held, err)
	}
	for name, want := range map[string][]float64{
		model.StatNName: {0, 10}, model.StatMeanName: {0, 2}, model.StatM2Name: {0, 4}, model.SurveyMissing: {0, 6}, model.SurveyMin: {0, -2}, model.SurveyMax: {0, 8},
		model.SurveyHidden: {0, 0}, model.SurveyCounts: {0, 0, 0, 0, 0, 10, 0, 0},
	} {
		if got, _ := m.Float64s(name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if _, err := cleanse(m, s, 10, false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float64{model.SurveyMin: {0, model.NoMin}, model.SurveyMax: {0, model.NoMax}, model.StatMeanName: {0, 2}} {
		if got, _ := m.Float64s(name); !slices.Equal(got, want) {
			t.Errorf("without minmax: %s is %v, want %v", name, got, want)
		}
	}
	c := &pipeline.Contract{Inputs: []pipeline.Input{{Name: "flow"}}, Net: pipeline.Net{Output: pipeline.OutputNone}}
	if got := featuresBy([]int{0, 1}, c); got != "flow, feature 1" {
		t.Errorf("%q", got)
	}
}

func TestMinCountIsChecked(t *testing.T) {
	t.Parallel()
	for n, wrong := range map[int]bool{-1: true, 1: true, 0: false, 2: false} {
		err := Config{Namespace: "acme", Member: "a/x", Broker: "tcp://h:1", DataDir: "d", Tasks: []Task{{Name: "q", Trainer: new(fake), MinCount: n}}}.Validate()
		if (err != nil) != wrong || wrong && !strings.Contains(err.Error(), "min_count") {
			t.Errorf("%d: %v", n, err)
		}
	}
}
