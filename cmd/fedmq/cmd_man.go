package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/cpuguy83/go-md2man/v2/md2man"
)

type manCmd struct {
	Dir string `arg:"" help:"Directory to write into; made when missing."`
}

func (manCmd) Help() string {
	return `Writes fedmq.1, and one page for each command: fedmq-broker.1, fedmq-model-get.1.

  fedmq man ~/.local/share/man/man1 && man fedmq`
}

func (c *manCmd) Run(k *kong.Context) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil { // documentation
		return err
	}
	for name, page := range manPages(k.Model.Node) {
		if err := os.WriteFile(filepath.Join(c.Dir, name), page, 0o644); err != nil { // documentation
			return err
		}
	}
	return nil
}

// manPages makes all pages, by the names of their files.
func manPages(root *kong.Node) map[string][]byte {
	pages := map[string][]byte{}
	var common []manualItem // the flags of every command
	document(root, func(m manualEntry) {
		if m.path == "fedmq" {
			common = m.flags
		} else {
			m.flags = append(m.flags, common...)
		}
		pages[m.pageName()+".1"] = md2man.Render([]byte(m.manMarkdown()))
	})
	return pages
}

func (m manualEntry) pageName() string { return strings.ReplaceAll(m.path, " ", "-") }

// manMarkdown is a page in the Markdown that md2man reads.
func (m manualEntry) manMarkdown() string {
	var b strings.Builder
	help := strings.TrimSuffix(m.help, ".")
	if m.path == "fedmq" {
		help = "federated learning over MQTT"
	}
	fmt.Fprintf(&b, "%% \"%s\" \"1\" \"\" \"fedmq %s\" \"fedmq manual\"\n", strings.ToUpper(m.pageName()), version)
	fmt.Fprintf(&b, "# NAME\n\n%s - %s\n\n# SYNOPSIS\n\n**%s**\n\n", m.pageName(), manText.Replace(help), manText.Replace(m.synopsis))
	if len(m.detail) > 0 {
		b.WriteString("# DESCRIPTION\n\n")
	}
	m.description(&b, manText)
	manItems(&b, "ARGUMENTS", m.args)
	manItems(&b, "OPTIONS", m.flags)
	also := "**fedmq(1)**"
	if len(m.below) > 0 {
		b.WriteString("# COMMANDS\n\n")
		for _, c := range m.below {
			fmt.Fprintf(&b, "**%s-%s(1)**\n: %s\n\n", m.pageName(), c.Name, manText.Replace(c.Help))
		}
	}
	if m.path == "fedmq" {
		also = "**fedmq(1)** has a page for each command: fedmq-aggregator(1)"
	}
	fmt.Fprintf(&b, "# SEE ALSO\n\n%s\n", also)
	return b.String()
}

// manText is markdownText for md2man, which has other ideas of what to escape.
var manText = strings.NewReplacer("<", `\<`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`)

func manItems(b *strings.Builder, title string, items []manualItem) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "# %s\n\n", title)
	for _, it := range items {
		name := "**" + manText.Replace(strings.Join(it.names, ", ")) + "**"
		if it.value != "" {
			name += "=*" + it.value + "*"
		}
		what := manText.Replace(it.help)
		if it.required && strings.HasPrefix(it.names[0], "-") {
			what += " Required."
		}
		if it.preset.value != "" {
			what += " Default: " + manText.Replace(it.preset.value) + "."
		}
		if len(it.env) > 0 {
			what += " Environment: " + manText.Replace(strings.Join(it.env, ", ")) + "."
		}
		fmt.Fprintf(b, "%s\n: %s\n\n", name, what)
	}
}
