package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// bound is one end of a documented range.
type bound struct {
	value float64
	open  bool // it is not in the range itself
}

// rangeText is a range of numbers or durations as the document writes it.
var rangeText = regexp.MustCompile("^`?(above )?(-?[0-9^.ehms]+)`?(?: or more|,? to (below )?`?([0-9^.ehms]+)`?)$")

// parseRange reads a cell, and whether it is a range of numbers.
func parseRange(cell string) (low, high bound, ok bool) {
	m := rangeText.FindStringSubmatch(cell)
	if m == nil {
		return low, high, false
	}
	low = bound{number(m[2]), m[1] != ""}
	high = bound{math.Inf(1), true}
	if m[4] != "" {
		high = bound{number(m[4]), m[3] != ""}
	}
	return low, high, true
}

// number reads 5, 1e9, 2^29, 60s; a duration counts as seconds.
func number(s string) float64 {
	if d, err := time.ParseDuration(s); err == nil {
		return d.Seconds()
	}
	if base, exp, ok := strings.Cut(s, "^"); ok {
		return math.Pow(number(base), number(exp))
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// documentedRow is a row of a table of docs/ref/config.md.
type documentedRow struct{ key, kind, preset, limits string }

func documentedRows(t *testing.T, section string) (rows []documentedRow) {
	t.Helper()
	text, err := os.ReadFile("../../docs/ref/config.md")
	if err != nil {
		t.Fatal(err)
	}
	in := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			in = strings.Trim(line, "# \n") == section
		}
		if cells := strings.Split(strings.Trim(line, "|\n"), " | "); in && strings.HasPrefix(line, "| `") && len(cells) == 5 {
			rows = append(rows, documentedRow{strings.Trim(cells[0], " `"), cells[1], cells[3], strings.TrimSpace(cells[4])})
		} else if in && strings.HasPrefix(line, "| `") && len(cells) == 4 { // the last cell is empty
			rows = append(rows, documentedRow{strings.Trim(cells[0], " `"), cells[1], strings.Trim(cells[3], " |"), ""})
		}
	}
	return rows
}

// edges are values within a range and beyond it. Zero stands for the default of
// most keys, so it is in neither.
func edges(low, high bound, step float64) (good, bad []float64) {
	if low.open {
		good, bad = append(good, low.value+step), append(bad, low.value)
	} else {
		good, bad = append(good, low.value), append(bad, low.value-step)
	}
	switch {
	case math.IsInf(high.value, 1):
	case high.open:
		good, bad = append(good, high.value-step), append(bad, high.value)
	default:
		good, bad = append(good, high.value), append(bad, high.value+step)
	}
	for i, v := range bad {
		if v == 0 {
			bad[i] = -step
		}
	}
	return good, bad
}

// stepOf is the least difference that matters to a type.
func stepOf(kind string) float64 {
	if kind == "whole number" || kind == "duration" {
		return 1
	}
	return 1.0 / 1024
}

// written is a number as YAML and JSON have it.
func written(v float64, kind string) string {
	if kind == "duration" {
		return time.Duration(v * 1e9).String()
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// The ranges of docs/ref/config.md are those of the aggregator: their ends are
// taken, and what is beyond is refused with the name of the key.
func TestDocumentedRanges(t *testing.T) {
	t.Parallel()
	dir, tried := t.TempDir(), 0
	for _, row := range documentedRows(t, "Aggregator") {
		low, high, ok := parseRange(row.limits)
		if !ok || row.key == "tasks" || row.key == "tasks[].statistics.columns" { // a count of items
			continue
		}
		tried++
		leaf := row.key[strings.LastIndex(row.key, ".")+1:]
		good, bad := edges(low, high, stepOf(row.kind))
		try := func(v float64) error {
			path := filepath.Join(dir, "aggregator.yaml")
			if err := os.WriteFile(path, []byte(aggregatorWith(row.key, written(v, row.kind))), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadAggregator(path)
			return err
		}
		for _, v := range good {
			if err := try(v); err != nil {
				t.Errorf("%s: %s is in %q: %v", row.key, written(v, row.kind), row.limits, err)
			}
		}
		for _, v := range bad {
			if err := try(v); err == nil || !strings.Contains(err.Error(), leaf) && !strings.Contains(err.Error(), "whole number") && !strings.Contains(err.Error(), "range") {
				t.Errorf("%s: %s is not in %q: %v", row.key, written(v, row.kind), row.limits, err)
			}
		}
	}
	if tried < 11 {
		t.Errorf("%d ranges tried; does the document write them otherwise?", tried)
	}
}

// aggregatorWith is a configuration whose only unusual key is this one.
func aggregatorWith(key, value string) string {
	top, task, strategy := "", "rounds: 3", ""
	if below, ok := strings.CutPrefix(key, "tasks[].statistics."); ok {
		return fmt.Sprintf("{broker: tcp://127.0.0.1:1883, namespace: acme, data_dir: d, tasks: [{name: q, members: [\"+\"], rounds: 2, statistics: {columns: [a], %s: %s}}]}", below, value)
	}
	switch below, ok := strings.CutPrefix(key, "tasks[]."); {
	case !ok:
		top = key + ": " + value
	case strings.HasPrefix(below, "stop."):
		task += ", stop: {" + strings.TrimPrefix(below, "stop.") + ": " + value + "}"
	case strings.HasPrefix(below, "release."):
		task += ", release: {" + strings.TrimPrefix(below, "release.") + ": " + value + "}"
	case strings.HasPrefix(below, "strategy."):
		strategy = strings.TrimPrefix(below, "strategy.") + ": " + value
	case below == "rounds":
		task = "rounds: " + value
	default:
		task += ", " + below + ": " + value
	}
	return fmt.Sprintf(`broker: tcp://127.0.0.1:1883
namespace: acme
data_dir: d
%s
tasks:
  - {name: quality, members: ["+"], %s, strategy: {%s}, model: {linear: {inputs: 1, outputs: 1}}}
`, top, task, strategy)
}

// Defaults and ranges of the built-in trainer's settings are the document's.
func TestDocumentedSettings(t *testing.T) {
	t.Parallel()
	preset := tabular.DefaultSettings()
	for _, row := range documentedRows(t, "Training settings") {
		if row.kind == "text" {
			for word := range strings.SplitSeq(strings.ReplaceAll(row.limits, "`", ""), ", ") {
				if _, err := tabular.ParseSettings([]byte(`{"` + row.key + `":"` + word + `"}`)); err != nil {
					t.Errorf("%s: %s is in %q: %v", row.key, word, row.limits, err)
				}
			}
			if _, err := tabular.ParseSettings([]byte(`{"` + row.key + `":"another"}`)); err == nil {
				t.Errorf("%s: another word is taken than %q", row.key, row.limits)
			}
			continue
		}
		low, high, ok := parseRange(row.limits)
		if !ok {
			t.Errorf("%s: %q is no range", row.key, row.limits)
			continue
		}
		s, err := tabular.ParseSettings([]byte(`{"` + row.key + `":` + row.preset + `}`))
		if err != nil || s != preset {
			t.Errorf("%s: the default %s gives %+v, %v; want %+v", row.key, row.preset, s, err, preset)
		}
		step := stepOf(row.kind)
		good, bad := edges(low, high, step)
		for _, v := range good {
			if _, err := tabular.ParseSettings([]byte(`{"` + row.key + `":` + written(v, row.kind) + `}`)); err != nil {
				t.Errorf("%s: %v is in %q: %v", row.key, v, row.limits, err)
			}
		}
		for _, v := range bad {
			if _, err := tabular.ParseSettings([]byte(`{"` + row.key + `":` + written(v, row.kind) + `}`)); err == nil {
				t.Errorf("%s: %v is not in %q", row.key, v, row.limits)
			}
		}
	}
}
