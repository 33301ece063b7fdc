package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/ref/cli.md")

// commandModel is what help, reference and man pages are made of.
func commandModel(t *testing.T) *kong.Node {
	t.Helper()
	parser, err := newParser(new(cli), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Node
}

// docs/ref/cli.md says what the program takes.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	path := filepath.FromSlash("../../docs/ref/cli.md")
	want := referenceMarkdown(commandModel(t))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("stale; go test ./cmd/fedmq -run TestCommandReference -update writes it (- the program, + the page):\n%s", diff)
	}
}

// Every flag and argument has a help text, and examples are indented: --help
// fills the lines of all other text.
func TestHelpTexts(t *testing.T) {
	t.Parallel()
	document(commandModel(t), func(m manualEntry) {
		for _, it := range append(m.args, m.flags...) {
			if !strings.HasSuffix(it.help, ".") {
				t.Errorf("%s %s: help %q, want a sentence", m.path, it.names, it.help)
			}
		}
		for _, p := range m.detail {
			for line := range strings.Lines(p.text) {
				if !p.code && (strings.HasPrefix(line, "fedmq ") || strings.Contains(line, "  ")) {
					t.Errorf("%s: %q looks like an example, indent it", m.path, line)
				}
			}
		}
	})
}

// The man pages: one for each command, in roff, with what the reference has.
func TestManPages(t *testing.T) {
	t.Parallel()
	pages := manPages(commandModel(t))
	for name, want := range map[string][]string{
		"fedmq.1":            {".TH \"FEDMQ\" \"1\"", "Exit codes: 0 ok", "fedmq-model(1)"},
		"fedmq-aggregator.1": {"fedmq-aggregator \\- Run the aggregator", "\\fB-c, --config\\fP=\\fIFILE\\fP", "start_when: 10", "--log-level"},
		"fedmq-model-get.1":  {"--follow", "Default: 30s."},
		"fedmq-dashboard.1":  {"FEDMQ_DASHBOARD_TOKEN"},
	} {
		page := string(pages[name])
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("%s lacks %q:\n%s", name, w, page)
			}
		}
	}
}
