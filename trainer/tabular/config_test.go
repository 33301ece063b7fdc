package tabular_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// valid returns a config with derive and one without, both fine.
func valid() (series, plain tabular.Config) {
	plain = tabular.Config{
		Train:    "a.csv",
		Split:    &tabular.Split{Column: "split"},
		Where:    map[string]any{"site": "S01", "unit": "1..20", "line": []any{uint64(1), "2", 3.5}},
		Target:   tabular.Target{Column: "y", Classes: []any{uint64(0), "1", 2.5, true}},
		Features: []tabular.Feature{{Columns: []string{"a", "b"}, SLog: 10, Clip: 100, MissingFlag: true}, {Columns: []string{"a"}, Log1p: true}},
		ZClip:    6,
	}
	series = tabular.Config{
		Train: "a.csv", Test: "b.csv", TestWhere: map[string]any{},
		Derive:   &tabular.Derive{Group: []string{"unit"}, Window: 5, Stats: []string{"mean", "mean5", "slope"}, Test: "all"},
		Target:   tabular.Target{RowsLeft: &tabular.RowsLeft{Cap: 10, Truth: "c.csv"}},
		Features: []tabular.Feature{{Columns: []string{"a"}}},
	}
	return series, plain
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	series, plain := valid()
	for _, c := range []tabular.Config{series, plain} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		key    string
		derive bool
		spoil  func(*tabular.Config)
	}{
		{"train", false, func(c *tabular.Config) { c.Train = "" }},
		{"split", false, func(c *tabular.Config) { c.Test = "b.csv" }},
		{"split", false, func(c *tabular.Config) { c.Split.Column = "" }},
		{"split.share", false, func(c *tabular.Config) { c.Split.Share = .2 }},
		{"split.share", false, func(c *tabular.Config) { c.Split = &tabular.Split{Share: 1} }},
		{"separator", false, func(c *tabular.Config) { c.Separator = "ab" }},
		{"decimal", false, func(c *tabular.Config) { c.Decimal = "comma" }},
		{"encoding", false, func(c *tabular.Config) { c.Encoding = "ascii-art" }},
		{"comment", false, func(c *tabular.Config) { c.Comment = "//" }},
		{"split.train", false, func(c *tabular.Config) { c.Split.Train = map[string]any{} }},
		{"split.test[1]", false, func(c *tabular.Config) { c.Split.Test = []any{"a", nil} }},
		{"test_where", false, func(c *tabular.Config) { c.TestWhere = map[string]any{} }},
		{"test_where.site", true, func(c *tabular.Config) { c.TestWhere["site"] = nil }},
		{"where.site", false, func(c *tabular.Config) { c.Where["site"] = []any{} }},
		{"where.site[0]", false, func(c *tabular.Config) { c.Where["site"] = []any{[]any{}} }},
		{"where.site", false, func(c *tabular.Config) { c.Where["site"] = math.NaN() }},
		{"zclip", false, func(c *tabular.Config) { c.ZClip = -1 }},
		{"zclip", false, func(c *tabular.Config) { c.ZClip = math.NaN() }},
		{"derive.group", true, func(c *tabular.Config) { c.Derive.Group = nil }},
		{"derive.group", true, func(c *tabular.Config) { c.Derive.Group = []string{"a", "b", "a"} }},
		{"derive.window", true, func(c *tabular.Config) { c.Derive.Window = 0 }},
		{"derive.stride", true, func(c *tabular.Config) { c.Derive.Stride = -2 }},
		{"derive.stats", true, func(c *tabular.Config) { c.Derive.Stats = nil }},
		{"derive.stats[1]", true, func(c *tabular.Config) { c.Derive.Stats = []string{"mean", "median"} }},
		{"derive.stats[0]", true, func(c *tabular.Config) { c.Derive.Stats = []string{"mean6"} }},
		{"derive.stats[0]", true, func(c *tabular.Config) { c.Derive.Stats = []string{"mean+5"} }},
		{"derive.test", true, func(c *tabular.Config) { c.Derive.Test = "first" }},
		{"target", false, func(c *tabular.Config) { c.Target = tabular.Target{} }},
		{"target.rows_left", false, func(c *tabular.Config) { c.Target.RowsLeft = &tabular.RowsLeft{Cap: 1} }},
		{"target.rows_left", true, func(c *tabular.Config) { c.Derive = nil }},
		{"target.rows_left.cap", true, func(c *tabular.Config) { c.Target.RowsLeft.Cap = 0 }},
		{"target.classes", false, func(c *tabular.Config) { c.Target.Classes = []any{"a"} }},
		{"target.classes", false, func(c *tabular.Config) { c.Target.Classes = []any{"a", "b", "a"} }},
		{"target.classes", false, func(c *tabular.Config) { c.Target.Classes = make([]any, tabular.MaxClasses+1) }},
		{"target.classes[1]", false, func(c *tabular.Config) { c.Target.Classes = []any{"a", nil} }},
		{"target.scale", false, func(c *tabular.Config) { c.Target.Scale = 2 }},
		{"target.scale", false, func(c *tabular.Config) { c.Target = tabular.Target{Column: "y", Scale: -1} }},
		{"target.offset", false, func(c *tabular.Config) { c.Target = tabular.Target{Column: "y", Offset: math.Inf(1)} }},
		{"features", false, func(c *tabular.Config) { c.Features = nil }},
		{"split", false, func(c *tabular.Config) { c.Split.Test = []any{"test", "train"} }},
		{"split", false, func(c *tabular.Config) { c.Split.Train, c.Split.Test = "1..5", "3" }},
		{"features[1]", false, func(c *tabular.Config) { c.Features[1].Columns = []string{"c", "y"} }},
		{"features[1]", false, func(c *tabular.Config) { c.Features[1] = c.Features[0] }},
		{"features[1].columns", false, func(c *tabular.Config) { c.Features[1].Columns = nil }},
		{"features[0].columns[1]", false, func(c *tabular.Config) { c.Features[0].Columns[1] = "a" }},
		{"features[0].columns[0]", false, func(c *tabular.Config) { c.Features[0].Columns[0] = " " }},
		{"features[0].clip", false, func(c *tabular.Config) { c.Features[0].Clip = -1 }},
		{"features[0].slog", false, func(c *tabular.Config) { c.Features[0].SLog = math.NaN() }},
		{"features[0].log1p", false, func(c *tabular.Config) { c.Features[0].Log1p = true }},
		{"features[0].missing_flag", true, func(c *tabular.Config) { c.Features[0].MissingFlag = true }},
	} {
		series, plain := valid()
		cfg := plain
		if c.derive {
			cfg = series
		}
		cfg.Features = slices.Clone(cfg.Features)
		c.spoil(&cfg)
		var key *tabular.KeyError
		switch err := cfg.Validate(); {
		case !errors.As(err, &key):
			t.Errorf("%s: got %v, want a KeyError", c.key, err)
		case key.Key != c.key || key.Problem == "":
			t.Errorf("%s: got %v", c.key, err)
		}
	}
}
