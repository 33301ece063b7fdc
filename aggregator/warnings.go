package aggregator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/near"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Warnings names settings of a valid configuration that will have no effect with
// these models and members, or another than they say, and weights that no round
// will change.
func (c Config) Warnings() (out []string) {
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	full := c.withDefaults()
	parts := false
	paths := []string{c.Owner}
	for i, t := range c.Tasks {
		paths = append(append(paths, t.Members...), t.Consumers...)
		whole := fitsInline(t.Init.Schema, full.PartSize)
		parts = parts || !whole
		if whole && t.Slots != 0 {
			warn("tasks[%d] (%s): slots has no effect: the model travels in one message, not in parts", i, t.Name)
		}
		if names := untouched(t.Init.Schema); len(names) > 0 {
			warn("tasks[%d] (%s): model: the rule keep leaves as they are, never averaged: %s", i, t.Name, strings.Join(names, ", "))
		}
		if key, text := asBool(t.Train); key != "" {
			warn("tasks[%d] (%s): train: %s is the text %q, which programs take for true: write true or false", i, t.Name, key, text)
		}
		late := t.late(c.Strategies)
		if n, k := len(t.Members), late.Buffer; k > n && t.listed() {
			warn("tasks[%d] (%s): strategy: a round closes with %d updates (K), and there are %d members: it closes when all are in, or at its deadline", i, t.Name, k, n)
		}
		if text := t.seldomStops(full.Tasks[i].leastMembers(), late.Buffer); text != "" && late.Most > 0 {
			warn("tasks[%d] (%s): %s", i, t.Name, text)
		}
		if a, b, ok := covered(t.Members); ok {
			warn("tasks[%d] (%s): members: %s has no effect beside %s", i, t.Name, a, b)
		}
	}
	if !parts && c.StageMemory != 0 {
		warn("stage_memory has no effect: no task's updates travel in parts")
	}
	if !parts && c.Uploads != 0 {
		warn("uploads has no effect: no task's updates travel in parts")
	}
	for _, k := range c.Keys {
		paths = append(paths, k.Path)
		switch {
		case k.Role == topics.RoleAggregator:
			warn("keys.allow: the key of the aggregator at %q has no effect: an aggregator hears sites and operators", k.Path)
		case k.Role == topics.RoleSite && !c.takes(k.Path):
			warn("keys.allow: the key of %s has no effect: no task's members have this path", k.Path)
		}
	}
	return append(append(out, near.Warnings(c.Namespace)...), near.Warnings(paths...)...)
}

// listed reports whether the members are a list of paths: there are no others.
func (t Task) listed() bool { return !strings.Contains(strings.Join(t.Members, ""), "+") }

// leastMembers is how many members there are, or will be at least, as far as that is written.
func (t Task) leastMembers() int {
	if t.listed() {
		return len(t.Members)
	}
	return t.StartWhen
}

// seldomStops says that rounds of asynchronous training which close with k updates of so many
// members hardly ever end the training early; "" if they may.
func (t Task) seldomStops(members, k int) string {
	if t.Stop == nil || k == 0 || k >= members {
		return ""
	}
	return fmt.Sprintf("stop: a round closes with %d updates (K), and only one that all %d members have measured decides: it hardly ever ends the training before rounds does; "+
		"want K: %[2]d, or rounds as many as wanted and no stop", k, members)
}

// asBool returns a setting whose text some readers of YAML take for true or
// false, and others, such as this program's, for a text.
func asBool(settings json.RawMessage) (key, text string) {
	var set map[string]any
	if json.Unmarshal(settings, &set) != nil {
		return "", ""
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		text, _ := set[key].(string)
		if slices.Contains([]string{"yes", "no", "on", "off"}, strings.ToLower(text)) {
			return key, text
		}
	}
	return "", ""
}

// untouched names the float tensors that stay as they are, those of statistics aside.
func untouched(s model.Schema) (names []string) {
	const most = 8
	n := 0
	if _, ok := model.SurveyOf(s); ok {
		return nil
	}
	for _, spec := range s {
		if spec.Rule != model.Keep || spec.DType == model.I64 || model.IsStatistic(spec.Name) || model.IsControl(spec.Name) {
			continue
		}
		if n++; n <= most {
			names = append(names, fmt.Sprintf("%s %v%v", spec.Name, spec.DType, spec.Shape))
		}
	}
	if n > most {
		names = append(names, fmt.Sprintf("and %d more", n-most))
	}
	return names
}

// takes reports whether a task takes the member of this path.
func (c Config) takes(path string) bool {
	return slices.ContainsFunc(c.Tasks, func(t Task) bool {
		return slices.ContainsFunc(t.Members, func(m string) bool {
			f, err := topics.ParseMemberFilter(m)
			return err == nil && f.Match(path)
		})
	})
}

// covered returns a filter, and another one that takes all that it takes.
func covered(filters []string) (filter, by string, ok bool) {
	for i, a := range filters {
		for j, b := range filters {
			if i != j && covers(b, a) && (a != b || j < i) {
				return a, b, true
			}
		}
	}
	return "", "", false
}

// covers reports whether filter takes all that other takes.
func covers(filter, other string) bool {
	return slices.EqualFunc(strings.Split(filter, "/"), strings.Split(other, "/"), func(a, b string) bool { return a == "+" || a == b })
}
