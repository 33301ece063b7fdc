package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// reportRow is a line of the box.
type reportRow struct{ Name, Text string }

// box says with what the task was run. What is not known is left out.
func (src reportSource) box(sites []reportSite) (rows []reportRow) {
	add := func(name, text string) {
		if text != "" {
			rows = append(rows, reportRow{name, text})
		}
	}
	set := flat(src.run.settings().Settings)
	delete(set, "name")
	add("model", src.modelText(set))
	if c := src.contract; c != nil {
		add("reads", joined(c.Names(), 24))
	}
	if c := src.contract; c != nil && c.Predicts() {
		add("gives", c.Target.Name+unitText(c.Target.Unit)+classesText(c.Target.Classes))
	}
	add("training", takeBelow(set, "train."))
	add("seed", take(set, "seed"))
	if s := src.strategy(); s != nil { // records have the defaults, too
		for _, key := range []string{".name", ".weights", ".cap", ".server", ".server.name", ""} {
			delete(set, "strategy"+key)
		}
		for name := range s.Params {
			delete(set, "strategy."+name)
		}
		for name := range s.ServerParams {
			delete(set, "strategy.server."+name)
		}
		add("strategy", joined(texts(s.Name+paramsText(s.Params), serverText(s), takeBelow(set, "strategy.")), 3))
		add("weights", weightsText(s))
		add("guard", guardText(s))
	}
	add("rounds", take(set, "rounds"))
	add("stop", takeBelow(set, "stop."))
	_, survey := model.SurveyOf(src.schema)
	if survey {
		delete(set, "statistics.columns") // they have a table
		add("statistics", takeBelow(set, "statistics."))
	}
	add("data", dataText(sites, survey))
	add("other settings", takeBelow(set, ""))
	for _, text := range src.changes() {
		add("changed", text)
	}
	switch {
	case len(src.run.Settings) == 0:
		add("settings", "nobody noted them: what is not here is not known")
	case src.fromFile:
		add("settings", "as "+aggregatorName+" has them today; nobody noted them when the rounds were made")
	}
	return rows
}

// modelText takes the model's settings: "mlp: hidden [16], inputs 4".
func (src reportSource) modelText(set map[string]string) string {
	var parts []string
	for _, kind := range []string{"mlp", "softmax", "linear"} {
		if text := takeBelow(set, "model."+kind+"."); text != "" {
			parts = append(parts, kind+": "+text)
		}
	}
	parts = append(parts, takeBelow(set, "model."))
	if v, ok := model.SurveyOf(src.schema); ok {
		return "none: statistics of " + times(v.Features, "column", "columns")
	}
	if src.schema != nil {
		parts = append(parts, fmt.Sprintf("%s in %s", times(src.schema.Shared().Elements(), "trained value", "trained values"), times(len(src.schema.Shared()), "tensor", "tensors")))
	}
	return joined(texts(parts...), 4)
}

// strategy is that of the last round that was trained.
func (src reportSource) strategy() *record.Strategy {
	for i := range slices.Backward(src.run.Records) {
		if r := &src.run.Records[i]; r.Work == wire.WorkTrain && !r.Strategy.IsZero() {
			return &r.Strategy
		}
	}
	return nil
}

func serverText(s *record.Strategy) string {
	if s.Server == "" {
		return ""
	}
	return "server optimiser " + s.Server + paramsText(s.ServerParams)
}

// paramsText is " (beta 0.9, eta 1)".
func paramsText(s record.Settings) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		list = append(list, fmt.Sprintf("%s %v", name, s[name]))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func weightsText(s *record.Strategy) string {
	text := s.Weights
	switch s.Weights {
	case "samples":
		text = "by rows"
	case "sqrt":
		text = "by the square root of the rows"
	case "uniform":
		text = "all sites alike"
	}
	if s.Cap > 0 && s.Weights != "uniform" {
		text += fmt.Sprintf(", at most %d of one site", s.Cap)
	}
	return text
}

// guardText says what stands before the strategy, by the numbers of the last round.
func guardText(s *record.Strategy) string {
	var parts []string
	if most, ok := s.Thresholds["Z"]; ok {
		parts = append(parts, fmt.Sprintf("refuses values beyond %.3g", most))
	}
	if norm, ok := s.Thresholds["C"]; ok {
		parts = append(parts, fmt.Sprintf("clips to a norm of %.3g", norm))
	}
	return joined(parts, 2)
}

// dataText sums up what the sites have.
func dataText(sites []reportSite, survey bool) string {
	rows, tested := uint64(0), uint64(0)
	for _, s := range sites {
		rows, tested = rows+s.Rows, tested+s.Tested
	}
	if rows == 0 {
		return ""
	}
	if survey {
		return fmt.Sprintf("%d rows at %s", rows, times(len(sites), "site", "sites"))
	}
	return fmt.Sprintf("%d rows to train on, %d to test on, at %s", rows, tested, times(len(sites), "site", "sites"))
}

// changes says in words what was set otherwise while the task went on.
func (src reportSource) changes() (list []string) {
	for i, s := range src.run.Settings {
		if i == 0 {
			continue
		}
		if diff := differences(src.run.Settings[i-1], s); len(diff) > 0 {
			list = append(list, fmt.Sprintf("from version %d on: %s", s.After, joined(diff, 24)))
		}
	}
	return list
}

// take removes a setting and returns it.
func take(set map[string]string, key string) string {
	v := set[key]
	delete(set, key)
	return v
}

// takeBelow removes the settings whose keys begin with prefix and returns them in
// words: "batch 32, lr 0.02".
func takeBelow(set map[string]string, prefix string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			list = append(list, rest+" "+take(set, key))
		}
	}
	return joined(list, 40)
}

// texts are those that say something.
func texts(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// joined lists at most so many texts.
func joined(list []string, most int) string {
	if n := len(list) - most; n > 0 {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", n))
	}
	return strings.Join(list, ", ")
}

func unitText(unit string) string {
	if unit == "" {
		return ""
	}
	return " in " + unit
}

func classesText(classes []string) string {
	if len(classes) == 0 {
		return ""
	}
	return ": " + joined(classes, 24)
}

// settingsToday are those of the configuration in a folder.
func settingsToday(folder, task string) (list []runSettings) {
	path := filepath.Join(folder, aggregatorName)
	var f aggregatorFile
	if loadYAML(path, &f) != nil {
		return nil
	}
	text, err := readText(path)
	if err != nil {
		return nil
	}
	for i, t := range f.Tasks {
		if t.Name == task {
			if s, err := taskSettings(text, i, task); err == nil {
				list = append(list, s)
			}
		}
	}
	return list
}
