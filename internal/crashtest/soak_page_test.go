//go:build fedmqtest

package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// report checks what the soak left behind, prints it, and writes the page.
func report(t *testing.T, c *cluster, g *gauges, done churn, took time.Duration) {
	t.Helper()
	promised, last := c.settled()
	o := c.outcome()
	for _, problem := range o.problems {
		t.Error(problem)
	}
	text := soakPage(c, g, done, took)
	text += fmt.Sprintf(`
## What was promised

%d committed rounds, the last one number %d; %d receipts for updates were seen by a watcher, %d of them lost (no record
speaks of it), %d updates counted twice. `+"`fedmq verify`"+` checks the chain and makes every model again from
the updates that were kept; it, and the checks above, found %d problems.
`, len(o.models), last, promised, o.lost, o.double, len(o.problems))
	fmt.Print(text)
	for _, owner := range owners {
		for _, q := range quantities[2:] {
			if first, end, _ := g.slope(owner + ", " + q); end > first+3 {
				t.Errorf("%s, %s: %.1f after the warm-up, %.1f at the end", owner, q, first, end)
			}
		}
	}
	if *page != "" && !t.Failed() {
		if err := os.WriteFile(*page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func soakPage(c *cluster, g *gauges, done churn, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Soak

Written by `+"`make soak`"+`: a broker (embedded), an aggregator and %d sites, each a process, for %s. %s, commit %s, %s,
mochi-mqtt %s, %s/%s, %d processors.

In bursts of %d sites some are killed (%d), killed and robbed of their data directory (%d), or leave and come back (%d);
every other time a round ends without them. Broker, aggregator and %d sites run through. It measures %d times, when
all sites are there again and have had a round; the first third of these is the warm-up and left out.
A model has %d parameters and travels in parts of %d bytes; updates and models are all kept.

## What grows

The means of the first and the last quarter after the warm-up, and the slope of the least-squares line, an hour: of a short
run it says what would be if it went on like that.

| | first | last | an hour |
|---|---|---|---|
`, c.shape.Sites, took.Round(time.Second), time.Now().UTC().Format(time.DateOnly), g.commit, runtime.Version(),
		version("github.com/mochi-mqtt/server/v2"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		burst, done.killed, done.wiped, done.left, undisturbedSites, done.measured, c.shape.Params, c.shape.PartSize)
	line := func(name string) {
		first, last, slope := g.slope(name)
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %+.2f |\n", name, first, last, slope)
	}
	for _, owner := range owners {
		for _, q := range quantities {
			line(owner + ", " + q)
		}
	}
	line(retainedRow)
	return b.String()
}

// commit is what the binaries are built from, asked before they are.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// version is that of a module this tree is built with.
func version(module string) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		return "of unknown version"
	}
	return strings.TrimSpace(string(out))
}
