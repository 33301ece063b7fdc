package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/strategy"
)

// strategyGuard is the guard of a task with these settings of its strategy.
func strategyGuard(t *testing.T, settings string) (*strategy.Guard, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "aggregator.yaml")
	text := "broker: tcp://127.0.0.1:1883\nnamespace: acme\ndata_dir: a\ntasks:\n  - name: t\n    members: [\"+/line-1\"]\n    rounds: 1\n    model: {linear: {inputs: 2, outputs: 1}}\n" + settings
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadAggregator(path)
	if err != nil {
		return nil, err
	}
	return cfg.Tasks[0].Guard, nil
}

func TestGuardOfAFile(t *testing.T) {
	t.Parallel()
	zero, clip := strategy.DefaultZeroing(), strategy.DefaultClipping()
	own := *zero
	own.Initial, own.Rate = 0.5, 1
	for settings, want := range map[string]*strategy.Guard{
		"": nil, "    strategy: {name: fedavg}\n": nil,
		"    strategy: {guard: on}\n":                                         {Zero: zero},
		"    strategy: {guard: off}\n":                                        {},
		"    strategy: {guard: \"off\"}\n":                                    {},
		"    strategy: {guard: fixed, clip: 1.5}\n":                           {Clip: &strategy.Clipping{Initial: 1.5}},
		"    strategy: {guard: {}}\n":                                         {Zero: zero},
		"    strategy: {guard: {clip: on}}\n":                                 {Zero: zero, Clip: clip},
		"    strategy: {guard: {zero: off, clip: on}}\n":                      {Clip: clip},
		"    strategy: {guard: {zero: off}}\n":                                {},
		"    strategy:\n      guard:\n        zero: {initial: .5, rate: 1}\n": {Zero: &own},
		"    strategy: {guard: {clip: {initial: auto, quantile: .7}}}\n":      {Zero: zero, Clip: &strategy.Clipping{Quantile: 0.7, Rate: 0.2}},
		"    strategy: {guard: {clip: {initial: 3}}}\n":                       {Zero: zero, Clip: &strategy.Clipping{Initial: 3, Quantile: 0.8, Rate: 0.2}},
	} {
		got, err := strategyGuard(t, settings)
		if err != nil || (got == nil) != (want == nil) || got != nil && !maps.Equal(got.Values(), want.Values()) {
			t.Errorf("%q: %v, want %v; %v", settings, got, want, err)
		}
	}
	for settings, want := range map[string]string{
		"{guard: maybe}":                          "want on, off, fixed, or a mapping of zero and clip",
		"{guard: 3}":                              "want on, off, fixed",
		"{guard: [on]}":                           "want on, off, fixed",
		"{guard: fixed}":                          "fixed wants the norm to which updates are clipped beside it",
		"{clip: 1}":                               "strategy.clip has no effect without guard: fixed",
		"{guard: {clip: on}, clip: 1}":            "strategy.clip has no effect without guard: fixed",
		"{guard: fixed, clip: 0}":                 "guard: clip.initial is 0, want 0.01 to 1e+06",
		"{guard: fixed, clip: 2000000}":           "guard: clip.initial is 2e+06, want 0.01 to 1e+06",
		"{guard: {zeros: on}}":                    `unknown key "zeros" in strategy.guard; want zero and clip`,
		"{guard: {zero: {initail: 3}}}":           `did you mean "zero.initial"?`,
		"{guard: {zero: {clip.initial: 3}}}":      "unknown key",
		"{guard: {zero: maybe}}":                  "strategy.guard.zero: want on, off, or a mapping of numbers",
		"{guard: {zero: {initial: much}}}":        "strategy.guard.zero.initial: want a number",
		"{guard: {zero: {initial: auto}}}":        "strategy.guard.zero.initial: want a number",
		"{guard: {zero: {initial: 0}}}":           "guard: zero.initial is 0",
		"{guard: {zero: {quantile: 98}}}":         "guard: zero.quantile is 98, want 0.5 to 1",
		"{guard: {clip: {initial: 0}}}":           "strategy.guard.clip.initial: 0, want auto",
		"{guard: {clip: {rate: 0}}}":              "clip.rate is 0, want 0.01 to 1",
		"{guard: {clip: {rate: 0, quantile: 0}}}": "want",
		"{guard: {zero: {initial: 1e999}}}":       "want auto, or a number above 0 that fits",
	} {
		if got, err := strategyGuard(t, "    strategy: "+settings+"\n"); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "aggregator.yaml") {
			t.Errorf("%s: %v, %v, want %q", settings, got, err, want)
		}
	}
}
