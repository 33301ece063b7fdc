package strategy_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/strategy"
)

var rewrite = flag.Bool("update", false, "write docs/ref/strategies.md anew")

// docs/ref/strategies.md is what the registry says.
func TestReference(t *testing.T) {
	t.Parallel()
	const name = "../docs/ref/strategies.md"
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, a := range (strategy.Registry{}).AboutStrategies() {
		if a.Summary == "" || a.Paper == "" {
			t.Errorf("strategy %s says nothing of itself, or not where it comes from", a.Name)
		}
		b.WriteString(section(a))
		if n, err := (strategy.Registry{}).MinimumOf(a.Name, given(a.Params)); err != nil {
			t.Error(err)
		} else if n > 1 {
			fmt.Fprintf(&b, "\nA round needs %d accepted updates at least%s.\n", n, map[bool]string{true: " with these defaults (and the least of what has none)"}[len(a.Params) > 0])
		}
	}
	b.WriteString(serverHead)
	for _, a := range (strategy.Registry{}).AboutServers() {
		b.WriteString(section(a))
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil { // a page
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("%s is stale, `make contract` writes it anew: - wanted, + there:\n%s", name, diff)
	}
}

// given has the least of what has no default.
func given(params []strategy.Param) strategy.Settings {
	s := strategy.Settings{}
	for _, p := range params {
		if p.Default == nil {
			s[p.Name] = p.Min
		}
	}
	return s
}

func section(a strategy.About) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### `%s`\n\n", a.Name)
	text := strings.ToUpper(a.Summary[:1]) + a.Summary[1:] + "."
	if a.Kind != "" {
		text = strings.ToUpper(a.Kind[:1]) + a.Kind[1:] + ": " + a.Summary + "."
	}
	if a.Paper != "" {
		text += " " + a.Paper
	}
	b.WriteString(text + "\n")
	if len(a.Params) == 0 {
		return b.String()
	}
	b.WriteString("\n| parameter | what | default | range |\n|---|---|---|---|\n")
	for _, p := range a.Params {
		preset := "required"
		if p.Default != nil {
			preset = fmt.Sprint(p.Default)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.Name, cmp.Or(p.Doc, "-"), preset, p.Range())
	}
	return b.String()
}

const referenceHead = `# Strategies

How the updates of a round become the next model: a strategy makes one mean update of them, and a server optimiser takes the model a
step along it. Both stand in the aggregator's file, with their parameters beside the name:

    strategy:
      name: fedavg
      server: {name: momentum, eta: 1, beta: 0.9}

What is not written has its default. All parameters stand in the record of every round, defaults too, and those of the strategy in its
order; ` + "`fedmq verify`" + ` and replay read them there. A program may bring strategies of its own ([howto/strategy.md](../howto/strategy.md)).
This page is written from the registry, by a test.

- *linear*: a weighted sum. It is folded as updates arrive, in any order to the same bits, and memory does not grow with the sites.
- *selective*: the weight of a value depends on all the others. Updates stay on disk to the end of the round and are read block by block.
- *asynchronous*: an update counts in a later round than it was made for, too.

## Strategies
`

const serverHead = `
## Server optimisers

The key ` + "`server`" + ` of ` + "`strategy`" + `, a name or a mapping; they go with every strategy. What they keep of each value (momentum: 8 bytes; the
last three: 16) is as durable as the model, and goes back with it. Other parameters, or another optimiser, begin anew: the record of that
round says so in its notes. Where the labels of sites differ much, ` + "`momentum`" + ` with the rate 1 and a smaller learning rate at the sites
is worth a try before ` + "`adam`" + `.
`
