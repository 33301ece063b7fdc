package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// liar trains as its data have it, and sends something else.
type liar struct {
	*tabular.Trainer
	lie func(delta []float32) // of all trained tensors together
}

func (l liar) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	local, err := l.Trainer.Train(ctx, job, global)
	if err != nil {
		return nil, err
	}
	var delta []float32
	for _, spec := range global.Schema.Shared() {
		from, to, err := pair(global, local, spec.Name)
		if err != nil {
			return nil, err
		}
		for i := range from {
			delta = append(delta, to[i]-from[i])
		}
	}
	l.lie(delta)
	for _, spec := range global.Schema.Shared() {
		from, to, err := pair(global, local, spec.Name)
		if err != nil {
			return nil, err
		}
		for i := range to {
			to[i] = from[i] + delta[i]
		}
		delta = delta[len(to):]
		if err := local.SetFloat32s(spec.Name, to); err != nil {
			return nil, err
		}
	}
	return local, nil
}

func pair(a, b *model.Model, name string) (x, y []float32, err error) {
	if x, err = a.Float32s(name); err != nil {
		return nil, nil, err
	}
	y, err = b.Float32s(name)
	return x, y, err
}

func scaled(delta []float32, by float64) {
	for i := range delta {
		delta[i] = float32(float64(delta[i]) * by)
	}
}

// attack is what some of the ten fleets send.
type attack struct {
	title string
	sites []int // from 1
	lie   func(delta []float32)
}

var attacks = []attack{
	{title: "nobody lies"},
	{"F01, F06: times -4", []int{1, 6}, func(d []float32) { scaled(d, -4) }},
	{"F09, F10: times -4", []int{9, 10}, func(d []float32) { scaled(d, -4) }},
	{"F01, F06: turned, the largest value 50", []int{1, 6}, func(d []float32) {
		most := 0.0
		for _, x := range d {
			most = max(most, math.Abs(float64(x)))
		}
		scaled(d, -50/most)
	}},
}

// defence is how a task is folded.
type defence struct {
	title string
	set   func(*aggregator.Task)
}

var defences = []defence{
	{"`fedavg`, `guard: off`", func(t *aggregator.Task) { t.Guard = &strategy.Guard{} }},
	{"`fedavg` (the guard's zeroing)", func(*aggregator.Task) {}},
	{"`fedavg`, `guard: {clip: on}`", func(t *aggregator.Task) {
		t.Guard = &strategy.Guard{Zero: strategy.DefaultZeroing(), Clip: strategy.DefaultClipping()}
	}},
	{"`median`", choosing("median", nil)},
	{"`trimmed_mean`", choosing("trimmed_mean", nil)},
	{"`geometric_median`", choosing("geometric_median", nil)},
	{"`centered_clip`, `tau: 1`", choosing("centered_clip", strategy.Settings{"tau": 1.})},
	{"`krum`, `f: 2`", choosing("krum", strategy.Settings{"f": 2.})},
	{"`multi_krum`, `f: 2`", choosing("multi_krum", strategy.Settings{"f": 2.})},
	{"`trimmed_mean`, `count: 2`, `premix: nnm`, `f: 2`", choosing("trimmed_mean", strategy.Settings{"count": 2., "premix": "nnm", "f": 2.})},
}

// choosing is a strategy that looks at all updates together.
func choosing(name string, params strategy.Settings) func(*aggregator.Task) {
	return func(t *aggregator.Task) { t.Strategy, t.StrategyParams = name, params }
}

// What the example turbofan is worth where two of ten fleets lie, under each defence: the
// table of docs/howto/guard.md, which make hostile-sites writes.
func TestHostileSites(t *testing.T) {
	page := os.Getenv("FEDMQ_HOSTILE_SITES")
	if page == "" {
		t.Skip("FEDMQ_HOSTILE_SITES is not set: make hostile-sites")
	}
	b := &baseline{baselineCmd: baselineCmd{Dir: t.TempDir(), Example: "turbofan", Seeds: 1}}
	b.up = up{dir: b.Dir, logs: &logFlags{}}
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := b.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := readAggregator(filepath.Join(b.Dir, "aggregator.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rmse := make([][]float64, len(defences))
	text := "| strategy | " + strings.Join(titles(), " | ") + " |\n|---|" + strings.Repeat("---|", len(attacks)) + "\n"
	for i, d := range defences {
		cells := []string{d.title}
		for _, a := range attacks {
			c := cfg
			c.Tasks = slices.Clone(cfg.Tasks)
			d.set(&c.Tasks[0])
			x, err := b.field.attacked(t.Context(), c, a)
			if err != nil {
				t.Fatalf("%s, %s: %v", d.title, a.title, err)
			}
			rmse[i], cells = append(rmse[i], x), append(cells, fmt.Sprintf("%.1f", x))
		}
		text += "| " + strings.Join(cells, " | ") + " |\n"
		t.Log(text)
	}
	if clean, guarded, open := rmse[1][0], rmse[1][3], rmse[0][3]; !(guarded <= 1.1*clean) || open <= 1.1*clean {
		t.Errorf("with values of 50 the guard gives %.2f, without it %.2f, and %.2f where nobody lies", guarded, open, clean)
	}
	of := func(title string) []float64 {
		return rmse[slices.IndexFunc(defences, func(d defence) bool { return d.title == title })]
	}
	clean := rmse[1][0]
	for title, most := range map[string]float64{"`trimmed_mean`": 1.2, "`geometric_median`": 1.2, "`multi_krum`, `f: 2`": 1.1} {
		if x := of(title)[1]; !(x <= most*clean) {
			t.Errorf("%s: %.2f with F01 and F06 times -4, want at most %v times %.2f", title, x, most, clean)
		}
	}
	if x := rmse[1][1]; x <= 3*clean {
		t.Errorf("fedavg: %.2f with F01 and F06 times -4, which is no attack beside %.2f", x, clean)
	}
	writeBetween(t, page, "hostile sites", text)
}

func titles() (out []string) {
	for _, a := range attacks {
		out = append(out, a.title)
	}
	return out
}

// attacked is the root mean square error that a federation ends with, over the test rows
// of all.
func (f field) attacked(ctx context.Context, cfg aggregator.Config, a attack) (float64, error) {
	who := slices.Clone(f.sites)
	for _, k := range a.sites {
		data := who[k-1].data
		who[k-1].data = nil
		who[k-1].start = func(context.Context) (trainer.Trainer, error) {
			tr, err := tabular.New(data)
			return liar{tr, a.lie}, err
		}
	}
	got, err := f.federate(ctx, cfg, who, f.sites)
	if err != nil {
		return 0, err
	}
	return float64(got.metrics["rmse"].Value), nil
}

// writeBetween puts a text between the marks of a page.
func writeBetween(t *testing.T, path, name, text string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(page), "<!-- "+name+" -->\n")
	_, tail, closed := strings.Cut(rest, "<!-- end of "+name+" -->")
	if !ok || !closed {
		t.Fatalf("%s has no place for %q", path, name)
	}
	page = []byte(head + "<!-- " + name + " -->\n" + text + "<!-- end of " + name + " -->" + tail)
	if err := os.WriteFile(path, page, 0o644); err != nil { //nolint:gosec // a page that all read
		t.Fatal(err)
	}
}
