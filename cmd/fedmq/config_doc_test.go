package main

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// docs/ref/config.md has every key of the configuration files in the table of
// its section, and no other.
func TestConfigReference(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/ref/config.md")
	if err != nil {
		t.Fatal(err)
	}
	arch, table, program := reflect.TypeFor[archFile](), reflect.TypeFor[tabular.Config](), reflect.TypeFor[execFile]()
	want := map[string][]string{
		"Connection":        keyPaths("yaml", reflect.TypeFor[connection]()),
		"Aggregator":        keyPaths("yaml", reflect.TypeFor[aggregatorFile](), arch),
		"Built-in models":   keyPaths("yaml", arch),
		"Training settings": keyPaths("json", reflect.TypeFor[tabular.Settings]()),
		"Site":              keyPaths("yaml", reflect.TypeFor[siteFile](), table, program),
		"Exec trainer":      keyPaths("yaml", program),
		"Tabular trainer":   keyPaths("yaml", table),
		"Users":             keyPaths("yaml", reflect.TypeFor[usersFile]()),
	}
	got := documentedKeys(string(text))
	for _, section := range slices.Sorted(maps.Keys(want)) {
		if diff := cmp.Diff(slices.Sorted(slices.Values(want[section])), got[section]); diff != "" {
			t.Errorf("%s: - in the program, + in the document:\n%s", section, diff)
		}
		delete(got, section)
	}
	if len(got) > 0 {
		t.Errorf("sections without a type: %v", got)
	}
}

// keyPaths lists the keys of a struct and of what is below it, but for the
// types in stop; inlined structs have a section of their own.
func keyPaths(tag string, t reflect.Type, stop ...reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get(tag), ",")
		if name == "" || strings.Contains(opts, "inline") {
			continue
		}
		out = append(out, name)
		ft := f.Type
		if ft.Kind() == reflect.Slice {
			name, ft = name+"[]", ft.Elem()
		}
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() != reflect.Struct || slices.Contains(stop, ft) || reflect.PointerTo(ft).Implements(nodeUnmarshaler) {
			continue
		}
		for _, below := range keyPaths(tag, ft, stop...) {
			out = append(out, name+"."+below)
		}
	}
	return out
}

// documentedKeys returns the first column of the tables, by heading.
func documentedKeys(text string) map[string][]string {
	keys := map[string][]string{}
	section := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			section = strings.Trim(line, "# \n")
		}
		if row, ok := strings.CutPrefix(line, "| `"); ok {
			key, _, _ := strings.Cut(row, "`")
			keys[section] = append(keys[section], key)
		}
	}
	for _, k := range keys {
		slices.Sort(k)
	}
	return keys
}
