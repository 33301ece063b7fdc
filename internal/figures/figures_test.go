package figures

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/bench"
)

// effort is how large and how long.
type effort struct {
	sizes  []int // parameters, with ten sites
	rounds []int // of each size
	many   int   // sites of the row that shows whether memory grows with them
	scale  []string
	turns  int // of what is measured in turn
}

var (
	full  = effort{[]int{10_000, 1_000_000, 10_000_000}, []int{20, 10, 5}, 20, nil, 3}
	quick = effort{[]int{10_000, 100_000, 300_000}, []int{2, 2, 2}, 12, []string{"--points=2x1k,4x1k,2x10k", "--rounds=1"}, 1}
)

// figures is one run of all.
type figures struct {
	*testing.T
	effort
	program string // bin/fedmq
	root    string // of the repository, to write the pages; "" prints alone
}

func TestFigures(t *testing.T) {
	f := &figures{T: t, effort: quick, program: os.Getenv("FEDMQ_PROGRAM"), root: os.Getenv("FEDMQ_FIGURES_WRITE")}
	switch os.Getenv("FEDMQ_FIGURES") {
	case "":
		t.Skip("FEDMQ_FIGURES is not set: make figures")
	case "full":
		f.effort = full
	}
	for _, part := range []struct {
		name    string
		measure func(*figures)
	}{
		{"sizes", (*figures).sizesTable},
		{"trace", (*figures).traceTable},
		{"profile", (*figures).profileTable},
		{"scale", (*figures).scaleTable},
		{"brokers", (*figures).brokersTable},
		{"peers", (*figures).peersTable},
		{"old", (*figures).oldTable},
	} {
		t.Run(part.name, func(t *testing.T) {
			one := *f
			one.T = t
			part.measure(&one)
		})
	}
}

const benchPage, performancePage = "docs/ref/bench.md", "docs/explain/performance.md"

// sizesTable is the round's own: three sizes, more sites, and a model of which little
// changes.
func (f *figures) sizesTable() {
	var out []*bench.Result
	text := f.machine() + "| parameters x sites | round: median, fastest; floor | times | CPU a round: aggregator, broker, all sites; floor | times | memory: aggregator, broker, site | " +
		"sites send, receive | error |\n|---|---|---|---|---|---|---|---|\n"
	row := func(name string, r *bench.Result) {
		c, m := r.CPUByRole, r.RSS
		text += fmt.Sprintf("| %s | %s, %s; %s | **%.1f** | %.3f, %.3f, %.3f; %.3f s | **%.1f** | %.0f, %.0f, %.0f MB | %.1f, %.1f MB | %g |\n",
			name, seconds(r.Median), seconds(r.Min), seconds(r.Floor), r.WallOver,
			*c.Aggregator, *c.Broker, *c.Site, r.FloorCPU, r.CPUOver, *m.Aggregator, *m.Broker, *m.Site, r.Up, r.Down, *r.Error)
	}
	for i, n := range f.sizes {
		r := f.round(n, "--rounds", fmt.Sprint(f.rounds[i]))
		out = append(out, r)
		row(bench.Parameters(n)+" x 10", r)
	}
	large := f.sizes[len(f.sizes)-1]
	row(fmt.Sprintf("%s x %d", bench.Parameters(large), f.many), f.round(large, "--rounds=3", fmt.Sprintf("--sites=%d", f.many)))
	little := f.round(large, "--rounds=5", "--changed=0.01")
	out = append(out, little)
	row(bench.Parameters(large)+" x 10, 1 % of them change", little)
	f.write(benchPage, "sizes", text)
	f.musts(out)
}

// traceTable is the steps of a small round.
func (f *figures) traceTable() {
	r := f.round(f.sizes[0], "--rounds=20", "--trace")
	text := f.machine() + "| party | step | first | middle | last |\n|---|---|---|---|---|\n"
	for _, h := range r.Trace {
		text += fmt.Sprintf("| %s | %s | %.1f | %.1f | %.1f |\n", h.Role, h.What, h.First, h.Median, h.Last)
	}
	text += fmt.Sprintf("\nWithout the trace a round took %s, with it %s; the floor's lap %s.\n",
		seconds(f.round(f.sizes[0], "--rounds=20").Median), seconds(r.Median), seconds(r.Floor))
	f.write(performancePage, "trace", text)
}

// scaleTable is growth, with its picture.
func (f *figures) scaleTable() {
	picture := filepath.Join(f.TempDir(), "growth.svg")
	if f.root != "" {
		picture = filepath.Join(f.root, "docs/img/growth.svg")
	}
	var g bench.Growth
	f.run(&g, append([]string{"bench", "scale", "--json", "--picture", picture}, f.scale...)...)
	text := f.machine() + "| sites x parameters | round, times the floor | CPU, times | memory: aggregator, times | broker, times | site, times |\n|---|---|---|---|---|---|\n"
	for _, r := range g.Points {
		text += fmt.Sprintf("| %d x %s | %s, **%.1f** | %.3f s, **%.1f** |", r.Sites, bench.Parameters(r.Params), seconds(r.Median), r.WallOver, r.CPU, r.CPUOver)
		for _, m := range r.Memory() {
			text += fmt.Sprintf(" %.0f MB, **%.1f** |", m.MB, m.Over)
		}
		text += "\n"
	}
	f.write(benchPage, "scale", text)
}

// musts says what is reached of what this project wants of a round.
func (f *figures) musts(sizes []*bench.Result) {
	small, middle, large, little := sizes[0], sizes[1], sizes[2], sizes[3]
	for _, m := range []struct {
		what      string
		got, most float64
	}{
		{"large: wall / floor", large.WallOver, 2.6},
		{"large: CPU / floor", large.CPUOver, 2.4},
		{"large: MB of the aggregator", *large.RSS.Aggregator, 300},
		{"large: MB of the broker", *large.RSS.Broker, 250},
		{"large: MB of a site", *large.RSS.Site, 130},
		{"middle: wall / floor", middle.WallOver, 3},
		{"small: wall / floor", small.WallOver, 7},
		{"1 % changed: bytes up, of all", little.Up / little.Full, .05},
		{"1 % changed: wall, of a whole round's", little.Median / large.Median, .5},
	} {
		mark := "ok    "
		if m.got > m.most {
			mark = "MISSED"
		}
		f.Logf("%s %-38s %.2f, at most %.2f", mark, m.what, m.got, m.most)
	}
}

// machine is the line above a table.
func (f *figures) machine() string {
	return fmt.Sprintf("%s, %s.\n\n", time.Now().Format("2006-01-02"), f.about())
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.1f ms", 1000*s)
	}
	return fmt.Sprintf("%.2f s", s)
}
