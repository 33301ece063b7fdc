package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// manualEntry is what the reference and the man pages say of one command. Both
// are made of the same model that --help is made of.
type manualEntry struct {
	path, synopsis, help string
	detail               []passage
	args, flags          []manualItem
	below                []*kong.Node
}

// passage is a paragraph, or lines that are kept as they are.
type passage struct {
	code bool
	text string
}

// manualItem is a flag or an argument.
type manualItem struct {
	names []string // "-c", "--config"
	value string   // what follows a flag, "" for a switch
	help  string
	preset
}

// preset is what an item is when it is not given.
type preset struct {
	required bool
	value    string
	env      []string
}

// newManualEntry reads a node of the model; path is "" for the program itself.
func newManualEntry(n *kong.Node, path string) manualEntry {
	m := manualEntry{
		path: strings.TrimSpace("fedmq " + path), synopsis: "fedmq " + n.Summary(),
		help: n.Help, below: shown(n),
	}
	text := n.Detail
	if path == "" {
		m.help, text = "", n.Help
		m.synopsis = "fedmq <command> [flags]"
	}
	m.detail = passages(text)
	for _, a := range n.Positional {
		m.args = append(m.args, manualItem{
			names: []string{strings.Trim(a.Summary(), "[]")}, help: a.Help, preset: presetOf(a),
		})
	}
	for _, f := range n.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		m.flags = append(m.flags, flagItem(f))
	}
	return m
}

func flagItem(f *kong.Flag) manualItem {
	it := manualItem{names: []string{"--" + f.Name}, help: f.Help, preset: presetOf(f.Value)}
	if f.Short != 0 {
		it.names = append([]string{"-" + string(f.Short)}, it.names...)
	}
	it.env = f.Envs
	if f.IsBool() {
		return it
	}
	it.value = f.PlaceHolder
	if it.value == "" {
		it.value = valueName(f.Name, f.Target.Type())
	}
	if f.IsSlice() {
		it.value += ",..."
	}
	return it
}

// valueNames are of flags whose default stands in their place in --help.
var valueNames = map[string]string{
	"bridge": "BROKER", "broker": "URL", "dir": "DIR", "example": "NAME", "listen": "ADDR",
	"log-level": "LEVEL", "namespace": "PREFIX", "out": "FILE",
}

// valueName stands for a value whose flag names none.
func valueName(flag string, t reflect.Type) string {
	switch {
	case valueNames[flag] != "":
		return valueNames[flag]
	case t.String() == "time.Duration":
		return "DURATION"
	case t.Kind() == reflect.String:
		return "TEXT"
	}
	return "N"
}

func presetOf(v *kong.Value) preset {
	return preset{required: v.Required, value: v.Default}
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

// passages cuts a help text at its empty lines. Lines that begin with a space
// are examples.
func passages(text string) []passage {
	var out []passage
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.TrimSpace(block) == "" {
			continue
		}
		p := passage{text: strings.Trim(block, "\n")}
		if strings.HasPrefix(p.text, "  ") {
			p.code = true
			p.text = strings.ReplaceAll("\n"+p.text, "\n  ", "\n")[1:]
		}
		out = append(out, p)
	}
	return out
}

// markdownText keeps the characters of prose from being read as Markdown.
var markdownText = strings.NewReplacer("<", `\<`, "*", `\*`, "_", `\_`, "|", `\|`)

// document calls visit for the program and for every command that help shows.
func document(root *kong.Node, visit func(manualEntry)) {
	walk(root, "", func(n *kong.Node, path string) { visit(newManualEntry(n, path)) })
}

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
	table(b, "argument", m.args)
	title := "flag"
	if m.path == "fedmq" {
		title = "flag of every command"
	}
	table(b, title, m.flags)
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

// description writes the help text behind the first line, with its prose escaped.
func (m manualEntry) description(b *strings.Builder, escape *strings.Replacer) {
	for _, p := range m.detail {
		if p.code {
			fmt.Fprintf(b, "```\n%s\n```\n\n", p.text)
		} else {
			b.WriteString(escape.Replace(p.text) + "\n\n")
		}
	}
}

func table(b *strings.Builder, title string, items []manualItem) {
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
