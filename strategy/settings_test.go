package strategy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// multiplied multiplies every update by a parameter.
type multiplied struct {
	strategy.Linear
	params []strategy.Param
}

func (s multiplied) Name() string             { return "scaled" }
func (s multiplied) Params() []strategy.Param { return s.params }

func (s multiplied) Configure(set strategy.Settings) (strategy.Strategy, error) {
	if set.Number("by") == 1 && set.Text("how") == "never" {
		return nil, errors.New("how: never has no effect with by: 1")
	}
	s.Coefficient = func(strategy.Update) (float64, error) { return set.Number("by"), nil }
	return s, nil
}

func scaling() strategy.Registry {
	return strategy.Registry{Strategies: []strategy.Strategy{multiplied{params: []strategy.Param{
		{Name: "by", Max: 1, Doc: "what each update is multiplied by"},
		{Name: "how", Default: "always", Words: []string{"always", "never", "true"}},
		{Name: "most", Default: "auto", Words: []string{"auto"}, Min: 1, Max: 9, Whole: true},
		{Name: "open", Default: .5, Max: 1, Above: true, Below: true},
	}}}}
}

// Parameters are checked, named where they are wrong, and complete afterwards.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given strategy.Settings
		want  string // the error, or the settings
	}{
		{strategy.Settings{"by": .5}, "map[by:0.5 how:always most:auto open:0.5]"},
		{strategy.Settings{"by": 1, "how": true, "most": 9}, "map[by:1 how:true most:9 open:0.5]"},
		{nil, "strategy scaled: by: missing; want 0 to 1: what each update is multiplied by"},
		{strategy.Settings{"by": 1.5}, "by: 1.5, want 0 to 1"},
		{strategy.Settings{"by": "much"}, `by: "much", want 0 to 1`},
		{strategy.Settings{"by": []any{1}}, "by: [1], want 0 to 1"},
		{strategy.Settings{"by": 0, "how": "seldom"}, `how: "seldom", want always, never, true`},
		{strategy.Settings{"by": 0, "how": 1}, "how: 1, want always, never, true"},
		{strategy.Settings{"by": 0, "most": 2.5}, "most: 2.5, want auto, whole numbers from 1 to 9"},
		{strategy.Settings{"by": 0, "most": "some"}, `most: "some", want auto, whole`},
		{strategy.Settings{"by": 0, "open": 0}, "open: 0, want above 0 to below 1"},
		{strategy.Settings{"by": 0, "open": 1}, "open: 1, want above 0 to below 1"},
		{strategy.Settings{"by": 0, "bye": 1}, `it has no parameter "bye"; it has by, how, most, open`},
		{strategy.Settings{"by": 1, "how": "never"}, "strategy scaled: how: never has no effect with by: 1"},
	} {
		all, err := scaling().Settings("scaled", c.given)
		switch {
		case err != nil && (!errors.Is(err, strategy.ErrSetting) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v: %v, want %s", c.given, err, c.want)
		case err == nil && fmt.Sprint(map[string]any(all)) != c.want:
			t.Errorf("%v: %v, want %s", c.given, all, c.want)
		}
	}
	if _, err := (strategy.Registry{}).Settings("fedavg", strategy.Settings{"mu": .1}); !errors.Is(err, strategy.ErrSetting) || !strings.Contains(err.Error(), `strategy fedavg: it has no parameter "mu"; it has none`) {
		t.Errorf("%v", err)
	}
	if all, err := (strategy.Registry{}).Settings("fedavg", nil); all != nil || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := (strategy.Registry{}).ServerSettings("lamb", nil); !errors.Is(err, strategy.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if all, err := (strategy.Registry{}).ServerSettings("sgd", nil); fmt.Sprint(map[string]any(all)) != "map[eta:1]" || err != nil {
		t.Errorf("%v, %v", all, err)
	}
}

// What is folded is folded with the parameters of the round.
func TestConfigured(t *testing.T) {
	t.Parallel()
	for by, want := range map[float64]float64{1: 3, .25: 1.5} {
		s := round(mustModel(t, model.F64, []float64{1}), fold.Grid{B: 6, W: 10})
		s.Strategy, s.Params, s.ServerParams = "scaled", strategy.Settings{"by": by}, strategy.Settings{"eta": .5}
		if by == .25 {
			s.ServerParams = nil // as in records of before
		} else {
			want = 2
		}
		a, err := scaling().Begin(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		add(t, a, mustModel(t, model.F64, []float64{2}), 4)
		if got := values(result(t, a))[0]; got != want {
			t.Errorf("by %v: %v, want %v", by, got, want)
		}
	}
}

// Parameters that no configuration can give are found with the registry.
func TestParamsCheck(t *testing.T) {
	t.Parallel()
	for want, params := range map[string][]strategy.Param{
		"":                             {{Name: "a", Default: 0.}, {Name: "b", Default: "x", Words: []string{"x"}}, {Name: "c"}},
		`has the parameter "weights"`:  {{Name: "weights"}},
		`has the parameter "a-b"`:      {{Name: "A"}, {Name: "a-b"}},
		`has the parameter "a"`:        {{Name: "a"}, {Name: "a"}},
		"default of a: 2, want 0 to 1": {{Name: "a", Default: 2., Max: 1}},
	} {
		err := strategy.Registry{Strategies: []strategy.Strategy{multiplied{params: params}}}.Check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
