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

// document calls visit for the program and for every command that help shows.
func document(root *kong.Node, visit func(manualEntry)) {
	walk(root, "", func(n *kong.Node, path string) { visit(newManualEntry(n, path)) })
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
