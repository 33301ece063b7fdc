package main

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// docs/ref/config.md has every key of the configuration files in the table of
// its section, with the type that the program reads, and no other. TestDocumentedRanges
// and TestDocumentedSettings compare ranges, package aggregator its defaults.
func TestConfigReference(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/ref/config.md")
	if err != nil {
		t.Fatal(err)
	}
	arch, table, program := reflect.TypeFor[archFile](), reflect.TypeFor[tabular.Config](), reflect.TypeFor[execFile]()
	want := map[string]map[string]string{
		"Connection":        keyPaths("yaml", reflect.TypeFor[connection]()),
		"Aggregator":        keyPaths("yaml", reflect.TypeFor[aggregatorFile](), arch, table, program),
		"Built-in models":   keyPaths("yaml", arch),
		"Training settings": keyPaths("json", reflect.TypeFor[tabular.Settings]()),
		"Site":              keyPaths("yaml", reflect.TypeFor[siteFile](), table, program),
		"Exec trainer":      keyPaths("yaml", program),
		"Tabular trainer":   keyPaths("yaml", table),
		"Broker":            keyPaths("yaml", reflect.TypeFor[brokerFile](), reflect.TypeFor[broker.Limits](), reflect.TypeFor[broker.UserSpec]()),
		"Limits":            keyPaths("yaml", reflect.TypeFor[broker.Limits](), reflect.TypeFor[broker.RoleLimits]()),
		"Limits of a role":  keyPaths("yaml", reflect.TypeFor[broker.RoleLimits]()),
		"Users":             keyPaths("yaml", reflect.TypeFor[usersFile]()),
	}
	got := documentedKeys(string(text))
	for _, section := range slices.Sorted(maps.Keys(want)) {
		if diff := cmp.Diff(want[section], got[section]); diff != "" {
			t.Errorf("%s: - in the program, + in the document:\n%s", section, diff)
		}
		delete(got, section)
	}
	if len(got) > 0 {
		t.Errorf("sections without a type: %v", got)
	}
}

// keyPaths lists the keys of a struct and of what is below it, with their types,
// but for what is below the types in stop; inlined structs have a section of
// their own.
func keyPaths(tag string, t reflect.Type, stop ...reflect.Type) map[string]string {
	out := map[string]string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get(tag), ",")
		if name == "" || name == "-" || strings.Contains(opts, "inline") {
			continue
		}
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		out[name] = typeName(ft)
		if ft.Kind() == reflect.Slice {
			name, ft = name+"[]", ft.Elem()
		}
		if keys, ok := withParams[ft]; ok {
			ft = keys
		}
		if ft.Kind() != reflect.Struct || slices.Contains(stop, ft) || reflect.PointerTo(ft).Implements(nodeUnmarshaler) {
			continue
		}
		for below, kind := range keyPaths(tag, ft, stop...) {
			out[name+"."+below] = kind
		}
	}
	return out
}

// withParams are mappings that have parameters of their own beside these keys.
var withParams = map[reflect.Type]reflect.Type{
	reflect.TypeFor[strategyFile](): reflect.TypeFor[strategyKeys](), reflect.TypeFor[serverFile](): reflect.TypeFor[serverKeys](),
	reflect.TypeFor[statisticsFile](): reflect.TypeFor[statisticsKeys](), reflect.TypeFor[columnFile](): reflect.TypeFor[columnKeys](),
}

// typeName is how the document calls a type.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case whole(t):
		return "whole number"
	}
	switch t.Kind() {
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Interface:
		return "value"
	}
	return "mapping"
}

// documentedKeys returns the first two columns of the tables, by heading.
func documentedKeys(text string) map[string]map[string]string {
	keys := map[string]map[string]string{}
	section := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			section = strings.Trim(line, "# \n")
		}
		if row, ok := strings.CutPrefix(line, "| `"); ok {
			key, rest, _ := strings.Cut(row, "` | ")
			kind, _, _ := strings.Cut(rest, " | ")
			if keys[section] == nil {
				keys[section] = map[string]string{}
			}
			keys[section][key] = kind
		}
	}
	return keys
}

// The page tells the limits that a broker has by itself.
func TestDocumentedLimits(t *testing.T) {
	t.Parallel()
	b, err := broker.New(broker.Config{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	l := b.Limits()
	for section, of := range map[string][]any{"Limits": {l}, "Limits of a role": {l.Site, l.Watcher, l.Owner, l.Anonymous}} {
		rows := documentedRows(t, section)
		if len(rows) == 0 {
			t.Errorf("no section %s", section)
		}
		for _, row := range rows {
			if row.kind != "whole number" {
				continue
			}
			var want []string
			for _, v := range of {
				want = append(want, fmt.Sprint(byKey(reflect.ValueOf(v), row.key)))
			}
			got, _, _ := strings.Cut(row.preset, " (")
			if got != strings.Join(want, "; ") {
				t.Errorf("%s, %s: default %s, want %s", section, row.key, got, strings.Join(want, "; "))
			}
		}
	}
}

// byKey is the field of a struct with a key.
func byKey(v reflect.Value, key string) any {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i).Interface()
		}
	}
	return nil
}
