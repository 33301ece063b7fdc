package main

import (
	"flag"
	"fmt"
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

// String is the cell of a table.
func (p preset) String() string {
	switch {
	case p.required:
		return "required"
	case p.value != "":
		return "`" + p.value + "`"
	}
	return ""
}

// markdownText keeps the characters of prose from being read as Markdown.
var markdownText = strings.NewReplacer("<", `\<`, "*", `\*`, "_", `\_`, "|", `\|`)

// referenceMarkdown is docs/ref/cli.md.
func referenceMarkdown(root *kong.Node) string {
	var b strings.Builder
	b.WriteString(`# Command line

Every command with its arguments and flags, as ` + "`fedmq COMMAND --help`" + ` shows them. Made from the program by
` + "`go test ./cmd/fedmq -run TestCommandReference -update`" + `; a test fails when the page is stale. ` + "`fedmq man DIR`" + ` writes the same
as man pages, which the archives of a release have in ` + "`man/`" + `.

- Flags are written ` + "`--flag=VALUE` or `--flag VALUE`" + `, and may stand anywhere after the command. A list may be one flag with commas, or the flag repeated.
- Durations are written with their unit: ` + "`500ms`, `90s`, `5m`, `1h30m`" + `.
- A flag whose row names an environment variable takes its value from there when it is not given.
- ` + "`GOMEMLIMIT`" + ` sets the memory limit of the Go runtime; ` + "`fedmq aggregator`" + ` sets one that fits its tasks when it is empty.
- ` + "`GOGC`" + ` is how much garbage the Go runtime lets grow, in percent of what is in use; when it is empty that is 100, and 50 of ` + "`fedmq broker`" + `, but 16 MB at least in those of ` + "`fedmq broker`, `fedmq aggregator` and `fedmq site`" + `.

`)
	document(root, func(m manualEntry) { m.reference(&b) })
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func (m manualEntry) reference(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", m.path)
	if m.help != "" {
		b.WriteString(markdownText.Replace(m.help) + "\n\n")
	}
	fmt.Fprintf(b, "    %s\n\n", m.synopsis)
	m.description(b, markdownText)
	itemTable(b, "argument", m.args)
	title := "flag"
	if m.path == "fedmq" {
		title = "flag of every command"
	}
	itemTable(b, title, m.flags)
	if len(m.below) == 0 {
		return
	}
	b.WriteString("| command | what |\n|---|---|\n")
	for _, c := range m.below {
		name := m.path + " " + c.Name
		fmt.Fprintf(b, "| [`%s`](#%s) | %s |\n", name, strings.ReplaceAll(name, " ", "-"), markdownText.Replace(c.Help))
	}
	b.WriteString("\n")
}

func itemTable(b *strings.Builder, title string, items []manualItem) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "| %s | what | default |\n|---|---|---|\n", title)
	for _, it := range items {
		name := strings.Join(it.names, ", ")
		if it.value != "" {
			name += "=" + it.value
		}
		what := markdownText.Replace(it.help)
		if len(it.env) > 0 {
			what += " Environment: `" + strings.Join(it.env, "`, `") + "`."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, what, it.preset)
	}
	b.WriteString("\n")
}
