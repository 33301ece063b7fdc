package layers_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fedmq/fedmq/internal/layers"
)

func TestModule(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	mod, err := os.ReadFile("../../go.mod")
	if err != nil || !strings.HasPrefix(string(mod), "module "+layers.Module+"\n") {
		t.Fatalf("not the module's root: %v", err)
	}
	found, err := layers.Check(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// The tables say what is, and not what once was.
func TestNothingStale(t *testing.T) {
	t.Parallel()
	stale, err := layers.Stale(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stale {
		t.Error(s)
	}
}

// A line that nobody needs is found.
func TestStale(t *testing.T) {
	t.Parallel()
	stale, err := layers.Stale(fstest.MapFS{
		"wire/a.go":      {Data: []byte("package wire\n\nimport (\n\t_ \"" + layers.Module + "/topics\"\n\t_ \"github.com/klauspost/compress/zstd\"\n)\n")},
		"wire/a_test.go": {Data: []byte("package wire\n\nimport _ \"" + layers.Module + "/model\"\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, found := range map[string]bool{
		"wire does not import internal/secret": true, "layers: there is no package site": true, "wire does not import github.com/vmihailenco/msgpack": true,
		"wire does not import topics": false, "wire does not import model": false, "wire does not import github.com/klauspost/compress": false,
	} {
		if slices.Contains(stale, want) != found {
			t.Errorf("%q: want %v", want, found)
		}
	}
}

// Each case is one file with one import, and a part of the rule that it
// breaks; "" for none.
func TestCheck(t *testing.T) {
	t.Parallel()
	const m = layers.Module + "/"
	for _, c := range []struct{ name, file, imp, rule string }{
		{"standard library", "topics/a.go", "strings", ""},
		{"down", "wire/a.go", m + "topics", ""},
		{"up", "topics/a.go", m + "wire", "topics may import only: (none)"},
		{"own subtree", "trainer/tabular/a.go", m + "trainer", ""},
		{"subpackage as its layer", "trainer/tabular/a.go", m + "wire", "trainer may import only: model"},
		{"strategy is a layer of its own", "strategy/a.go", m + "wire", "strategy may import only"},
		{"aggregator uses internal", "aggregator/a.go", m + "internal/round", ""},
		{"site to aggregator", "site/a.go", m + "aggregator", "never import each other"},
		{"aggregator to site", "aggregator/a.go", m + "site", "never import each other"},
		{"even in tests", "site/a_test.go", m + "aggregator", "never import each other"},
		{"cmd imports all", "cmd/fedmq/a.go", m + "internal/round", ""},
		{"nobody imports cmd", "site/a.go", m + "cmd/fedmq", "nobody imports cmd"},
		{"not in tests either", "site/a_test.go", m + "cmd/fedmq", "nobody imports cmd"},
		{"cmd shows examples", "cmd/fedmq/a.go", m + "examples/x", ""},
		{"nobody else imports examples", "site/a.go", m + "examples/x", "only cmd imports examples"},
		{"examples are public", "examples/x/main.go", m + "internal/fold", "public packages only"},
		{"examples use site", "examples/x/main.go", m + "site", ""},
		{"root package", "cmd/fedmq/a.go", layers.Module, "documentation"},
		{"another module with our prefix", "cmd/fedmq/a.go", layers.Module + "x/y", "library has no line"},
		{"paho in link", "internal/link/a.go", "github.com/eclipse/paho.mqtt.golang", ""},
		{"paho elsewhere", "site/a.go", "github.com/eclipse/paho.mqtt.golang", "belongs to: internal/link"},
		{"mochi elsewhere", "internal/link/a.go", "github.com/mochi-mqtt/server/v2/packets", "belongs to: broker"},
		{"mochi in a test", "internal/link/a_test.go", "github.com/mochi-mqtt/server/v2", ""},
		{"msgpack elsewhere", "record/a.go", "github.com/vmihailenco/msgpack/v5", "belongs to: wire"},
		{"zstd elsewhere", "trainer/a.go", "github.com/klauspost/compress/zstd", "belongs to: internal/zframe"},
		{"bbolt elsewhere", "broker/a.go", "go.etcd.io/bbolt", "belongs to: internal/store"},
		{"gonum in a strategy", "strategy/a.go", "gonum.org/v1/gonum/floats", "belongs to"},
		{"yaml elsewhere", "site/a.go", "github.com/goccy/go-yaml", "belongs to: cmd"},
		{"logging in a library", "wire/a.go", "github.com/rs/zerolog", "belongs to"},
		{"test library", "wire/a.go", "pgregory.net/rapid", "belongs to: (none)"},
		{"test library in a test", "wire/a_test.go", "pgregory.net/rapid", ""},
		{"unknown library", "cmd/fedmq/a.go", "example.org/x", "library has no line"},
		{"unknown library in a test", "wire/a_test.go", "example.org/x", "library has no line"},
		{"unknown package", "util/a.go", "strings", "package util has no line"},
		{"import of an unknown package", "cmd/fedmq/a.go", m + "util", "package util has no line"},
		{"time in a machine", "internal/round/a.go", "time", "pure machine"},
		{"atomic in a machine", "internal/transfer/a.go", "sync/atomic", "pure machine"},
		{"randomness in a machine", "internal/round/a.go", "math/rand/v2", "pure machine"},
		{"time in a machine's test", "internal/round/a_test.go", "time", ""},
		{"math in a machine", "internal/round/a.go", "math", ""},
	} {
		src := "package p\n\nimport _ \"" + c.imp + "\"\n"
		found, err := layers.Check(fstest.MapFS{c.file: {Data: []byte(src)}})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.rule == "" && len(found) != 0:
			t.Errorf("%s: %v", c.name, found)
		case c.rule == "":
		case len(found) != 1 || !strings.Contains(found[0].Rule, c.rule) || !strings.HasPrefix(found[0].File, c.file):
			t.Errorf("%s: found %v, want %q in %s", c.name, found, c.rule, c.file)
		}
	}
}

// What the go command ignores is ignored here, and a broken file is an error.
func TestCheckWalk(t *testing.T) {
	t.Parallel()
	bad := &fstest.MapFile{Data: []byte("package p\n\nimport \"example.org/x\"\n")}
	found, err := layers.Check(fstest.MapFS{
		"site/testdata/a.go": bad, ".cache/a.go": bad, "_old/a.go": bad,
		"nested/go.mod": {}, "nested/a.go": bad, "site/a.txt": bad,
	})
	if err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
	found, err = layers.Check(fstest.MapFS{"site/a.go": bad})
	if err != nil || len(found) != 1 || found[0].String() !=
		"site/a.go:3: imports example.org/x: library has no line in internal/layers/tables_test.go" {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := layers.Check(fstest.MapFS{"site/a.go": {Data: []byte("import")}}); err == nil {
		t.Error("a file that does not parse passed")
	}
}
