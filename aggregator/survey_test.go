package aggregator

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

func aSurvey(change func(*Task)) Config {
	lo, hi := 0.0, 1.0
	t := Task{Name: "q", Members: []string{"+"}, Survey: &Survey{Columns: []Column{{Name: "flow", Unit: "l/s"}, {Name: "level", Lo: &lo, Hi: &hi}}}}
	change(&t)
	return Config{Broker: "tcp://h:1", Namespace: "acme", DataDir: "d", Tasks: []Task{t}}
}

// A task of statistics has model, contract and quorum by itself.
func TestSurveyTask(t *testing.T) {
	t.Parallel()
	c := aSurvey(func(*Task) {})
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	task := c.withDefaults().Tasks[0]
	v, ok := model.SurveyOf(task.Init.Schema)
	if !ok || v != (model.Survey{Features: 2, Bins: 20, Quantiles: 3}) || task.Contract.Inputs[0].Unit != "l/s" || task.Contract.Predicts() {
		t.Errorf("%+v, %+v", v, task.Contract)
	}
	hi, _ := task.Init.Float64s(model.SurveyHi)
	least, _ := task.Init.Float64s(model.SurveyLeast)
	if hi[0] != 0 || hi[1] != 1 || least[0] != 3 || task.Quorum != 3 || task.Rounds != 1 || task.total() != 2 {
		t.Errorf("hi %v, least %v, quorum %d, %d rounds, %d in all", hi, least, task.Quorum, task.Rounds, task.total())
	}
	few := aSurvey(func(t *Task) { t.Survey.AllowFew, t.Survey.Columns = true, t.Survey.Columns[1:] }).withDefaults().Tasks[0]
	if least, _ := few.Init.Float64s(model.SurveyLeast); least[0] != 1 || few.Quorum != 1 || few.total() != 1 {
		t.Errorf("few: least %v, quorum %d, %d rounds", least, few.Quorum, few.total())
	}
	if got := untouched(task.Init.Schema); got != nil {
		t.Errorf("warns of %q", got)
	}
	if got := strategy.StatisticsOf(task.Init.Schema); !got.Equal(v.Update()) {
		t.Errorf("updates have %v", got)
	}
}

func TestSurveyTaskRefuses(t *testing.T) {
	t.Parallel()
	at := func(x float64) *float64 { return &x }
	for want, change := range map[string]func(*Task){
		"statistics.columns: want one or more: their names": func(t *Task) { t.Survey.Columns = nil },
		`inputs[1]: "flow" is there twice`:                  func(t *Task) { t.Survey.Columns[1].Name = "flow" },
		"flow: want both lo and hi":                         func(t *Task) { t.Survey.Columns[0].Lo = at(0) },
		"level: lo 0, hi 0: want lo below hi":               func(t *Task) { t.Survey.Columns[1].Hi = at(0) },
		"level: lo 0, hi NaN":                               func(t *Task) { t.Survey.Columns[1].Hi = at(math.NaN()) },
		"statistics.bins: 1, want 2 to 1000":                func(t *Task) { t.Survey.Bins = 1 },
		"statistics.quantiles: [0.5 0.5]":                   func(t *Task) { t.Survey.Quantiles = []float64{.5, .5} },
		"statistics.quantiles: [0.5 0.1]":                   func(t *Task) { t.Survey.Quantiles = []float64{.5, .1} },
		"statistics.quantiles: [1.5]":                       func(t *Task) { t.Survey.Quantiles = []float64{1.5} },
		"statistics.every: -1s":                             func(t *Task) { t.Survey.Every = -time.Second },
		"statistics.every has no effect with one round":     func(t *Task) { t.Survey.Every = time.Hour },
		"release has no effect":                             func(t *Task) { t.Release = &Release{} },
		"statistics: zscore has no effect":                  func(t *Task) { t.Statistics = true },
		"members: 2, and the quorum is 3 (histograms of":    func(t *Task) { t.Members = []string{"a", "b"} },
		"goal: 2 is below the quorum of 3 (histograms":      func(t *Task) { t.Goal = 2 },
		"columns of 1000 bins are": func(t *Task) {
			t.Survey.Bins = 1000
			for i := range 2000 {
				t.Survey.Columns = append(t.Survey.Columns, Column{Name: fmt.Sprint(i)})
			}
		},
		"the names of 262 columns do not fit": func(t *Task) {
			for i := range 260 {
				t.Survey.Columns = append(t.Survey.Columns, Column{Name: fmt.Sprintf("a column with a name that takes some room %d", i)})
			}
		},
	} {
		if err := aSurvey(change).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
